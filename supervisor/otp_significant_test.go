// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

func TestOTPSignificant(t *testing.T) {
	spec := func(w *world, auto supervisor.AutoShutdown, r supervisor.Restart) *supervisor.Supervisor {
		sig := func(c *supervisor.Child) { c.Restart, c.Significant = r, true }
		s := w.start(supervisor.Spec{AutoShutdown: auto, MaxRestarts: 5, Children: []supervisor.Child{
			with(w.child("a"), sig), w.child("b"), with(w.child("c"), sig),
		}})
		w.noted("+a +b +c")
		return s
	}
	stopped := func(w *world, s *supervisor.Supervisor, want bool) {
		w.Helper()
		synctest.Wait()
		select {
		case <-s.Stopped():
			if !want {
				w.Error("it has stopped")
			}
		default:
			if want {
				w.Error("it has not stopped")
			}
		}
	}
	testOTP(t, []otp{
		{"any", "any_significant: The supervisor will shut itself down when any significant child terminates, that is, when a transient significant child terminates normally", func(w *world) {
			s := spec(w, supervisor.AnySignificant, supervisor.Transient)
			w.ask(s.Child("b"), exit{nil}) // not significant
			w.noted("-b +b")
			w.crash(s.Child("a")) // not its end
			w.noted("-a +a")
			stopped(w, s, false)
			w.ask(s.Child("a"), exit{nil})
			stopped(w, s, true)
			w.noted("-a -c -b")
			if s.Err() != nil {
				w.Errorf("a normal end with %v", s.Err())
			}
			for _, e := range eventsOf[supervisor.StopPhase](w) {
				if e.Child == "" && e.Err != supervisor.ErrShutdown {
					w.Errorf("%+v", e)
				}
			}
		}},
		{"any, temporary", "… or when a temporary significant child terminates normally or abnormally.", func(w *world) {
			s := spec(w, supervisor.AnySignificant, supervisor.Temporary)
			w.crash(s.Child("c"))
			stopped(w, s, true)
			w.noted("-c -b -a")
		}},
		{"all", "all_significant: … when all significant children have terminated, that is, when the last active significant child terminates.", func(w *world) {
			s := spec(w, supervisor.AllSignificant, supervisor.Transient)
			w.ask(s.Child("c"), exit{nil})
			stopped(w, s, false)
			w.ask(s.Child("a"), exit{nil})
			stopped(w, s, true)
			w.noted("-c -a -b")
		}},
		{"all, and one has not started", "… when the last active significant child terminates: one that is yet to start is none that has terminated", func(w *world) {
			sig := func(c *supervisor.Child) { c.Restart, c.Significant = supervisor.Transient, true }
			short := with(supervisor.Child{Name: "short", Props: w.part("short", func(_ int, aw *actors.Worker) error {
				aw.Main(func(*actors.Task) error { return nil })
				return nil
			})}, sig)
			slow := supervisor.Child{Name: "slow", Props: w.part("slow", func(_ int, aw *actors.Worker) error {
				return aw.Task().Sleep(time.Second)
			})}
			s := w.start(supervisor.Spec{AutoShutdown: supervisor.AllSignificant, Children: []supervisor.Child{short, slow, with(w.child("last"), sig)}})
			stopped(w, s, false)
			w.ask(s.Child("last"), exit{nil})
			stopped(w, s, true)
			w.noted("+short -short +slow +last -last -slow")
		}},
		{"all, and one is down for a moment", "neither the termination of a child as a consequence of a sibling's death …", func(w *world) {
			sig := func(c *supervisor.Child) { c.Restart, c.Significant = supervisor.Transient, true }
			inner := with(supervisor.Child{Name: "inner", Props: w.props(supervisor.Spec{Children: w.children("x")})}, sig)
			b := with(w.child("b"), func(c *supervisor.Child) { c.Backoff.Initial = time.Minute })
			s := w.start(supervisor.Spec{Strategy: supervisor.RestForOne, AutoShutdown: supervisor.AllSignificant,
				Children: []supervisor.Child{with(w.child("a"), sig), b, inner}})
			w.crash(s.Child("b"))
			w.ask(s.Child("a"), exit{nil})
			stopped(w, s, false)
			time.Sleep(time.Minute)
			w.noted("+a +b +x -x -b -a +b +x")
		}},
		{"not by a sibling", "neither the termination of a child as a consequence of a sibling's death … will trigger an automatic shutdown.", func(w *world) {
			s := w.start(supervisor.Spec{Strategy: supervisor.OneForAll, AutoShutdown: supervisor.AnySignificant, Children: []supervisor.Child{
				w.child("a"), with(w.child("b"), func(c *supervisor.Child) { c.Restart, c.Significant = supervisor.Temporary, true }),
			}})
			w.crash(s.Child("a"))
			w.noted("+a +b -b -a +a")
			stopped(w, s, false)
		}},
		{"never", "With auto_shutdown set to never, child specs with the significant flag set to true are considered invalid and will be rejected.", func(w *world) {
			c := with(w.child("a"), func(c *supervisor.Child) { c.Restart, c.Significant = supervisor.Transient, true })
			var e *actors.OptionError
			if _, err := w.tryStart(supervisor.Spec{Children: []supervisor.Child{c}}); !errors.As(err, &e) || e.Field != "Significant" {
				w.Errorf("%v", err)
			}
			s := w.start(supervisor.Spec{})
			if _, err := s.Add(w.Context(), c); !errors.As(err, &e) || e.Field != "Significant" {
				w.Errorf("added: %v", err)
			}
		}},
		{"permanent", "Setting this option to true when the restart type is permanent is invalid.", func(w *world) {
			var e *actors.OptionError
			_, err := w.tryStart(supervisor.Spec{AutoShutdown: supervisor.AllSignificant, Children: []supervisor.Child{
				with(w.child("a"), func(c *supervisor.Child) { c.Significant = true }),
			}})
			if !errors.As(err, &e) || e.Field != "Significant" || e.Of != `supervisor: spec "app", child "a"` {
				w.Errorf("%v", err)
			}
		}},
		{"the parent of an automatic shutdown", "Supervisors configured for automatic shutdown should not be made permanent children …, as they would be restarted immediately after having automatically shut down", func(w *world) {
			inner := w.props(supervisor.Spec{AutoShutdown: supervisor.AnySignificant, Children: []supervisor.Child{
				with(w.child("x"), func(c *supervisor.Child) { c.Restart, c.Significant = supervisor.Transient, true }),
			}})
			s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "p", Props: inner}, {Name: "t", Props: inner, Restart: supervisor.Transient}}})
			w.noted("+x +x")
			w.ask(s.Child("p/x"), exit{nil})
			w.noted("-x +x")
			w.ask(s.Child("t/x"), exit{nil})
			w.noted("-x")
			if p, tr := state(s, "p"), state(s, "t"); p != "up" || tr != "gone" {
				w.Errorf("the permanent one is %s, the transient one %s", p, tr)
			}
		}},
	})
}
