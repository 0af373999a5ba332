// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/testtools"
)

// The engine's stash is LIFO and loses the sender.
func TestEngineStashOrder(t *testing.T) {
	first := true
	receive := func() actor.ReceiveFunc {
		stashing := first
		first = false
		return func(c actor.Context) {
			switch m := c.Message().(type) {
			case int:
				if stashing {
					c.Stash()
					return
				}
				c.Respond(fmt.Sprint("replayed ", m))
			case string:
				first = false
				panic("restart")
			}
		}
	}
	both(t, actors.Options{}, receive, func(w *world, pid *actor.PID) {
		first = true // for the next subtest
		var order testtools.Trace
		var fs []*actors.Future[string]
		for i := range 3 {
			f := actors.RequestFuture[string](w.root, pid, i)
			fs = append(fs, f)
			go func() {
				v, _ := result(f)
				order.Add("%s", v)
			}()
			synctest.Wait()
		}
		engine := w.root.RequestFuture(pid, 3, time.Minute)
		w.root.Send(pid, "restart")
		behind := actors.RequestFuture[string](w.root, pid, 4)
		for i, f := range append(fs, behind) {
			if i == 3 {
				i = 4
			}
			want(w, f, fmt.Sprint("replayed ", i))
		}
		if r, err := engine.Result(); r != "replayed 3" || err != nil {
			w.Errorf("the engine's future: %v, %v", r, err)
		}
	})
}

// What is stashed when the actor stops for good is not dropped in silence. Its
// handler has run: nobody is told that a retry is safe.
func TestEngineStashOrderStop(t *testing.T) {
	receive := func() actor.ReceiveFunc { return func(c actor.Context) { stashUser(c) } }
	both(t, actors.Options{}, receive, func(w *world, pid *actor.PID) {
		dead := testtools.DeadLetters(w.sys)
		f := actors.RequestFuture[string](w.root, pid, 1)
		engine := w.root.RequestFuture(pid, 2, time.Minute)
		w.root.Send(pid, 3)
		synctest.Wait()
		w.root.Stop(pid)
		wantErr(w, f, actors.ErrStopped)
		if f := wantFailure(w, engine, actors.ErrStopped); !f.GetRan() || f.GetRetrySafe() {
			w.Errorf("the failure says ran %v, retry safe %v", f.GetRan(), f.GetRetrySafe())
		}
		synctest.Wait()
		dead.Want(w, "3 to "+pid.Id)
	})
}

func stashUser(c actor.Context) {
	switch c.Message().(type) {
	case int, string:
		c.Stash()
	}
}

// The engine's bounded mailbox rounds its capacity up, spins when it is full,
// and blocks an actor that sends to itself for good.
func TestEngineFullMailbox(t *testing.T) {
	receive := func() actor.ReceiveFunc {
		return func(c actor.Context) {
			if m, ok := c.Message().(string); ok && m == "busy" {
				for range 20 {
					c.Send(c.Self(), 1)
				}
				_ = taskOf(c).Sleep(time.Second)
				c.Respond("done")
			}
		}
	}
	both(t, actors.Options{MailboxSize: 5, MaxInFlight: 1}, receive, func(w *world, pid *actor.PID) {
		dead := testtools.DeadLetters(w.sys)
		f := actors.RequestFuture[string](w.root, pid, "busy")
		synctest.Wait()
		if n := len(dead.Take()); n != 15 { // 5 of its 20 messages fit
			w.Errorf("%d dead letters, want 15", n)
		}
		start := time.Now()
		wantErr(w, actors.RequestFuture[string](w.root, pid, 1), actors.ErrMailboxFull)
		wantErr(w, did(w.root, pid, func(*actors.Task) error { return nil }), actors.ErrMailboxFull)
		if fail := wantFailure(w, w.root.RequestFuture(pid, 1, time.Minute), actors.ErrMailboxFull); fail.GetRan() || !fail.GetRetrySafe() {
			w.Errorf("the Failure says that it ran: %v", fail)
		}
		if took := time.Since(start); took != 0 {
			w.Errorf("a full mailbox took %v", took)
		}
		want(w, f, "done") // its timer needs no room
		c := w.stopped(pid, 0)
		if c.Offered != 1+20+3 || c.Accepted != 6 || c.Refused != 18 || c.Finished != 6 {
			w.Errorf("the account: %v", c)
		}
	})
}

// Replies to a worker whose mailbox is full arrive: they never count.
func TestEngineFullMailboxReplies(t *testing.T) {
	bubble(t, func(w *world) {
		callee := w.worker("callee", actors.Options{}, func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, n int) (int, error) { return n + 1, t.Sleep(time.Second) })
			return nil
		})
		plain := w.plain(func(c actor.Context) {
			if n, ok := c.Message().(int); ok {
				sender := c.Sender()
				time.AfterFunc(time.Second, func() { w.root.Send(sender, n+1) })
			}
		})
		full := w.worker("full", actors.Options{MailboxSize: 1, MaxInFlight: 1}, none)
		f := actors.Submit(w.root, full, func(t *actors.Task) (int, error) {
			n, err := actors.Ask[int](t, callee, 1)
			if err != nil {
				return 0, err
			}
			return actors.Ask[int](t, plain, n)
		})
		synctest.Wait()
		queued := did(w.root, full, func(*actors.Task) error { return nil })
		wantErr(w, did(w.root, full, func(*actors.Task) error { return nil }), actors.ErrMailboxFull)
		want(w, f, 3)
		want(w, queued, struct{}{})
	})
}

// batch is a MessageBatch.
type batch []any

func (b batch) GetMessages() []any { return b }

// The engine delivers a batch and its elements.
func TestEngineBatches(t *testing.T) {
	var got testtools.Trace
	receive := func() actor.ReceiveFunc {
		return func(c actor.Context) {
			switch m := c.Message().(type) {
			case int, string, batch:
				got.Add("%T %v", m, m)
			}
		}
	}
	both(t, actors.Options{}, receive, func(w *world, pid *actor.PID) {
		got.Take()
		w.root.Send(pid, batch{1, "two", batch{3}, 4})
		w.root.Request(pid, batch{5})
		c := w.stopped(pid, time.Minute)
		got.Want(w, "int 1", "string two", "int 3", "int 4", "int 5")
		if c.Accepted != 5 || c.Finished != 5 {
			w.Errorf("the account: %v", c)
		}
	})
}

// The engine's receive timeout races with its actor.
func TestEngineReceiveTimeout(t *testing.T) {
	bubble(t, func(w *world) {
		var idle testtools.Trace
		start := time.Now()
		arm := func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				c.SetReceiveTimeout(time.Second)
			case *actor.ReceiveTimeout:
				idle.Add("%v", time.Since(start))
				c.SetReceiveTimeout(2 * time.Second)
			case string:
				c.CancelReceiveTimeout()
			}
		}
		dropIn := w.dropIn(actors.Options{}, arm)
		for range 5 { // messages put it off
			time.Sleep(900 * time.Millisecond)
			w.root.Send(dropIn, 1)
		}
		time.Sleep(4 * time.Second) // idle at 5.5 s and at 7.5 s
		w.root.Send(dropIn, "cancel")
		time.Sleep(10 * time.Second)
		idle.Want(w, "5.5s", "7.5s")

		fired := make(chan time.Duration, 1)
		start = time.Now()
		w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			actors.On(w, func(*actors.Task, *actor.ReceiveTimeout) error { fired <- time.Since(start); return nil })
			w.SetReceiveTimeout(time.Second)
			return nil
		})
		if d := <-fired; d != time.Second {
			w.Errorf("the worker's fired after %v", d)
		}
	})
}

// And so with many messages at the very moment it fires.
func TestEngineReceiveTimeoutRace(t *testing.T) {
	bubble(t, func(w *world) {
		dropIn := w.dropIn(actors.Options{}, func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started, *actor.ReceiveTimeout:
				c.SetReceiveTimeout(time.Millisecond)
			}
		})
		for range 500 {
			time.Sleep(time.Millisecond)
			w.root.Send(dropIn, "x")
		}
		w.stopped(dropIn, -1)
		time.Sleep(time.Second) // nothing fires any more
	})
}

// In the engine options of one sender change the shared root for all. Ours
// leave it alone, and requests go through what middleware it has.
func TestEngineRootMiddleware(t *testing.T) {
	bubble(t, func(w *world) {
		var seen testtools.Trace
		echo := w.worker("echo", actors.Options{}, func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, s string) (string, error) { return s, nil })
			return nil
		})
		own := w.root.Copy().WithSenderMiddleware(func(next actor.SenderFunc) actor.SenderFunc {
			return func(c actor.SenderContext, to *actor.PID, env *actor.MessageEnvelope) {
				seen.Add("%s", env.Message)
				env.SetHeader("k", "v")
				next(c, to, env)
			}
		})
		want(w, actors.RequestFuture[string](own, echo, "a", actors.Timeout(time.Second)), "a")
		want(w, actors.RequestFuture[string](w.root, echo, "b", actors.Timeout(time.Second)), "b")
		want(w, actors.Submit(own, echo, func(*actors.Task) (string, error) { return "c", nil }), "c")
		seen.Want(w, "a")
		if n := len(w.root.MessageHeader().Keys()); n != 0 {
			w.Errorf("the shared root has %d headers", n)
		}
		// An error, and a panic with its stack, come through middleware whole.
		_, err := result(actors.RequestFuture[int](own, echo, "d"))
		testtools.WantText(w, err, "the reply is a string, the future wants a int")
		if got := seen.Take(); len(got) == 0 || got[0] != "d" {
			w.Errorf("the middleware saw %q", got)
		}
	})
}

// ActorSystem.Shutdown stops no actor. A worker still works, and still stops.
func TestEngineSystemShutdown(t *testing.T) {
	bubble(t, func(w *world) {
		worker := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, n int) (int, error) { return n, t.Sleep(time.Second) })
			return nil
		})
		f := actors.RequestFuture[int](w.root, worker, 7)
		w.sys.Shutdown()
		want(w, f, 7)
		want(w, actors.RequestFuture[int](w.root, worker, 8), 8)
		w.stopped(worker, 0)
	})
}
