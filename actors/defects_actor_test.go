// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/messages"
)

// both runs a test of a behaviour that a worker and a plain actor on an
// EventLoop share. receive is the actor's; as a worker it handles strings
// and ints.
func both(t *testing.T, o actors.Options, receive func() actor.ReceiveFunc, f func(w *world, pid *actor.PID)) {
	t.Run("worker", func(t *testing.T) {
		bubble(t, func(w *world) {
			f(w, w.worker("worker", o, func(w *actors.Worker) error {
				r := receive()
				actors.On(w, func(t *actors.Task, _ string) error { r(t); return nil })
				actors.On(w, func(t *actors.Task, _ int) error { r(t); return nil })
				return nil
			}))
		})
	})
	t.Run("drop-in", func(t *testing.T) {
		bubble(t, func(w *world) {
			f(w, w.root.Spawn(actor.PropsFromProducer(func() actor.Actor { return receive() }, actors.EventLoop(o))))
		})
	})
}

// wantFailure fails the test unless the engine's future ends at once with a
// Failure that is target.
func wantFailure(t testing.TB, f *actor.Future, target error) *messages.Failure {
	t.Helper()
	start := time.Now()
	r, err := f.Result()
	fail, ok := r.(*messages.Failure)
	if !ok || target != nil && !errors.Is(fail, target) {
		t.Errorf("the engine's future: %v, %v; want a Failure %q", r, err, target)
	}
	if took := time.Since(start); took != 0 {
		t.Errorf("the engine's future took %v", took)
	}
	return fail
}

// In the engine what is queued when an actor stops vanishes: no dead letter,
// and the asker waits for its whole timeout.
func TestEngineQueueAtStop(t *testing.T) {
	receive := func() actor.ReceiveFunc {
		return func(c actor.Context) {
			switch c.Message().(type) {
			case string:
				_ = taskOf(c).Sleep(time.Minute)
			case int:
				c.Respond("ran")
			}
		}
	}
	both(t, actors.Options{MaxInFlight: 1}, receive, func(w *world, pid *actor.PID) {
		dead := testtools.DeadLetters(w.sys)
		w.root.Send(pid, "busy")
		synctest.Wait()
		ours := actors.RequestFuture[string](w.root, pid, 1)
		submitted := did(w.root, pid, func(*actors.Task) error { return nil })
		engine := w.root.RequestFuture(pid, 2, time.Minute)
		w.root.Send(pid, 3)
		w.root.Stop(pid)
		start := time.Now()
		wantErr(w, ours, actors.ErrStopping)
		wantErr(w, submitted, actors.ErrStopping)
		if f := wantFailure(w, engine, actors.ErrStopping); f.GetRan() || !f.GetRetrySafe() {
			w.Errorf("the Failure says that it ran: %v", f)
		}
		synctest.Wait()
		dead.Want(w, "3 to "+pid.Id)
		wantErr(w, actors.RequestFuture[string](w.root, pid, 4), actors.ErrDeadLetter)
		if took := time.Since(start); took != 0 {
			w.Errorf("the askers waited %v", took)
		}
	})
}

// taskOf is TaskOf for what may be a Task already.
func taskOf(c actor.Context) *actors.Task { return actors.TaskOf(c) }

// In the engine a panic tells the asker nothing.
func TestEnginePanicTellsNobody(t *testing.T) {
	receive := func() actor.ReceiveFunc {
		return func(c actor.Context) {
			switch c.Message().(type) {
			case string:
				panic("boom")
			case int:
				c.Respond("alive")
			}
		}
	}
	both(t, actors.Options{}, receive, func(w *world, pid *actor.PID) {
		_, err := result(actors.RequestFuture[string](w.root, pid, "x"))
		var p *actors.PanicError
		if !errors.As(err, &p) || p.Value != "boom" || !strings.Contains(string(p.Stack), "TestEnginePanicTellsNobody") {
			w.Errorf("the asker got %v with stack %q", err, p.Stack)
		}
		want(w, actors.RequestFuture[string](w.root, pid, 1), "alive")
		f := wantFailure(w, w.root.RequestFuture(pid, "x", time.Minute), nil)
		if f.GetCode() != "panic" || !f.GetRan() || !strings.Contains(f.GetMessage(), "boom") || strings.Contains(f.String(), "goroutine") {
			w.Errorf("the engine's asker got %v", f)
		}
		want(w, actors.RequestFuture[string](w.root, pid, 1), "alive")
	})
}

// In the engine a panic in Stopping turns the stop into a restart.
func TestEnginePanicInStopping(t *testing.T) {
	bubble(t, func(w *world) {
		var log testtools.Trace
		n := 0
		dropIn := w.root.Spawn(actor.PropsFromProducer(func() actor.Actor {
			n++
			return actor.ReceiveFunc(func(c actor.Context) {
				log.Add("%d:%T", n, c.Message())
				if _, ok := c.Message().(*actor.Stopping); ok {
					panic("in stopping")
				}
			})
		}, actors.EventLoop(actors.Options{})))
		synctest.Wait()
		w.root.Stop(dropIn)
		time.Sleep(time.Second)
		log.Want(w, "1:*actor.Started", "1:*actor.Stopping", "1:*actor.Stopped")
		wantErr(w, actors.RequestFuture[string](w.root, dropIn, 1), actors.ErrDeadLetter)

		starts, hooks := 0, 0
		worker := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			starts++
			w.OnStop(func(*actors.Task) error { hooks++; return nil })
			w.OnStop(func(*actors.Task) error { panic("in a hook") })
			return nil
		})
		w.stopped(worker, 0)
		if starts != 1 || hooks != 1 {
			w.Errorf("%d starts, %d of the other hook", starts, hooks)
		}
	})
}

// A stop that comes at once must not mix the lifecycle up either.
func TestEnginePanicInStoppingAtOnce(t *testing.T) {
	bubble(t, func(w *world) {
		for range 50 {
			var log testtools.Trace
			dropIn := w.dropIn(actors.Options{}, func(c actor.Context) { log.Add("%T", c.Message()) })
			w.root.Stop(dropIn)
			synctest.Wait()
			switch got := strings.Join(log.Take(), " "); got {
			case "", "*actor.Stopped", "*actor.Started *actor.Stopping *actor.Stopped":
			default:
				w.Fatalf("the actor was told %s", got)
			}

			// The stop finds a background task that has not begun.
			w.plain(func(c actor.Context) {
				switch c.Message().(type) {
				case *actor.Started:
					c.Spawn(actors.Props(func(w *actors.Worker) error {
						w.Background("background", func(*actors.Task) error { return nil })
						w.OnStop(func(*actors.Task) error { log.Add("hook"); return nil })
						w.Stop(w.Self())
						return nil
					}))
				case *actor.Terminated:
					log.Add("terminated")
				}
			})
			synctest.Wait()
			log.Want(w, "hook", "terminated")
		}
	})
}

// In the engine, after a panic in Stopped watchers and parent are never told.
func TestEnginePanicInStopped(t *testing.T) {
	bubble(t, func(w *world) {
		var child *actor.PID
		parent := w.plain(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				child = c.Spawn(actor.PropsFromFunc(func(c actor.Context) {
					if _, ok := c.Message().(*actor.Stopped); ok {
						panic("in stopped")
					}
				}, actors.EventLoop(actors.Options{})))
			}
		})
		synctest.Wait()
		terminated := make(chan *actor.PID, 1)
		w.plain(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				c.Watch(child)
			case *actor.Terminated:
				terminated <- m.Who
			}
		})
		synctest.Wait()
		if err := w.root.StopFuture(parent).Wait(); err != nil {
			w.Errorf("stop of the parent: %v", err)
		}
		if who := <-terminated; !who.Equal(child) {
			w.Errorf("terminated: %v", who)
		}
	})
}

// The engine handles user messages between Stopping and Stopped.
func TestEngineMessagesAfterStopping(t *testing.T) {
	bubble(t, func(w *world) {
		var log testtools.Trace
		slowChild := actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Stopping); ok {
				time.Sleep(300 * time.Millisecond)
			}
		})
		dropIn := w.dropIn(actors.Options{}, func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Terminated: // the child's
			case *actor.Started:
				c.Spawn(slowChild)
				log.Add("%T", c.Message())
			default:
				log.Add("%T", c.Message())
			}
		})
		worker := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			w.Spawn(slowChild)
			w.OnStop(func(*actors.Task) error { log.Add("hook"); return nil })
			actors.On(w, func(*actors.Task, string) error { log.Add("late"); return nil })
			return nil
		})
		synctest.Wait()
		for _, pid := range []*actor.PID{dropIn, worker} {
			w.root.Stop(pid)
			time.Sleep(50 * time.Millisecond)
			w.root.Send(pid, "after Stopping")
			wantErr(w, actors.RequestFuture[int](w.root, pid, "after Stopping"), actors.ErrStopping)
			time.Sleep(time.Second)
		}
		log.Want(w, "*actor.Started", "*actor.Stopping", "*actor.Stopped", "hook")
	})
}

// In the engine runtime.Goexit in a handler wedges the mailbox for good.
func TestEngineGoexit(t *testing.T) {
	receive := func() actor.ReceiveFunc {
		return func(c actor.Context) {
			switch m := c.Message().(type) {
			case string:
				if m == "later" {
					_ = taskOf(c).Sleep(time.Second)
				}
				if m == "panicking" {
					defer func() { panic("deferred") }()
				}
				runtime.Goexit()
			case int:
				c.Respond("ok")
			}
		}
	}
	both(t, actors.Options{}, receive, func(w *world, pid *actor.PID) {
		for _, m := range []string{"at once", "later"} {
			wantErr(w, actors.RequestFuture[string](w.root, pid, m), actors.ErrGoexit)
			want(w, actors.RequestFuture[string](w.root, pid, 1), "ok")
		}
		wantFailure(w, w.root.RequestFuture(pid, "at once", time.Minute), actors.ErrGoexit)
		if _, err := result(actors.RequestFuture[string](w.root, pid, "panicking")); err == nil {
			w.Error("a deferred panic in a Goexit: no error")
		}
		wantErr(w, did(w.root, pid, func(*actors.Task) error { runtime.Goexit(); return nil }), actors.ErrGoexit)
		want(w, actors.RequestFuture[string](w.root, pid, 1), "ok")
		if c := w.stopped(pid, 0); c.Failed != 5 || c.Canceled != 0 {
			w.Errorf("5 have failed, the account says %v", c)
		}
	})
}

// In the engine whoever sends to a known name while that is being spawned
// panics, and wedges the mailbox.
func TestEngineSendWhileSpawning(t *testing.T) {
	for _, kind := range []string{"worker", "drop-in"} {
		t.Run(kind, func(t *testing.T) {
			bubble(t, func(w *world) {
				var fs []*actors.Future[string]
				var engine *actor.Future
				// OnInit runs when the name is registered and the mailbox
				// knows nothing yet.
				early := actor.WithOnInit(func(c actor.Context) {
					for range 10 {
						w.root.Send(c.Self(), "m")
						fs = append(fs, actors.RequestFuture[string](w.root, c.Self(), 1))
					}
					engine = w.root.RequestFuture(c.Self(), 1, time.Minute)
				})
				props := actor.PropsFromFunc(func(c actor.Context) {
					if _, ok := c.Message().(int); ok {
						c.Respond("ok")
					}
				}, actors.EventLoop(actors.Options{}), early)
				if kind == "worker" {
					props = actors.Props(func(w *actors.Worker) error {
						actors.On(w, func(*actors.Task, string) error { return nil })
						actors.Handle(w, func(*actors.Task, int) (string, error) { return "ok", nil })
						return nil
					}, early)
				}
				pid, err := w.root.SpawnNamed(props, "known")
				if err != nil {
					w.Fatal(err)
				}
				for _, f := range append(fs, actors.RequestFuture[string](w.root, pid, 1)) {
					want(w, f, "ok")
				}
				if r, err := engine.Result(); r != "ok" || err != nil {
					w.Errorf("the engine's future: %v, %v", r, err)
				}
				if c := w.stopped(pid, 0); c.Accepted != 22 || c.Finished != 22 {
					w.Errorf("22 messages, the account says %v", c)
				}
			})
		})
	}
}

// A stop that comes that early must not be lost either.
func TestEngineSendWhileSpawningStop(t *testing.T) {
	for name, stop := range map[string]func(w *world, pid *actor.PID) *actors.Future[actors.Counts]{
		"Stop":   func(w *world, pid *actor.PID) *actors.Future[actors.Counts] { w.root.Stop(pid); return nil },
		"Poison": func(w *world, pid *actor.PID) *actors.Future[actors.Counts] { w.root.Poison(pid); return nil },
		"actors.Stop": func(w *world, pid *actor.PID) *actors.Future[actors.Counts] {
			return actors.RequestStop(w.root, pid, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				var f *actors.Future[actors.Counts]
				pid, err := w.root.SpawnNamed(actors.Props(none, actor.WithOnInit(func(c actor.Context) {
					f = stop(w, c.Self())
				})), "known")
				if err != nil {
					w.Fatal(err)
				}
				if f != nil {
					if _, err := result(f); err != nil {
						w.Error(err)
					}
				}
				synctest.Wait()
				wantErr(w, actors.RequestFuture[string](w.root, pid, 1), actors.ErrDeadLetter)
			})
		})
	}
}
