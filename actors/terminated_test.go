// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/testtools"
)

// TestWatchEndsDuringADecision: what a worker watches ends while its parent
// decides about a failure. If it is to go on it hears of that, once.
func TestWatchEndsDuringADecision(t *testing.T) {
	for _, c := range []struct {
		name   string
		decide func(actor.Supervisor, *actor.PID)
		want   []string
	}{
		{"resume", func(s actor.Supervisor, pid *actor.PID) { s.ResumeChildren(pid) }, []string{"setup", "x has ended", "message"}},
		{"restart", func(s actor.Supervisor, pid *actor.PID) { s.RestartChildren(pid) }, []string{"setup", "setup", "message"}},
		{"stop", func(s actor.Supervisor, pid *actor.PID) { s.StopChildren(pid) }, []string{"setup"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				var tr testtools.Trace
				x := w.worker("x", actors.Options{}, none)
				watched := false
				pid := w.under(&strategy{func(s actor.Supervisor, child *actor.PID) {
					w.root.Stop(x)
					time.Sleep(time.Second)
					c.decide(s, child)
				}}, false, func(wk *actors.Worker) error {
					tr.Add("setup")
					if !watched {
						wk.Watch(x)
					}
					watched = true
					actors.On(wk, func(_ *actors.Task, m *actor.Terminated) error { tr.Add("%s has ended", m.Who.Id); return nil })
					actors.On(wk, func(*actors.Task, int) error { tr.Add("message"); return nil })
					return nil
				})
				w.root.Send(pid, "a panic")
				w.root.Send(pid, 1)
				time.Sleep(time.Minute)
				tr.Want(t, c.want...)
			})
		})
	}
}

// TestWatchEndsBeforeAFailure: the handler waits for its turn when another
// task fails.
func TestWatchEndsBeforeAFailure(t *testing.T) {
	bubble(t, func(w *world) {
		var tr testtools.Trace
		x := w.worker("x", actors.Options{}, none)
		pid := w.under(&strategy{func(s actor.Supervisor, child *actor.PID) { s.ResumeChildren(child) }}, false, func(wk *actors.Worker) error {
			wk.Watch(x)
			actors.On(wk, func(_ *actors.Task, m *actor.Terminated) error { tr.Add("%s has ended", m.Who.Id); return nil })
			actors.On(wk, func(t *actors.Task, _ int) error {
				_ = t.Sleep(time.Minute) // while x ends
				panic("failed")
			}, actors.Exclusive())
			return nil
		})
		w.root.Send(pid, 1)
		time.Sleep(time.Second)
		w.root.Stop(x)
		time.Sleep(time.Second)
		tr.Want(t)
		time.Sleep(time.Hour)
		tr.Want(t, "x has ended")
	})
}

// TestNothingComesAfterStopped: the end of a child comes twice if its parent
// watches it, and the first may end the parent.
func TestNothingComesAfterStopped(t *testing.T) {
	bubble(t, func(w *world) {
		var tr testtools.Trace
		pid := w.dropIn(actors.Options{}, func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				c.Watch(c.Spawn(actors.Props(none)))
			case *actor.Terminated, *actor.Stopped:
				tr.Add("%T", c.Message())
				if actors.TaskOf(c) == nil {
					w.Error("no task")
				}
			}
		})
		synctest.Wait()
		w.root.Stop(pid)
		synctest.Wait()
		tr.Want(w, "*actor.Terminated", "*actor.Stopped")
	})
}

// TestSpawnAtTheEnd: once its children have been told to stop a plain actor on an
// EventLoop starts no other. Nobody would tell that to stop: the actor would never
// end, nor restart, or leave it behind.
func TestSpawnAtTheEnd(t *testing.T) {
	for name, end := range map[string]func(w *world, pid *actor.PID){
		"stop":    func(w *world, pid *actor.PID) { actors.RequestStop(w.root, pid, time.Minute) },
		"cut off": func(w *world, pid *actor.PID) { w.root.Stop(pid) },
		"restart": func(w *world, pid *actor.PID) { w.root.Send(pid, "panic") },
	} {
		for _, when := range []any{&actor.Stopping{}, &actor.Restarting{}, &actor.Terminated{}, &actor.Stopped{}} {
			for by, spawner := range map[string]func(actor.Context) actor.SpawnerContext{
				"its context": func(c actor.Context) actor.SpawnerContext { return c },
				"its Task":    func(c actor.Context) actor.SpawnerContext { return actors.TaskOf(c) },
			} {
				t.Run(fmt.Sprintf("%s, %T, by %s", name, when, by), func(t *testing.T) {
					bubble(t, func(w *world) {
						goOn := make(chan struct{})
						kids, n := 0, 0
						pid := w.dropIn(actors.Options{}, func(c actor.Context) {
							switch m := c.Message().(type) {
							case *actor.Started:
								if n++; n == 1 {
									c.Spawn(actor.PropsFromFunc(func(c actor.Context) {
										if _, ok := c.Message().(*actor.Stopping); ok {
											<-goOn
										}
									}))
								}
							case string:
								panic(m)
							case int:
								c.Respond(n)
							default:
								if fmt.Sprintf("%T", m) != fmt.Sprintf("%T", when) {
									return
								}
								if kid, err := spawner(c).SpawnNamed(actors.Props(none), fmt.Sprint("kid", kids)); err == nil {
									kids++
								} else if kid != nil || !errors.Is(err, actors.ErrStopped) && !errors.Is(err, actors.ErrRestarted) {
									w.Errorf("%v, %v", kid, err)
								}
							}
						})
						synctest.Wait()
						end(w, pid)
						time.Sleep(time.Millisecond)
						close(goOn)
						time.Sleep(time.Millisecond)
						if name == "restart" {
							want(w, actors.RequestFuture[int](w.root, pid, 1), 2)
							w.stopped(pid, time.Minute)
						}
						if left := testtools.RegisteredIDs(w.sys, pid.Id); len(left) > 0 {
							w.Errorf("%q are left", left)
						}
					})
				})
			}
		}
	}
}
