package supervisor_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

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
		w.wants(s.Restart(w.Context(), "a"), supervisor.ErrStopping)
		w.wants(s.Remove(w.Context(), "a"), supervisor.ErrStopping)
		_, err = s.Add(w.Context(), w.child("c"))
		w.wants(err, supervisor.ErrStopping)
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
		w.ask(s.Child("a"), exit{errors.Join(errSleep, actors.ErrDoNotRestart)})
		w.noted("+a +b -a")
		w.ask(s.Child("b"), exit{errors.Join(errSleep, actors.ErrEscalate)})
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
			s := w.start(supervisor.Spec{MaxRestarts: -1, Children: []supervisor.Child{ends("a", actors.ErrDoNotRestart)}})
			time.Sleep(time.Minute)
			w.noted("+a -a")
			_, err := s.Add(w.Context(), ends("b", actors.ErrEscalate))
			w.wants(err, nil)
			w.wants(ended(s), actors.ErrEscalate)
			w.noted("+b -b")
		})
	}
	for _, is := range []error{actors.ErrDoNotRestart, actors.ErrEscalate} {
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
			if is == actors.ErrEscalate {
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
