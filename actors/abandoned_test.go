// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/supervisor"
)

// supervised spawns an actor under a supervisor, and returns both.
func (w *world) supervised(child supervisor.Child) (*supervisor.Supervisor, *actor.PID) {
	w.Helper()
	child.Name = "child"
	sup, err := supervisor.Start(w.Context(), w.sys, supervisor.Spec{Name: "sup", Children: []supervisor.Child{child}})
	if err != nil {
		w.Fatal(err)
	}
	return sup, sup.Child(child.Name)
}

// TestAbandonedTaskIsNotTheCurrentOne: what it calls when it goes on at last
// does not give its message and sender to the task that runs now.
func TestAbandonedTaskIsNotTheCurrentOne(t *testing.T) {
	for name, late := range map[string]func(t *actors.Task, block func()){
		"Cleanup": func(t *actors.Task, block func()) {
			block()
			_ = t.Cleanup(time.Second, func(*actors.Task) error { return nil })
		},
		"Start": func(t *actors.Task, block func()) {
			actors.Start(t, func(*actors.Task) (int, error) { block(); return 0, nil })
		},
		"Group.Go": func(t *actors.Task, block func()) {
			t.NewGroup().Go(func(*actors.Task) error { block(); return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				goOn, gone := make(chan struct{}), make(chan struct{})
				sup, pid := w.supervised(supervisor.Child{Props: actor.PropsFromFunc(func(c actor.Context) {
					switch m := c.Message().(type) {
					case int: // in the first incarnation
						late(actors.TaskOf(c), func() { <-goOn })
						close(gone)
					case string: // in the second
						close(goOn)
						<-gone
						if c.Message() != m {
							w.Errorf("the message was %v and now is %v", m, c.Message())
						}
						c.Respond("answer to " + m)
					}
				}, actors.EventLoop(actors.Options{StopGrace: time.Second}))})
				w.root.Send(pid, 1)
				synctest.Wait()
				if err := sup.Restart(context.Background(), "child"); err != nil {
					w.Fatal(err)
				}
				want(w, actors.RequestFuture[string](w.root, pid, "x"), "answer to x")
				_, _ = sup.Stop(context.Background())
			})
		})
	}
}

// TestExitOfAnAbandonedTask: it does not end the incarnation that came after.
func TestExitOfAnAbandonedTask(t *testing.T) {
	for _, reason := range []error{nil, errors.New("late")} {
		bubble(t, func(w *world) {
			goOn := make(chan struct{})
			sup, pid := w.supervised(supervisor.Child{
				Restart: supervisor.Transient, Props: actors.Props(none, actors.EventLoop(actors.Options{StopGrace: time.Second})),
			})
			did(w.root, pid, func(t *actors.Task) error { <-goOn; t.Exit(reason); return nil })
			synctest.Wait()
			if err := sup.Restart(context.Background(), "child"); err != nil {
				w.Fatal(err)
			}
			close(goOn)
			synctest.Wait()
			if pid := sup.Child("child"); pid == nil {
				w.Error("an abandoned task has ended the worker")
			} else {
				want(w, did(w.root, pid, func(*actors.Task) error { return nil }), struct{}{})
			}
			_, _ = sup.Stop(context.Background())
		})
	}
}

// lateCaller is who does something late: a task, or who has another context of
// that incarnation.
type lateCaller struct {
	name  string
	props func(late func(c actor.Context, t *actors.Task), second func(t *actors.Task)) *actor.Props
}

// lateCallers each call late in the first incarnation, which is to hang there
// before it calls anything, and second at each message of the one after.
var lateCallers = []lateCaller{
	{"a task", func(late func(actor.Context, *actors.Task), second func(*actors.Task)) *actor.Props {
		lives := 0
		return actors.Props(func(w *actors.Worker) error {
			lives++
			first := lives == 1
			actors.On(w, func(t *actors.Task, m string) error {
				if first {
					late(t, t)
				} else {
					second(t)
				}
				return nil
			})
			actors.On(w, func(t *actors.Task, m *actor.Terminated) error { second(t); return nil })
			actors.On(w, func(t *actors.Task, m *actor.ReceiveTimeout) error { second(t); return nil })
			return nil
		}, actors.EventLoop(actors.Options{StopGrace: time.Second}))
	}},
	{"a Cleanup", func(late func(actor.Context, *actors.Task), second func(*actors.Task)) *actor.Props {
		lives := 0
		return actors.Props(func(w *actors.Worker) error {
			lives++
			first := lives == 1
			actors.On(w, func(t *actors.Task, m string) error {
				if first {
					return t.Cleanup(time.Hour, func(t *actors.Task) error { late(t, t); return nil })
				}
				second(t)
				return nil
			})
			actors.On(w, func(t *actors.Task, m *actor.Terminated) error { second(t); return nil })
			actors.On(w, func(t *actors.Task, m *actor.ReceiveTimeout) error { second(t); return nil })
			return nil
		}, actors.EventLoop(actors.Options{StopGrace: time.Second}))
	}},
	{"a Worker", func(late func(actor.Context, *actors.Task), second func(*actors.Task)) *actor.Props {
		lives := 0
		return actors.Props(func(w *actors.Worker) error {
			lives++
			first := lives == 1
			actors.On(w, func(t *actors.Task, m string) error {
				if first {
					late(w, t)
				} else {
					second(t)
				}
				return nil
			})
			actors.On(w, func(t *actors.Task, m *actor.Terminated) error { second(t); return nil })
			actors.On(w, func(t *actors.Task, m *actor.ReceiveTimeout) error { second(t); return nil })
			return nil
		}, actors.EventLoop(actors.Options{StopGrace: time.Second}))
	}},
	{"a plain actor", func(late func(actor.Context, *actors.Task), second func(*actors.Task)) *actor.Props {
		lives := 0
		return actor.PropsFromProducer(func() actor.Actor {
			lives++
			first := lives == 1
			return actor.ReceiveFunc(func(c actor.Context) {
				switch c.Message().(type) {
				case string:
					if first {
						late(c, actors.TaskOf(c))
						return
					}
					second(actors.TaskOf(c))
				case *actor.Terminated, *actor.ReceiveTimeout:
					second(actors.TaskOf(c))
				}
			})
		}, actors.EventLoop(actors.Options{StopGrace: time.Second}))
	}},
}

// TestAbandonedTaskDoesNotAct: each method of the engine's context fails or does
// nothing, and the incarnation that goes on notices nothing of it.
func TestAbandonedTaskDoesNotAct(t *testing.T) {
	type call struct {
		c     actor.Context
		t     *actors.Task
		other *actor.PID // an actor that should not hear of it
	}
	child := actors.Props(none)
	ext := &note{"late"}
	for name, do := range map[string]func(w *world, c call){
		"SpawnNamed": func(w *world, c call) {
			if pid, err := c.c.SpawnNamed(child, "late"); pid != nil || !errors.Is(err, actors.ErrRestarted) {
				w.Errorf("%v, %v", pid, err)
			}
		},
		"Spawn": func(w *world, c call) {
			testtools.WantPanic(w, func() { c.c.Spawn(child) }, "abandoned", "the work was cut off")
		},
		"SpawnPrefix": func(w *world, c call) {
			testtools.WantPanic(w, func() { c.c.SpawnPrefix(child, "late") }, "abandoned", "the work was cut off")
		},
		"actors.Spawn": func(w *world, c call) {
			if _, err := actors.Spawn(context.Background(), c.t, "late", none, actors.Options{}); !errors.Is(err, actors.ErrRestarted) {
				w.Errorf("%v", err)
			}
		},
		"Children":             func(w *world, c call) { w.wantNone("children", len(c.c.Children())) },
		"Watch":                func(_ *world, c call) { c.c.Watch(c.other) },
		"Unwatch":              func(_ *world, c call) { c.c.Unwatch(c.other) },
		"SetReceiveTimeout":    func(_ *world, c call) { c.c.SetReceiveTimeout(time.Second) },
		"CancelReceiveTimeout": func(_ *world, c call) { c.c.CancelReceiveTimeout() },
		"ReceiveTimeout":       func(w *world, c call) { w.wantNone("receive timeout", int(c.c.ReceiveTimeout())) },
		"Set and Get": func(w *world, c call) {
			c.c.Set(ext)
			if x := c.c.Get(noteID); x != nil {
				w.Errorf("got %v", x)
			}
		},
		"Send":                    func(_ *world, c call) { c.c.Send(c.other, "late") },
		"Request":                 func(_ *world, c call) { c.c.Request(c.other, "late") },
		"RequestWithCustomSender": func(_ *world, c call) { c.c.RequestWithCustomSender(c.other, "late", c.c.Self()) },
		"RequestFuture": func(w *world, c call) {
			if v, err := c.c.RequestFuture(c.other, "late", time.Minute).Result(); err != actor.ErrDeadLetter {
				w.Errorf("%v, %v", v, err)
			}
		},
		"actors.RequestFuture": func(w *world, c call) {
			wantErr(w, actors.RequestFuture[string](c.t, c.other, "late"), actors.ErrRestarted)
		},
		"Submit": func(w *world, c call) {
			wantErr(w, did(c.t, c.t.Self(), func(*actors.Task) error { w.Error("it runs"); return nil }), actors.ErrRestarted)
		},
		"Respond":       func(_ *world, c call) { c.c.Respond("late") },
		"Forward":       func(_ *world, c call) { _ = testtools.PanicOf(func() { c.c.Forward(c.other) }) },
		"Stash":         func(_ *world, c call) { c.c.Stash() },
		"Stop":          func(_ *world, c call) { c.c.Stop(c.other) },
		"Poison":        func(_ *world, c call) { c.c.Poison(c.other) },
		"Stop itself":   func(_ *world, c call) { c.c.Stop(c.c.Self()) },
		"Poison itself": func(_ *world, c call) { c.c.Poison(c.c.Self()) },
		"StopFuture": func(w *world, c call) {
			if err := c.c.StopFuture(c.other).Wait(); err != actor.ErrDeadLetter {
				w.Error(err)
			}
		},
		"PoisonFuture": func(w *world, c call) {
			if err := c.c.PoisonFuture(c.other).Wait(); err != actor.ErrDeadLetter {
				w.Error(err)
			}
		},
		"ReenterAfter": func(w *world, c call) {
			f := actor.NewFuture(w.sys, time.Minute)
			_ = testtools.PanicOf(func() { c.c.ReenterAfter(f, func(any, error) { w.Error("it goes on") }) })
			w.root.Send(f.PID(), 1)
		},
		"Receive": func(_ *world, c call) { c.c.Receive(actor.WrapEnvelope("late")) },
		"Actor and Self": func(w *world, c call) {
			if c.c.Actor() == nil || c.c.Self() == nil || c.c.Parent() == nil {
				w.Error("it does not know who it was")
			}
		},
	} {
		for _, who := range lateCallers {
			t.Run(name+" of "+who.name, func(t *testing.T) {
				bubble(t, func(w *world) {
					goOn, gone := make(chan struct{}), make(chan struct{})
					var heard testtools.Trace
					told := func(c actor.Context) {
						if s, ok := c.Message().(string); ok {
							heard.Add("other: %s", s)
						}
					}
					other := w.plain(told)
					sup, pid := w.supervised(supervisor.Child{Props: who.props(
						func(c actor.Context, t *actors.Task) {
							<-goOn
							defer close(gone)
							do(w, call{c, t, other})
						},
						func(t *actors.Task) {
							switch m := t.Message().(type) {
							case string:
								heard.Add("second: %s", m)
								if m == "begin" {
									t.SetReceiveTimeout(time.Hour)
									t.Watch(t.Spawn(child))
									close(goOn)
									<-gone
									heard.Add("%d children, receive timeout %v", len(t.Children()), t.ReceiveTimeout())
									if x := t.Get(noteID); x != nil {
										heard.Add("extension %v", x)
									}
								}
							default:
								heard.Add("second: %T", m)
							}
						},
					)})
					w.root.Send(pid, "hang")
					synctest.Wait()
					if err := sup.Restart(context.Background(), "child"); err != nil {
						w.Fatal(err)
					}
					w.root.Send(pid, "begin")
					time.Sleep(time.Minute)
					w.root.Send(pid, "end")
					w.root.Send(other, "end")
					synctest.Wait()
					w.root.Stop(other)
					time.Sleep(time.Second)
					want := []string{"second: begin", "1 children, receive timeout 1h0m0s", "second: end", "other: end"}
					got := heard.Take()
					slices.Sort(got)
					slices.Sort(want)
					if !slices.Equal(got, want) {
						w.Errorf("got %q, want %q", got, want)
					}
					_, _ = sup.Stop(context.Background())
				})
			})
		}
	}
}

func (w *world) wantNone(what string, n int) {
	w.Helper()
	if n != 0 {
		w.Errorf("%s: %d", what, n)
	}
}

// TestAbandonedWhileItSpawns: the child that is there at last is stopped, and
// the incarnation that goes on hears nothing of it.
func TestAbandonedWhileItSpawns(t *testing.T) {
	for _, who := range lateCallers {
		t.Run(who.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				goOn, gone := make(chan struct{}), make(chan error, 1)
				var heard testtools.Trace
				slow := actor.PropsFromProducer(func() actor.Actor {
					<-goOn
					return actor.ReceiveFunc(func(actor.Context) {})
				})
				sup, pid := w.supervised(supervisor.Child{Props: who.props(
					func(c actor.Context, t *actors.Task) {
						_, err := c.SpawnNamed(slow, "slow")
						gone <- err
					},
					func(t *actors.Task) { heard.Add("%T, %d children", t.Message(), len(t.Children())) },
				)})
				w.root.Send(pid, "hang")
				synctest.Wait()
				if err := sup.Restart(context.Background(), "child"); err != nil {
					w.Fatal(err)
				}
				close(goOn)
				if err := <-gone; !errors.Is(err, actors.ErrRestarted) {
					w.Errorf("the spawn: %v", err)
				}
				synctest.Wait()
				if _, there := w.sys.ProcessRegistry.GetLocal(pid.Id + "/slow"); there {
					w.Error("the child is still there")
				}
				w.root.Send(pid, "x")
				synctest.Wait()
				heard.Want(w, "string, 0 children")
				_, _ = sup.Stop(context.Background())
			})
		})
	}
}

// TestAbandonedTasksSpawnBesideTheNext: neither comes in the way of the other.
// The race detector looks, and so does the runtime at the engine's map.
func TestAbandonedTasksSpawnBesideTheNext(t *testing.T) {
	for _, who := range lateCallers {
		t.Run(who.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				goOn := make(chan struct{})
				done := make(chan struct{}, 2)
				child := actors.Props(none)
				work := func(c actor.Context) {
					for i := range 100 {
						if pid, err := c.SpawnNamed(child, fmt.Sprint(i)); err == nil {
							c.Stop(pid)
						}
						_ = c.Children()
					}
					done <- struct{}{}
				}
				sup, pid := w.supervised(supervisor.Child{Props: who.props(
					func(c actor.Context, _ *actors.Task) { <-goOn; work(c) },
					func(t *actors.Task) {
						if _, ok := t.Message().(string); ok {
							close(goOn)
							work(t)
						}
					},
				)})
				w.root.Send(pid, "hang")
				synctest.Wait()
				if err := sup.Restart(context.Background(), "child"); err != nil {
					w.Fatal(err)
				}
				w.root.Send(pid, "go on")
				<-done
				<-done
				synctest.Wait()
				_, _ = sup.Stop(context.Background())
			})
		})
	}
}
