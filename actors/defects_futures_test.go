// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/internal/goroutines"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/messages"
)

// The defects_*_test.go files show that workers and their askers are free of
// the known defects of the engine's futures, actors, mailboxes and supervision. These
// cannot touch them:
//
//   - A priority mailbox looks at the envelope: ours has no priorities.
//   - 32 bit: the engine itself does not run there.
//   - PIDSet does not keep the order of children: we keep none in one.
//   - Repeating timers of the scheduler package: a task sleeps in a loop.
//   - The passivation plugin, the persistence mixin: middleware of the user's choice.
//   - stream.TypedStream: an actor of its own, never a worker.
//   - Strategies of the engine and its guardians' table: we use none.

// The engine lets a second reply overwrite the first.
func TestEngineOverwritesSecondReply(t *testing.T) {
	bubble(t, func(w *world) {
		twice := func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				c.Respond("first")
				c.Respond("second")
				sender := c.Sender()
				time.AfterFunc(time.Second, func() { w.root.Send(sender, "third") })
			}
		}
		worker := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, _ string) (string, error) {
				twice(t)
				return "returned", nil
			})
			return nil
		})
		for name, pid := range map[string]*actor.PID{
			"worker": worker, "drop-in": w.dropIn(actors.Options{}, twice), "plain": w.plain(twice),
		} {
			f := actors.RequestFuture[string](w.root, pid, "x")
			want(w, f, "first")
			time.Sleep(2 * time.Second)
			if v, err := f.TryResult(); v != "first" || err != nil {
				w.Errorf("%s: then it was %q, %v", name, v, err)
			}
		}
	})
}

// In the engine a reply after the timeout leaves both a value and ErrTimeout.
func TestEngineOverwritesLateReply(t *testing.T) {
	bubble(t, func(w *world) {
		late := func(c actor.Context) {
			if d, ok := c.Message().(time.Duration); ok {
				sender := c.Sender()
				time.AfterFunc(d, func() { w.root.Send(sender, "late") })
			}
		}
		worker := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			actors.On(w, func(t *actors.Task, _ time.Duration) error { late(t); return nil })
			return nil
		})
		for name, pid := range map[string]*actor.PID{
			"worker": worker, "drop-in": w.dropIn(actors.Options{}, late), "plain": w.plain(late),
		} {
			var fs []*actors.Future[string]
			for i := range 500 { // before, at and after the timeout
				fs = append(fs, actors.RequestFuture[string](w.root, pid, time.Duration(i/100)*time.Millisecond,
					actors.Timeout(2*time.Millisecond)))
			}
			time.Sleep(time.Second)
			for i, f := range fs {
				v, err := f.TryResult()
				if (v == "late") == (err != nil) || err != nil && !errors.Is(err, actors.ErrTimeout) {
					w.Errorf("%s: request %d ended with both or neither: %q, %v", name, i, v, err)
				}
				if i/100 < 2 && err != nil || i/100 > 2 && err == nil {
					w.Errorf("%s: request %d, answered after %d ms of 2: %q, %v", name, i, i/100, v, err)
				}
			}
		}
	})
}

// The engine wakes one waiter of many; the others hang past the timeout.
func TestEngineOneWaiterOfMany(t *testing.T) {
	bubble(t, func(w *world) {
		slow := func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				sender := c.Sender()
				time.AfterFunc(100*time.Millisecond, func() { w.root.Send(sender, "pong") })
			}
		}
		waiter := w.worker("waiter", actors.Options{}, none)
		for _, pid := range []*actor.PID{w.plain(slow), w.dropIn(actors.Options{}, slow)} {
			f := actors.RequestFuture[string](w.root, pid, "ping")
			start := time.Now()
			var woke testtools.Trace
			for range 5 {
				go func() {
					v, _ := f.Wait(context.Background())
					woke.Add("%s", v)
				}()
				go func() {
					<-f.Ready()
					woke.Add("pong")
				}()
				did(w.root, waiter, func(t *actors.Task) error {
					v, err := actors.Await(t, f)
					woke.Add("%s", v)
					return err
				})
			}
			want(w, f, "pong")
			synctest.Wait()
			if got := woke.Take(); len(got) != 15 || time.Since(start) != 100*time.Millisecond {
				w.Errorf("%d of 15 waiters woke, after %v: %q", len(got), time.Since(start), got)
			}
		}
	})
}

// The engine runs completions while it holds the future's lock, so that one
// which looks at the future hangs.
func TestEngineCallbacksUnderALock(t *testing.T) {
	bubble(t, func(w *world) {
		p := new(actors.Promise[string])
		f := p.Future()
		all := futures.All(f, f) // its callbacks look at f while f completes
		seen := make(chan string, 1)
		// A synchronous dispatcher handles the message within Send.
		sync := w.plain(func(c actor.Context) {
			switch m := c.Message().(type) {
			case string:
				if m == "resolve" {
					p.Resolve("done")
				}
				v, err := f.Wait(context.Background())
				seen <- fmt.Sprint(v, err)
			}
		}, actor.WithDispatcher(actor.NewSynchronizedDispatcher(300)))
		w.root.Send(sync, "resolve")
		if got := <-seen; got != "done<nil>" {
			w.Errorf("the actor saw %s", got)
		}
		if v, err := result(all); len(v) != 2 || err != nil {
			w.Errorf("All: %v, %v", v, err)
		}
	})
}

// A full bounded target of a pipe blocks the engine's replier. Ours is told.
func TestEngineCallbacksUnderALockFullTarget(t *testing.T) {
	bubble(t, func(w *world) {
		release := make(chan struct{})
		full := w.worker("full", actors.Options{MailboxSize: 1, BlockedTurn: -1}, none)
		busy := did(w.root, full, func(*actors.Task) error { <-release; return nil })
		synctest.Wait()
		queued := did(w.root, full, func(*actors.Task) error { return nil })
		replier := w.worker("replier", actors.Options{}, func(w *actors.Worker) error {
			actors.On(w, func(t *actors.Task, _ string) error {
				t.Forward(full)
				return nil
			})
			actors.Handle(w, func(*actors.Task, int) (string, error) { return "alive", nil })
			return nil
		})
		wantErr(w, actors.RequestFuture[string](w.root, replier, "x"), actors.ErrMailboxFull)
		want(w, actors.RequestFuture[string](w.root, replier, 1), "alive")
		close(release)
		want(w, busy, struct{}{})
		want(w, queued, struct{}{})
	})
}

// In the engine a future without a timeout stays registered for good when its
// target stops, and cannot be cancelled.
func TestEngineEntriesForEver(t *testing.T) {
	bubble(t, func(w *world) {
		setup := func(w *actors.Worker) error {
			actors.On(w, func(t *actors.Task, _ string) error { t.Sender(); return nil }) // somebody may answer
			actors.Handle(w, func(t *actors.Task, _ int) (int, error) { return 0, t.Sleep(time.Hour) })
			return nil
		}
		worker := w.worker("worker", actors.Options{}, setup)
		mute := w.dropIn(actors.Options{}, func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				c.Sender()
			}
		})
		plain := w.plain(func(actor.Context) {})
		before := len(testtools.RegisteredIDs(w.sys, ""))
		var fs, cancelled []*actors.Future[int]
		for range 1000 {
			fs = append(fs,
				actors.RequestFuture[int](w.root, worker, "x"),
				actors.RequestFuture[int](w.root, worker, 1),
				actors.RequestFuture[int](w.root, mute, "x", actors.Timeout(actors.Forever)))
			cancelled = append(cancelled, actors.RequestFuture[int](w.root, plain, "x", actors.Timeout(actors.Forever)))
		}
		synctest.Wait()
		if n := len(testtools.RegisteredIDs(w.sys, "")); n != before {
			w.Errorf("%d registry entries for 4000 requests", n-before)
		}
		w.stopped(worker, -1)
		w.stopped(mute, -1)
		for i, f := range fs {
			if _, err := f.TryResult(); !errors.Is(err, actors.ErrStopped) {
				w.Fatalf("request %d after the stop: %v, want ErrStopped", i, err)
			}
		}
		for _, f := range cancelled {
			if !f.Cancel() {
				w.Fatal("Cancel decided nothing")
			}
		}
		if n := len(testtools.RegisteredIDs(w.sys, "")); n != before-2 {
			w.Errorf("%d registry entries more than before", n-before+2)
		}
	})
}

// The engine's StopFuture and PoisonFuture give up after 10 s.
func TestEngineFixedStopTimeout(t *testing.T) {
	bubble(t, func(w *world) {
		worker := w.worker("worker", actors.Options{}, none)
		f := did(w.root, worker, func(t *actors.Task) error { return t.Sleep(25 * time.Second) })
		start := time.Now()
		c := w.stopped(worker, 30*time.Second)
		want(w, f, struct{}{})
		if took := time.Since(start); took != 25*time.Second || c.Finished != 1 {
			w.Errorf("stopped after %v with %v", took, c)
		}
	})
}

// A later stop may be less patient than an earlier one, never more.
func TestEngineFixedStopTimeoutShorten(t *testing.T) {
	bubble(t, func(w *world) {
		for grace, want := range map[time.Duration]time.Duration{-1: 0, time.Second: time.Second, time.Hour: time.Minute} {
			pid := w.worker("worker", actors.Options{}, none)
			f := did(w.root, pid, func(t *actors.Task) error { return t.Sleep(24 * time.Hour) })
			start := time.Now()
			first := actors.RequestStop(w.root, pid, time.Minute)
			synctest.Wait()
			if first.Done() {
				w.Error("the first stop did not wait")
			}
			second := actors.RequestStop(w.root, pid, grace)
			for _, stop := range []*actors.Future[actors.Counts]{first, second} {
				if _, err := stop.Wait(w.Context()); err != nil {
					w.Error(err)
				}
			}
			wantErr(w, f, actors.ErrStopped)
			if took := time.Since(start); took != want {
				w.Errorf("stopped after %v, then %v: took %v", time.Minute, grace, took)
			}
		}
	})
}

// In the engine each request has a registry entry, a timer and a goroutine's
// worth of state of its own.
func TestEngineProcessPerFuture(t *testing.T) {
	bubble(t, func(w *world) {
		plain := w.plain(func(actor.Context) {})
		actors.RequestFuture[int](w.root, plain, "x").Cancel() // the system's own process
		before, running := len(testtools.RegisteredIDs(w.sys, "")), goroutines.InBubble(ofLoops...)
		for range 1000 {
			actors.RequestFuture[int](w.root, plain, "x", actors.Timeout(time.Second))
		}
		if n := len(testtools.RegisteredIDs(w.sys, "")); n != before {
			w.Errorf("%d registry entries for 1000 requests", n-before)
		}
		if n := goroutines.InBubble(ofLoops...); n != running {
			w.Errorf("%d goroutines for 1000 requests", n-running)
		}
		time.Sleep(2 * time.Second)
	})
}

// The engine runs a ReenterAfter continuation in the next incarnation with
// the old one's closure, or drops it in silence.
func TestEngineReenterAfterRestart(t *testing.T) {
	for _, end := range []struct {
		name string
		do   func(w *world, pid *actor.PID)
		want error
	}{
		{"restart", func(w *world, pid *actor.PID) { w.root.Send(pid, "boom") }, actors.ErrRestarted},
		{"stop", func(w *world, pid *actor.PID) { w.root.Stop(pid) }, actors.ErrStopped},
		{"poison", func(w *world, pid *actor.PID) { w.root.Poison(pid) }, nil},
	} {
		t.Run(end.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				var ran testtools.Trace
				slow := w.plain(func(c actor.Context) {
					if _, ok := c.Message().(string); ok {
						sender := c.Sender()
						time.AfterFunc(time.Second, func() { w.root.Send(sender, "late") })
					}
				})
				receive := func(c actor.Context) {
					switch c.Message().(type) {
					case int:
						f := c.RequestFuture(slow, "q", 5*time.Second)
						c.ReenterAfter(f, func(res any, err error) {
							ran.Add("%v %v", res, err)
							c.Respond(res)
						})
					case string:
						panic("boom")
					}
				}
				dropIn := w.dropIn(actors.Options{}, receive)
				worker := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
					actors.On(w, func(t *actors.Task, _ int) error { receive(t); return nil })
					actors.On(w, func(t *actors.Task, _ string) error { receive(t); return nil })
					return nil
				})
				for _, pid := range []*actor.PID{dropIn, worker} {
					f := actors.RequestFuture[string](w.root, pid, 1)
					engine := w.root.RequestFuture(pid, 1, 5*time.Second)
					synctest.Wait()
					end.do(w, pid)
					start := time.Now()
					r, err := engine.Result()
					if end.want == nil {
						want(w, f, "late")
						if r != "late" || err != nil {
							w.Errorf("the engine's future: %v, %v", r, err)
						}
						continue
					}
					wantErr(w, f, end.want)
					if fail, ok := r.(*messages.Failure); !ok || !errors.Is(fail, end.want) || time.Since(start) != 0 {
						w.Errorf("the engine's future: %v, %v after %v", r, err, time.Since(start))
					}
				}
				time.Sleep(10 * time.Second)
				if end.want != nil {
					ran.Want(w)
				}
			})
		})
	}
}
