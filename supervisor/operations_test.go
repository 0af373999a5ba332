// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/supervisor"
)

// Restart, which a user calls.
func TestRestartOp(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{MaxRestarts: -1, Strategy: supervisor.OneForAll, Children: w.children("a", "b")})
		w.noted("+a +b")
		f := w.tell(s.Child("a"), sleep{time.Hour})
		synctest.Wait()
		for range 5 { // of no budget
			if err := s.Restart(w.Context(), "a"); err != nil {
				t.Error(err)
			}
		}
		_, err := f.Wait(w.Context())
		w.wants(err, actors.ErrRestarted)
		w.noted("-a +a -a +a -a +a -a +a -a +a")
		if s.Children()[0].Restarts != 5 {
			t.Errorf("%+v", s.Children()[0])
		}
		w.stop(s)
		w.wants(s.Restart(w.Context(), "a"), actors.ErrStopping)
		w.wants(s.Remove(w.Context(), "a"), actors.ErrStopping)
		_, err = s.Add(w.Context(), w.child("c"))
		w.wants(err, actors.ErrStopping)
	})
}

// Restart of a child whose setup fails then is a failure like others.
func TestRestartOpFails(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{MaxRestarts: 3, Children: []supervisor.Child{{Name: "a", Props: w.part("a", func(n int, _ *actors.Worker) error {
			if n == 2 {
				return errSleep
			}
			return nil
		})}}})
		err := s.Restart(w.Context(), "a")
		w.wants(err, errSleep)
		w.noted("+a -a +a")
	})
}

// An operation whose caller has gone goes on.
func TestOpWithoutCaller(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{Children: w.children("a")})
		ctx, cancel := context.WithCancelCause(context.Background())
		op := actortest.Go(t, func() (struct{}, error) {
			_, err := s.Add(ctx, supervisor.Child{Name: "b", Props: w.part("b", func(_ int, aw *actors.Worker) error { return aw.Task().Sleep(time.Second) })})
			return struct{}{}, err
		})
		if !op.Blocked() {
			t.Error("it did not wait")
		}
		cancel(errSleep)
		if _, err := op.Result(); err != errSleep {
			t.Error(err)
		}
		time.Sleep(time.Second)
		w.noted("+a +b")
	})
}

// A child that ends by ErrDoNotRestart or ErrEscalate, from a Main, setup or
// Exit.
func TestChildDecides(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{MaxRestarts: -1, Children: w.children("a", "b")})
		w.ask(s.Child("a"), exit{errors.Join(errSleep, supervisor.ErrDoNotRestart)})
		w.noted("+a +b -a")
		w.ask(s.Child("b"), exit{errors.Join(errSleep, supervisor.ErrEscalate)})
		err := ended(s)
		var e *supervisor.EscalateError
		if !errors.As(err, &e) || e.Child != "b" || !errors.Is(err, errSleep) {
			t.Errorf("%v", err)
		}
		w.noted("-b")
	})
	// From a Main and a Background.
	for _, run := range []func(aw *actors.Worker, f func(t *actors.Task) error){
		func(aw *actors.Worker, f func(t *actors.Task) error) { aw.Main(f) },
		func(aw *actors.Worker, f func(t *actors.Task) error) { aw.Background("part", f) },
	} {
		bubble(t, func(w *world) {
			ends := func(name string, err error) supervisor.Child {
				return supervisor.Child{Name: name, Props: w.part(name, func(_ int, aw *actors.Worker) error {
					run(aw, func(t *actors.Task) error { t.Sleep(time.Second); return err })
					return nil
				})}
			}
			s := w.start(supervisor.Spec{MaxRestarts: -1, Children: []supervisor.Child{ends("a", supervisor.ErrDoNotRestart)}})
			time.Sleep(time.Minute)
			w.noted("+a -a")
			_, err := s.Add(w.Context(), ends("b", supervisor.ErrEscalate))
			w.wants(err, nil)
			w.wants(ended(s), supervisor.ErrEscalate)
			w.noted("+b -b")
		})
	}
	for _, is := range []error{supervisor.ErrDoNotRestart, supervisor.ErrEscalate} {
		bubble(t, func(w *world) {
			s := w.start(supervisor.Spec{MaxRestarts: 1, Strategy: supervisor.OneForAll, Children: []supervisor.Child{
				w.child("a"),
				{Name: "b", Props: w.part("b", func(n int, _ *actors.Worker) error {
					if n > 1 {
						return is
					}
					return nil
				})},
				w.child("c"),
			}})
			w.noted("+a +b +c")
			w.crash(s.Child("a"))
			if is == supervisor.ErrEscalate {
				w.wants(ended(s), is)
				w.noted("-c -b -a +a -a")
				return
			}
			w.noted("-c -b -a +a +c")
			if state(s, "b") != "gone" {
				t.Error(state(s, "b"))
			}
		})
	}
}

// A Main that returns nil: Permanent starts it again, and that is in the
// budget.
func TestMainReturns(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{MaxRestarts: 2, Children: []supervisor.Child{{Name: "a", Props: w.part("a", func(_ int, aw *actors.Worker) error {
			aw.Main(func(t *actors.Task) error { return t.Sleep(time.Second) })
			return nil
		})}}})
		err := ended(s)
		var e *supervisor.IntensityError
		if !errors.As(err, &e) || e.Err != nil {
			t.Error(err)
		}
		w.noted("+a -a +a -a +a -a")
		if got := e.Error(); got != `supervisor: app: more than 2 restarts within 5s; the last to end was "a"` {
			t.Error(got)
		}
	})
}

// A setup that adds, removes or restarts where that has to wait for its own end
// is told so at once. Elsewhere it may.
func TestCallsFromSetup(t *testing.T) {
	calls := map[string]func(ctx context.Context, w *world, s *supervisor.Supervisor) error{
		"Add": func(ctx context.Context, w *world, s *supervisor.Supervisor) error {
			_, err := s.Add(ctx, w.child("new"))
			return err
		},
		"Remove":        func(ctx context.Context, _ *world, s *supervisor.Supervisor) error { return s.Remove(ctx, "a") },
		"Restart":       func(ctx context.Context, _ *world, s *supervisor.Supervisor) error { return s.Restart(ctx, "a") },
		"Restart of it": func(ctx context.Context, _ *world, s *supervisor.Supervisor) error { return s.Restart(ctx, "b") },
	}
	for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll, supervisor.RestForOne} {
		for name, call := range calls {
			for _, deep := range []bool{false, true} { // the setup of a child's own child
				bubble(t, func(w *world) {
					s := w.start(supervisor.Spec{Strategy: strategy, Children: w.children("a")})
					var got error
					caller := w.part("caller", func(_ int, aw *actors.Worker) error {
						_, err := actors.Await(aw.Task(), actors.Offload(aw.Task(), func(ctx context.Context) (int, error) {
							got = call(ctx, w, s)
							return 0, nil
						}))
						return err
					})
					if deep {
						caller = w.props(supervisor.Spec{Children: []supervisor.Child{{Name: "in", Props: caller}}})
					}
					begin := time.Now()
					if _, err := s.Add(w.Context(), supervisor.Child{Name: "b", Props: caller}); err != nil {
						t.Errorf("%v, %s: %v", strategy, name, err)
					}
					w.took(begin, 0)
					var want error
					if strategy != supervisor.OneForOne || name == "Restart of it" {
						want = supervisor.ErrInSetup
					}
					if !errors.Is(got, want) {
						t.Errorf("%v, %s, deep %v: %v, want %v", strategy, name, deep, got, want)
					}
				})
			}
		}
	}
}

// A Goexit of a producer, or of what is called on init, is why a child does not
// start, at first and later, and nothing else is the worse for it.
func TestGoexitInSpawn(t *testing.T) {
	for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll} {
		for name, props := range map[string]func(exits *atomic.Bool) *actor.Props{
			"producer": func(exits *atomic.Bool) *actor.Props {
				return actor.PropsFromProducer(func() actor.Actor {
					if exits.Load() {
						runtime.Goexit()
					}
					return actor.ReceiveFunc(func(actor.Context) {})
				})
			},
			"on init": func(exits *atomic.Bool) *actor.Props {
				return actor.PropsFromFunc(func(actor.Context) {}, actor.WithOnInit(func(actor.Context) {
					if exits.Load() {
						runtime.Goexit()
					}
				}))
			},
		} {
			bubble(t, func(w *world) { // at the first start
				var exits atomic.Bool
				exits.Store(true)
				_, err := w.tryStart(supervisor.Spec{Strategy: strategy, Children: []supervisor.Child{w.child("a"), {Name: "b", Props: props(&exits)}}})
				var e *supervisor.StartError
				if !errors.As(err, &e) || e.Child != "b" || !errors.Is(err, actors.ErrGoexit) {
					t.Errorf("%v, %s: %v", strategy, name, err)
				}
			})
			bubble(t, func(w *world) { // later: the second try succeeds
				var exits atomic.Bool
				s := w.start(supervisor.Spec{Strategy: strategy, MaxRestarts: 3, Children: []supervisor.Child{w.child("a"),
					{Name: "b", Props: props(&exits), Backoff: actors.Backoff{Initial: time.Second}}}})
				exits.Store(true)
				w.root.Stop(s.Child("b"))
				time.Sleep(1500 * time.Millisecond)
				exits.Store(false)
				time.Sleep(5 * time.Second)
				if got := state(s, "b"); got != "up" {
					t.Errorf("%v, %s: it is %s", strategy, name, got)
				}
				_, err := s.Add(w.Context(), supervisor.Child{Name: "c", Props: props(&exits)})
				w.wants(err, nil)
				exits.Store(true)
				_, err = s.Add(w.Context(), supervisor.Child{Name: "d", Props: props(&exits)})
				w.wants(err, actors.ErrGoexit)
				if _, there := w.sys.ProcessRegistry.GetLocal("app/d"); there {
					t.Error("what was registered is still there")
				}
			})
		}
	}
}
