// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
)

// The first message starts the worker, whoever asks and in whichever way.
func TestAnybodyAsks(t *testing.T) {
	for _, share := range []bool{false, true} {
		run(t, func(k *grid.Kind) { k.Share = share }, func(w *world) {
			w.want("a", say("call"), "a call 1")
			f := actors.RequestFuture[word](w.root, w.pid("a"), say("future"))
			if v, err := f.Wait(w.Context()); v.GetValue() != "a future 2" || err != nil {
				w.Error(v, err)
			}
			w.root.Send(w.pid("a"), say("send"))
			if v, err := w.root.RequestFuture(w.pid("a"), say("engine"), time.Second).Result(); err != nil || v.(word).GetValue() != "a engine 4" {
				w.Error(v, err)
			}
			mw := w.root.Copy().WithSenderMiddleware(func(next actor.SenderFunc) actor.SenderFunc { return next })
			if got, err := answerOf(w.Context(), mw, w.pid("a"), say("middleware")); got != "a middleware 5" || err != nil {
				w.Error(got, err)
			}
			// A PID that has come from elsewhere has no process yet.
			if got, err := answerOf(w.Context(), w.root, actor.NewPID(grid.Address, "count/a"), say("resolved")); got != "a resolved 6" || err != nil {
				w.Error(got, err)
			}
			plain := make(chan string, 1)
			w.root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				switch m := c.Message().(type) {
				case *actor.Started:
					c.Request(w.pid("a"), say("actor"))
				case word:
					plain <- m.GetValue()
				}
			}))
			if got := <-plain; got != "a actor 7" {
				w.Error(got)
			}
			asker, err := actors.Spawn(w.Context(), w.root, "asker", func(*actors.Worker) error { return nil }, actors.Options{})
			if err != nil {
				w.Fatal(err)
			}
			got, err := actors.Submit(w.root, asker, func(t *actors.Task) (word, error) {
				return actors.Ask[word](t, w.pid("a"), say("task"))
			}).Wait(w.Context())
			if got.GetValue() != "a task 8" || err != nil {
				w.Error(got, err)
			}
			if lives := w.livesOf("a"); lives != "[+]" {
				w.Error(lives)
			}
		})
	}
}

// Concurrent first messages are all answered by one incarnation, whose setup has run once.
func TestOneStart(t *testing.T) {
	run(t, func(k *grid.Kind) {
		setup := k.Setup
		k.Setup = func(w *actors.Worker, id string) error {
			if id == "slow" {
				if err := w.Task().Sleep(time.Minute); err != nil {
					return err
				}
			}
			return setup(w, id)
		}
	}, func(w *world) {
		const n = 200
		var all sync.WaitGroup
		start := make(chan struct{})
		for range n {
			all.Go(func() {
				<-start
				if _, err := w.ask("slow", count(1)); err != nil {
					w.Error(err)
				}
			})
		}
		close(start)
		synctest.Wait()
		if i := w.info(); i.Starting != 1 || i.Active != 0 || i.Counts.Pending != n {
			w.Errorf("%+v", i)
		}
		w.want("other", count(1), "1") // the setup that awaits holds its own key only
		if i := w.info(); i.Starting != 1 || i.Active != 1 {
			w.Errorf("%+v", i)
		}
		all.Wait()
		w.want("slow", count(0), "200")
		if lives := w.livesOf("slow"); lives != "[+]" {
			w.Error(lives)
		}
	})
}

// A worker that has been idle ends, and the next message starts the next.
func TestIdle(t *testing.T) {
	run(t, func(k *grid.Kind) { k.Idle = time.Minute }, func(w *world) {
		w.want("a", count(1), "1")
		time.Sleep(30 * time.Second)
		w.want("a", count(1), "2")
		time.Sleep(55 * time.Second)
		w.want("a", count(1), "3")
		time.Sleep(2 * time.Minute)
		if i := w.info(); i.Active+i.Starting+i.Stopping != 0 || i.Counts.Finished != 3 {
			w.Errorf("%+v", i)
		}
		w.want("a", count(1), "1")
		if lives := w.livesOf("a"); lives != "[+ - +]" {
			w.Error(lives)
		}
		// What awaits is not idle.
		if _, err := w.ask("a", sleeping(time.Hour)); err != nil {
			w.Error(err)
		}
		w.want("a", count(1), "2")
	})
}

// A setup that fails fails all that wait, and that is tried again after a backoff.
func TestSetupFails(t *testing.T) {
	for _, share := range []bool{false, true} {
		tries := 0
		run(t, func(k *grid.Kind) {
			k.Share = share
			k.Backoff = actors.Backoff{Initial: 10 * time.Second, Max: time.Minute}
			setup := k.Setup
			k.Setup = func(w *actors.Worker, id string) error {
				if err := w.Task().Sleep(time.Second); err != nil {
					return err
				}
				if tries++; tries < 3 {
					return errRefused
				}
				return setup(w, id)
			}
		}, func(w *world) {
			fails := func(n int) {
				w.Helper()
				var all sync.WaitGroup
				for range n {
					all.Go(func() {
						_, err := w.ask("a", count(1))
						if !errors.Is(err, actors.ErrUnavailable) || !actors.RetrySafe(err) || share && !errors.Is(err, errRefused) {
							w.Error(err)
						}
					})
				}
				all.Wait()
			}
			fails(10)
			if tries != 1 {
				w.Error(tries)
			}
			fails(10) // at once
			if tries != 1 || w.info().Failing != 1 {
				w.Error(tries, w.info())
			}
			time.Sleep(10 * time.Second)
			fails(10)
			time.Sleep(10 * time.Second)
			fails(1) // it doubles
			if tries != 2 {
				w.Error(tries)
			}
			time.Sleep(10 * time.Second)
			w.want("a", count(1), "1")
			if i := w.info(); i.Counts.Offered != 32 || i.Counts.Finished != 1 || i.Counts.Canceled != 20 || i.Counts.Refused != 11 {
				w.Errorf("%+v", i)
			}
		})
	}
}

// Start enters an address into a list that the engine reads without a lock. Whoever sends to
// actors of this system does not read it; and of many who start a grid one does.
func TestStartWhileOthersSend(t *testing.T) {
	sys := actortest.NewSystem(t)
	pid, err := actors.Spawn(t.Context(), sys.Root, "worker", func(w *actors.Worker) error {
		actors.Handle(w, func(_ *actors.Task, m word) (word, error) { return m, nil })
		return nil
	}, actors.Options{})
	if err != nil {
		t.Fatal(err)
	}
	setup := func(w *actors.Worker, _ string) error {
		actors.Handle(w, func(_ *actors.Task, m word) (word, error) { return m, nil })
		return nil
	}
	var all sync.WaitGroup
	started := make(chan *grid.Grid, 4)
	for range cap(started) {
		all.Go(func() {
			for range 100 {
				sys.Root.Send(actor.NewPID("nonhost", pid.Id), say("send")) // a new PID is looked up
				if _, err := actors.Call[word](t.Context(), sys.Root, actor.NewPID("nonhost", pid.Id), say("ask")); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			g, err := grid.Start(t.Context(), sys, grid.Options{Kinds: []grid.Kind{{Name: "key", Setup: setup, Accepts: accepts()}}})
			if err == nil {
				started <- g
			}
		})
	}
	all.Wait()
	if len(started) != 1 {
		t.Fatalf("%d grids were started", len(started))
	}
	g := <-started
	if _, err := actors.Call[word](t.Context(), sys.Root, g.PID("key", "a"), say("ask")); err != nil {
		t.Error(err)
	}
	if _, err := g.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}
