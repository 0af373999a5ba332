// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"errors"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// otp is one of the behaviors that OTP documents: its words, from the manual
// of supervisor, "Supervisor Behaviour" (sup_princ) or the comments of
// supervisor.erl, and what shows that ours is the same.
type otp struct {
	name, says string
	test       func(w *world)
}

func testOTP(t *testing.T, rows []otp) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Log("OTP: " + row.says)
			bubble(t, row.test)
		})
	}
}

// spec of three parts, a, b and c.
func (w *world) abc(strategy supervisor.Strategy, change ...func(c *supervisor.Child)) *supervisor.Supervisor {
	w.Helper()
	kids := w.children("a", "b", "c")
	for i := range kids {
		for _, f := range change {
			f(&kids[i])
		}
	}
	s := w.start(supervisor.Spec{Strategy: strategy, MaxRestarts: 3, Children: kids})
	w.noted("+a +b +c")
	return s
}

func TestOTPStrategies(t *testing.T) {
	testOTP(t, []otp{
		{"one_for_one", "If one child process terminates and is to be restarted, only that child process is affected.", func(w *world) {
			s := w.abc(supervisor.OneForOne)
			w.crash(s.Child("b"))
			w.noted("-b +b")
		}},
		{"one_for_all", "If one child process terminates and is to be restarted, all other child processes are terminated and then all child processes are restarted.", func(w *world) {
			s := w.abc(supervisor.OneForAll)
			w.crash(s.Child("b"))
			w.noted("-c -b -a +a +b +c")
		}},
		{"rest_for_one", "the 'rest' of the child processes (that is, the child processes after the terminated child process in the start order) are terminated. Then the terminated child process and all child processes after it are restarted.", func(w *world) {
			s := w.abc(supervisor.RestForOne)
			w.crash(s.Child("b"))
			w.noted("-c -b +b +c")
			w.crash(s.Child("c"))
			w.noted("-c +c")
			w.crash(s.Child("a"))
			w.noted("-c -b -a +a +b +c")
		}},
		{"default", "one_for_one … is the default restart strategy.", func(w *world) {
			s := w.start(supervisor.Spec{Children: w.children("a", "b")})
			w.noted("+a +b")
			w.crash(s.Child("a"))
			w.noted("-a +a")
		}},
		{"start order", "When the supervisor is started, the child processes are started in order from left to right according to this list.", func(w *world) {
			slow := func(d time.Duration) func(int, *actors.Worker) error {
				return func(_ int, aw *actors.Worker) error { return aw.Task().Sleep(d) }
			}
			begin := time.Now()
			w.start(supervisor.Spec{Children: []supervisor.Child{
				{Name: "a", Props: w.part("a", slow(2*time.Second))}, {Name: "b", Props: w.part("b", slow(time.Second))}, w.child("c"),
			}})
			w.took(begin, 3*time.Second)
			w.noted("+a +b +c")
		}},
		{"stop order", "When the supervisor is going to terminate, it first terminates its child processes in reversed start order, from right to left.", func(w *world) {
			s := w.abc(supervisor.OneForOne)
			w.stop(s)
			w.noted("-c -b -a")
		}},
	})
}

func TestOTPRestartTypes(t *testing.T) {
	is := func(r supervisor.Restart) func(*supervisor.Child) { return func(c *supervisor.Child) { c.Restart = r } }
	testOTP(t, []otp{
		{"permanent", "A permanent child process is always restarted.", func(w *world) {
			s := w.abc(supervisor.OneForOne)
			w.crash(s.Child("b"))
			w.noted("-b +b")
			w.ask(s.Child("b"), exit{nil})
			w.noted("-b +b")
		}},
		{"transient, abnormally", "A transient child process is restarted only if it terminates abnormally", func(w *world) {
			s := w.abc(supervisor.OneForOne, is(supervisor.Transient))
			w.crash(s.Child("b"))
			w.noted("-b +b")
			w.ask(s.Child("b"), exit{errors.New("bad")})
			w.noted("-b +b")
		}},
		{"transient, normally", "… that is, with another exit reason than normal, shutdown, or {shutdown,Term}.", func(w *world) {
			s := w.abc(supervisor.OneForOne, is(supervisor.Transient))
			w.ask(s.Child("b"), exit{nil})
			w.noted("-b")
			if got := state(s, "b"); got != "gone" {
				w.Errorf("its state is %s", got)
			}
			actors.RequestStop(w.root, s.Child("c"), 0) // shutdown, by somebody else
			w.noted("-c")
		}},
		{"temporary", "A temporary child process is never restarted", func(w *world) {
			s := w.abc(supervisor.OneForOne, is(supervisor.Temporary))
			w.crash(s.Child("b"))
			w.noted("-b")
			w.ask(s.Child("a"), exit{nil})
			w.noted("-a")
		}},
		{"temporary, deleted", "for temporary children, the child specification is automatically deleted when the child terminates", func(w *world) {
			s := w.abc(supervisor.OneForOne, is(supervisor.Temporary))
			w.crash(s.Child("b"))
			if got := state(s, "b"); got != "unknown" {
				w.Errorf("its state is %s", got)
			}
			w.wants(s.Restart(w.Context(), "b"), supervisor.ErrUnknownChild)
		}},
		{"temporary in a group", "(even when the supervisor's restart strategy is rest_for_one or one_for_all and a sibling's death causes the temporary process to be terminated)", func(w *world) {
			for _, strategy := range []supervisor.Strategy{supervisor.OneForAll, supervisor.RestForOne} {
				kids := w.children("a", "b", "c")
				kids[1].Restart = supervisor.Temporary
				s := w.start(supervisor.Spec{Strategy: strategy, Children: kids})
				w.noted("+a +b +c")
				w.crash(s.Child("a"))
				w.noted("-c -b -a +a +c")
				if s.Child("b") != nil {
					w.Error("b is still there")
				}
				w.stop(s)
				w.noted("-c -a")
			}
		}},
		{"temporary fails in a group", "do_restart(Reason, Child, State) when ?is_temporary(Child) -> … del_child(Child, State)", func(w *world) {
			kids := w.children("a", "b", "c")
			kids[0].Restart = supervisor.Temporary
			s := w.start(supervisor.Spec{Strategy: supervisor.OneForAll, Children: kids})
			w.noted("+a +b +c")
			w.crash(s.Child("a"))
			w.noted("-a") // and the others go on
		}},
		{"a group starts who had ended", "all child processes are restarted: start_children starts every child that is not temporary, also one that had terminated", func(w *world) {
			s := w.abc(supervisor.OneForAll, is(supervisor.Transient))
			w.ask(s.Child("b"), exit{nil})
			w.noted("-b")
			w.crash(s.Child("a"))
			w.noted("-c -a +a +b +c")
		}},
	})
}

func TestOTPIntensity(t *testing.T) {
	const within = 10 * time.Second
	spec := func(w *world, most int) *supervisor.Supervisor {
		s := w.start(supervisor.Spec{MaxRestarts: most, Within: within, Children: w.children("a", "b")})
		w.noted("+a +b")
		return s
	}
	failsAt := func(w *world, s *supervisor.Supervisor, most int) {
		w.Helper()
		err := ended(s)
		var e *supervisor.IntensityError
		if !errors.As(err, &e) || e.MaxRestarts != most {
			w.Errorf("it ended with %v", err)
		}
	}
	testOTP(t, []otp{
		{"within", "if more than MaxR restarts occur within MaxT seconds, the supervisor terminates all child processes and then itself.", func(w *world) {
			s := spec(w, 2)
			w.crash(s.Child("a"))
			w.crash(s.Child("a"))
			w.noted("-a +a -a +a")
			w.crash(s.Child("a"))
			failsAt(w, s, 2)
			w.noted("-b -a") // the others, in reverse; a's last incarnation ends when it is stopped
		}},
		{"all children", "MaxR restarts: add_restart/1 counts them in the state of the supervisor, whoever fails", func(w *world) {
			s := spec(w, 2)
			w.crash(s.Child("a"))
			w.crash(s.Child("b"))
			w.crash(s.Child("a"))
			failsAt(w, s, 2)
		}},
		{"edge, inside", "add_restart: fun (R) -> R >= Threshold end, with Threshold = Now - Period", func(w *world) {
			s := spec(w, 1)
			w.crash(s.Child("a"))
			time.Sleep(within)
			w.crash(s.Child("a"))
			failsAt(w, s, 1)
		}},
		{"edge, outside", "… and what is older is dropped", func(w *world) {
			s := spec(w, 1)
			for range 5 {
				w.crash(s.Child("a"))
				time.Sleep(within + 1)
			}
			w.noted("-a +a -a +a -a +a -a +a -a +a")
		}},
		{"default", "intensity defaults to 1 and period defaults to 5.", func(w *world) {
			s := w.start(supervisor.Spec{Children: w.children("a")})
			w.crash(s.Child("a"))
			time.Sleep(5*time.Second + 1)
			w.crash(s.Child("a"))
			w.noted("+a -a +a -a +a")
			time.Sleep(5 * time.Second)
			w.crash(s.Child("a"))
			failsAt(w, s, 1)
		}},
		{"zero", "intensity => non_neg_integer(): with 0 the first failure is one too many", func(w *world) {
			s := spec(w, -1)
			w.crash(s.Child("a"))
			failsAt(w, s, 0)
		}},
		{"group counts once", "restart(Child, State) -> case add_restart(State): once for the child that has terminated, not for its siblings", func(w *world) {
			s := w.start(supervisor.Spec{Strategy: supervisor.OneForAll, MaxRestarts: 2, Children: w.children("a", "b", "c")})
			w.crash(s.Child("a"))
			w.crash(s.Child("b"))
			if s.Err() != nil || state(s, "c") != "up" {
				w.Errorf("it ended with %v", s.Err())
			}
		}},
		{"failed restarts count", "If a restart attempt failed … try again: handle_cast({try_again_restart, …}) calls restart/2, which counts", func(w *world) {
			s := w.start(supervisor.Spec{MaxRestarts: 3, Children: []supervisor.Child{{Name: "a", Props: w.part("a", func(n int, _ *actors.Worker) error {
				if n > 1 {
					w.note("bad")
					return errors.New("no")
				}
				return nil
			})}}})
			w.crash(s.Child("a"))
			failsAt(w, s, 3)
			w.noted("+a -a bad bad bad")
		}},
	})
}

func TestOTPStart(t *testing.T) {
	bad := errors.New("no way")
	fails := func(w *world, name string) supervisor.Child {
		return supervisor.Child{Name: name, Props: w.part(name, func(int, *actors.Worker) error { return bad })}
	}
	testOTP(t, []otp{
		{"failure", "the supervisor first terminates all already started child processes with reason shutdown and then terminate itself and returns {error, {shutdown, Reason}}.", func(w *world) {
			_, err := w.tryStart(supervisor.Spec{Children: []supervisor.Child{w.child("a"), w.child("b"), fails(w, "c"), w.child("d")}})
			var e *supervisor.StartError
			if !errors.As(err, &e) || e.Child != "c" || e.Supervisor != "app" {
				w.Errorf("the error is %v", err)
			}
			w.wants(err, bad)
			w.noted("+a +b -b -a")
			if _, there := w.sys.ProcessRegistry.GetLocal("app"); there {
				w.Error("the supervisor is still there")
			}
		}},
		{"synchronous", "start_link/2,3 does not return until Module:init/1 has returned and all child processes have been started.", func(w *world) {
			begin := time.Now()
			s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "a", Props: w.part("a", func(_ int, aw *actors.Worker) error {
				return aw.Task().Sleep(time.Minute)
			}), StartTimeout: time.Hour}}})
			w.took(begin, time.Minute)
			if state(s, "a") != "up" {
				w.Error("a is not up")
			}
		}},
		{"name taken", "If there already exists a process with the specified SupName, the function returns {error,{already_started,Pid}}", func(w *world) {
			w.start(supervisor.Spec{Children: w.children("a")})
			if _, err := w.tryStart(supervisor.Spec{Children: w.children("b")}); err == nil {
				w.Error("it has started twice")
			}
			w.noted("+a")
		}},
		{"add", "Dynamically adds a child specification to supervisor SupRef, which starts the corresponding child process.", func(w *world) {
			s := w.abc(supervisor.RestForOne)
			pid, err := s.Add(w.Context(), w.child("d"))
			if err != nil || !pid.Equal(s.Child("d")) {
				w.Errorf("%v, %v", pid, err)
			}
			w.noted("+d")
			w.crash(s.Child("c"))
			w.noted("-d -c +c +d")
		}},
		{"add twice", "If there already exists a child specification with the specified identifier, ChildSpec is discarded", func(w *world) {
			s := w.abc(supervisor.OneForOne)
			_, err := s.Add(w.Context(), w.child("a"))
			w.wants(err, supervisor.ErrExists)
			var there *supervisor.ExistsError // "the function returns {error,{already_started,Child}}"
			if !errors.As(err, &there) || there.Child != "a" || there.Supervisor != s.PID().Id || !there.PID.Equal(s.Child("a")) {
				w.Errorf("%#v", err)
			}
			w.noted("")
		}},
		{"add fails", "if it fails, the child specification is discarded, and the function returns {error,Error}", func(w *world) {
			for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll} {
				s := w.abc(strategy)
				_, err := s.Add(w.Context(), fails(w, "d"))
				w.wants(err, bad)
				if got := state(s, "d"); got != "unknown" {
					w.Errorf("its state is %s", got)
				}
				w.noted("")
				w.stop(s)
				w.noted("-c -b -a")
			}
		}},
		{"added are lost", "if a supervisor dies and is recreated, then all child processes that were dynamically added to the supervisor are lost.", func(w *world) {
			inner := w.props(supervisor.Spec{MaxRestarts: -1, Children: w.children("x")})
			s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "inner", Props: inner}}})
			if _, err := s.Supervisor("inner").Add(w.Context(), w.child("y")); err != nil {
				w.Fatal(err)
			}
			w.noted("+x +y")
			w.crash(s.Child("inner/x"))
			w.noted("-y -x +x")
			if s.Child("inner/y") != nil || s.Child("inner/x") == nil {
				w.Error("of inner's children the wrong ones are there")
			}
		}},
		{"restart_child", "Tells supervisor SupRef to restart a child process corresponding to the child specification identified by Id.", func(w *world) {
			s := w.abc(supervisor.OneForAll, func(c *supervisor.Child) { c.Restart = supervisor.Transient })
			w.ask(s.Child("b"), exit{nil})
			w.noted("-b")
			if err := s.Restart(w.Context(), "b"); err != nil {
				w.Error(err)
			}
			w.noted("+b")
			w.wants(s.Restart(w.Context(), "x"), supervisor.ErrUnknownChild)
		}},
		{"terminate_child", "The process, if any, is terminated … Stopping a significant child … will not trigger an automatic shutdown.", func(w *world) {
			s := w.start(supervisor.Spec{AutoShutdown: supervisor.AnySignificant, Children: []supervisor.Child{
				with(w.child("a"), func(c *supervisor.Child) { c.Restart, c.Significant = supervisor.Transient, true }), w.child("b"),
			}})
			w.noted("+a +b")
			if err := s.Remove(w.Context(), "a"); err != nil {
				w.Error(err)
			}
			w.noted("-a")
			w.wants(s.Remove(w.Context(), "a"), supervisor.ErrUnknownChild)
			select {
			case <-s.Stopped():
				w.Error("it has stopped")
			default:
			}
		}},
	})
}
