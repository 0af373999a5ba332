// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/supervisor"
)

// While a group waits for its backoff its members can be removed, restarted
// and added, a stop ends the wait, and a failure of another one takes the
// group over.
func TestDuringBackoff(t *testing.T) {
	start := func(w *world) *supervisor.Supervisor {
		kids := w.children("a", "b", "c", "d")
		kids[1].Backoff.Initial = time.Minute
		s := w.start(supervisor.Spec{Strategy: supervisor.RestForOne, MaxRestarts: 5, Children: kids})
		w.crash(s.Child("b"))
		w.noted("+a +b +c +d -d -c -b")
		return s
	}
	for name, test := range map[string]func(w *world, s *supervisor.Supervisor){
		"nothing": func(w *world, s *supervisor.Supervisor) {
			time.Sleep(time.Minute - 1)
			w.noted("")
			time.Sleep(time.Nanosecond)
			w.noted("+b +c +d")
		},
		"remove a sibling": func(w *world, s *supervisor.Supervisor) {
			w.wants(s.Remove(w.Context(), "c"), nil)
			w.noted("")
			time.Sleep(time.Minute)
			w.noted("+b +d")
		},
		"remove the one that failed": func(w *world, s *supervisor.Supervisor) {
			begin := time.Now()
			w.wants(s.Remove(w.Context(), "b"), nil)
			w.noted("+c +d")
			w.took(begin, 0)
		},
		"restart the one that failed": func(w *world, s *supervisor.Supervisor) {
			w.wants(s.Restart(w.Context(), "b"), nil)
			w.noted("+b +c +d")
		},
		"restart a sibling": func(w *world, s *supervisor.Supervisor) {
			w.wants(s.Restart(w.Context(), "d"), nil)
			w.noted("+d")
			time.Sleep(time.Minute)
			w.noted("+b +c")
		},
		"add": func(w *world, s *supervisor.Supervisor) {
			_, err := s.Add(w.Context(), w.child("e")) // which may need them
			w.wants(err, nil)
			w.noted("+b +c +d +e")
		},
		"add, and the one that failed is removed": func(w *world, s *supervisor.Supervisor) {
			added := actortest.Go(w.T, func() (*actor.PID, error) { return s.Add(w.Context(), w.child("e")) })
			if !added.Blocked() {
				w.Error("it was added before those that come before it were up")
			}
			w.wants(s.Remove(w.Context(), "b"), nil)
			_, err := added.Result()
			w.wants(err, nil)
			w.noted("+c +d +e")
		},
		"add, and a stop": func(w *world, s *supervisor.Supervisor) {
			added := actortest.Go(w.T, func() (*actor.PID, error) { return s.Add(w.Context(), w.child("e")) })
			added.Blocked()
			w.stop(s)
			_, err := added.Result()
			w.wants(err, actors.ErrStopping)
			w.noted("-a")
		},
		"an earlier one fails": func(w *world, s *supervisor.Supervisor) {
			w.crash(s.Child("a"))
			w.noted("-a +a +b +c +d")
			time.Sleep(time.Hour)
			w.noted("")
		},
		"an earlier one is let go": func(w *world, s *supervisor.Supervisor) {
			w.ask(s.Child("a"), exit{supervisor.ErrDoNotRestart})
			w.noted("-a")
			time.Sleep(time.Minute)
			w.noted("+b +c +d")
		},
		"a sibling is stopped by somebody": func(w *world, s *supervisor.Supervisor) {
			w.root.Stop(s.Child("c"))
			w.noted("")
			time.Sleep(time.Minute)
			w.noted("+b +c +d")
		},
		"a sibling that was restarted fails": func(w *world, s *supervisor.Supervisor) {
			w.wants(s.Restart(w.Context(), "c"), nil)
			w.crash(s.Child("c"))
			w.noted("+c -c +b +c +d") // who is down comes up together
			time.Sleep(time.Hour)
			w.noted("")
		},
		"stop": func(w *world, s *supervisor.Supervisor) {
			begin := time.Now()
			w.stop(s)
			w.took(begin, 0)
			w.noted("-a")
		},
		"too many": func(w *world, s *supervisor.Supervisor) {
			for range 5 {
				w.crash(s.Child("a"))
			}
			var e *supervisor.IntensityError
			if err := ended(s); !errors.As(err, &e) {
				w.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				s := start(w)
				test(w, s)
				w.stop(s)
			})
		})
	}
}

// A member that fails while its group is brought to rest comes up with the
// others, and that is no failure more.
func TestFailureOnTheWayToRest(t *testing.T) {
	for _, strategy := range []supervisor.Strategy{supervisor.OneForAll, supervisor.RestForOne} {
		for _, restart := range []supervisor.Restart{supervisor.Permanent, supervisor.Transient} {
			t.Run(strategy.String()+", "+restart.String(), func(t *testing.T) {
				bubble(t, func(w *world) {
					b := with(w.child("b"), func(c *supervisor.Child) { c.Restart = restart })
					s := w.start(supervisor.Spec{Strategy: strategy, MaxRestarts: 1, Children: []supervisor.Child{w.child("a"), b, w.child("c")}})
					now := make(chan struct{})
					w.root.Send(s.Child("b"), do{func(*actors.Task) error { <-now; panic("b, too") }})
					synctest.Wait()
					w.crash(s.Child("a"))
					close(now)
					synctest.Wait()
					w.noted("+a +b +c -c -b -a +a +b +c")
					for _, name := range []string{"a", "b", "c"} {
						if got := state(s, name); got != "up" {
							t.Errorf("%s is %s; supervisor: %v", name, got, s.Err())
						}
					}
					w.stop(s)
				})
			})
		}
	}
}
