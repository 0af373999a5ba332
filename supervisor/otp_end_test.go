// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// stubborn is a part whose Main takes d to end when it is told to stop.
func (w *world) stubborn(name string, d time.Duration) *actor.Props {
	return w.part(name, func(_ int, aw *actors.Worker) error {
		aw.Background("stubborn", func(t *actors.Task) error {
			if _, err := t.SleepOrStop(time.Hour * 24); err != nil {
				return err
			}
			return t.Sleep(d)
		})
		return nil
	}, actors.Options{StopGrace: time.Second})
}

func TestOTPShutdown(t *testing.T) {
	one := func(w *world, props *actor.Props, d time.Duration) (supervisor.ChildReport, time.Duration) {
		w.Helper()
		s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "a", Props: props, Shutdown: d}}})
		begin := time.Now()
		r := w.stop(s)
		return row(r.Children, "a"), time.Since(begin)
	}
	testOTP(t, []otp{
		{"in time", "the supervisor tells the child process to terminate … and then wait for an exit signal with reason shutdown back from the child process.", func(w *world) {
			if _, took := one(w, w.stubborn("a", 4*time.Second), 0); took != 4*time.Second {
				w.Errorf("it took %v", took)
			}
			w.noted("+a -a")
		}},
		{"too late", "If no exit signal is received within the specified number of milliseconds, the child process is unconditionally terminated", func(w *world) {
			if _, took := one(w, w.stubborn("a", time.Hour), 3*time.Second); took != 3*time.Second {
				w.Errorf("it took %v", took)
			}
			w.noted("+a -a")
		}},
		{"default", "it defaults to 5000 if the child is of type worker", func(w *world) {
			if _, took := one(w, w.stubborn("a", time.Hour), 0); took != 5*time.Second {
				w.Errorf("it took %v", took)
			}
		}},
		{"brutal_kill", "brutal_kill means that the child process is unconditionally terminated", func(w *world) {
			if _, took := one(w, w.stubborn("a", time.Hour), actors.NoGrace); took > 2 {
				w.Errorf("it took %v", took)
			}
			w.noted("+a -a")
		}},
		{"infinity", "It is also allowed to set it to infinity, if the child process is a worker.", func(w *world) {
			if _, took := one(w, w.stubborn("a", 100*time.Hour), actors.Forever); took != 100*time.Hour {
				w.Errorf("it took %v", took)
			}
		}},
		{"infinity for supervisors", "it defaults to infinity if the child is of type supervisor.", func(w *world) {
			inner := w.props(supervisor.Spec{Children: []supervisor.Child{
				{Name: "x", Props: w.stubborn("x", time.Hour), Shutdown: actors.Forever}, {Name: "y", Props: w.stubborn("y", time.Hour), Shutdown: actors.Forever},
			}})
			if _, took := one(w, inner, 0); took != 2*time.Hour {
				w.Errorf("it took %v", took)
			}
			w.noted("+x +y -y -x")
		}},
		{"one after the other", "terminate all remaining child processes in reverse start order according to the respective shutdown specifications", func(w *world) {
			s := w.start(supervisor.Spec{Children: []supervisor.Child{
				{Name: "a", Props: w.stubborn("a", time.Second)},
				{Name: "b", Props: w.stubborn("b", time.Hour), Shutdown: 2 * time.Second},
				{Name: "c", Props: w.stubborn("c", 3*time.Second), Shutdown: time.Minute},
			}})
			w.told("app/a started", "app/b started", "app/c started")
			w.stop(s)
			w.told("app stopping 0s: <nil>",
				"app/c stopping 0s: <nil>", "app/c stopped 3s: <nil>",
				"app/b stopping 0s: <nil>", "app/b stopped 2s: <nil>",
				"app/a stopping 0s: <nil>", "app/a stopped 1s: <nil>",
				"app stopped 6s: <nil>")
		}},
	})
}

func TestOTPNested(t *testing.T) {
	spec := func(w *world, innerMost int, strategy supervisor.Strategy) *supervisor.Supervisor {
		inner := w.props(supervisor.Spec{MaxRestarts: innerMost, Children: w.children("x", "y")})
		s := w.start(supervisor.Spec{Strategy: strategy, Children: []supervisor.Child{w.child("a"), {Name: "inner", Props: inner}, w.child("b")}})
		w.noted("+a +x +y +b")
		return s
	}
	testOTP(t, []otp{
		{"fails upward", "When the supervisor terminates, then the next higher-level supervisor takes some action. It either restarts the terminated supervisor or terminates itself.", func(w *world) {
			s := spec(w, -1, supervisor.OneForOne)
			w.crash(s.Child("inner/x"))
			w.noted("-y -x +x +y")
			w.crash(s.Child("inner/y"))
			var e *supervisor.IntensityError
			if err := ended(s); !errors.As(err, &e) || e.Supervisor != "app" || e.Child != "inner" {
				w.Errorf("it ended with %v", err)
			}
			if !errors.As(errors.Unwrap(e), &e) || e.Supervisor != "app/inner" || e.Child != "y" {
				w.Errorf("which is because of %v", e)
			}
			w.noted("-y -x -b -a")
		}},
		{"the product", "the total number of restarts … will be the product of the intensity values of all the supervisors above the failing child process.", func(w *world) {
			starts := 0
			inner := w.props(supervisor.Spec{MaxRestarts: 2, Within: time.Hour, Children: []supervisor.Child{{Name: "x", Props: w.part("x", func(_ int, aw *actors.Worker) error {
				starts++
				aw.Main(func(*actors.Task) error { return errors.New("no") })
				return nil
			})}}})
			_, err := w.tryStart(supervisor.Spec{MaxRestarts: 3, Within: time.Hour, Children: []supervisor.Child{{Name: "inner", Props: inner}}})
			if err != nil {
				w.Errorf("the start: %v", err)
			}
			synctest.Wait()
			if starts != (2+1)*(3+1) {
				w.Errorf("%d starts", starts)
			}
		}},
		{"in a group", "restart_multiple_children: a supervisor is terminated and started as any child is", func(w *world) {
			s := spec(w, 1, supervisor.OneForAll)
			w.crash(s.Child("a"))
			w.noted("-b -y -x -a +a +x +y +b")
			if s.Child("inner/y") == nil {
				w.Fatalf("%+v", s.Children())
			}
			w.crash(s.Child("inner/y")) // of another budget
			w.noted("-y +y")
		}},
		{"removed", "terminate_child, for a child that is a supervisor: its whole tree", func(w *world) {
			s := spec(w, 1, supervisor.OneForOne)
			if err := s.Remove(w.Context(), "inner"); err != nil {
				w.Error(err)
			}
			w.noted("-y -x")
			r := w.stop(s)
			w.noted("-b -a")
			if len(r.Children) != 2 {
				w.Errorf("%v", r)
			}
		}},
		{"started with its tree", "start_child of a supervisor returns when all of its children have been started", func(w *world) {
			s := w.start(supervisor.Spec{})
			inner := w.props(supervisor.Spec{Children: []supervisor.Child{{Name: "x", Props: w.part("x", func(_ int, aw *actors.Worker) error {
				return aw.Task().Sleep(time.Hour) // of its own StartTimeout; inner has none
			}), StartTimeout: 2 * time.Hour}}})
			begin := time.Now()
			if _, err := s.Add(w.Context(), supervisor.Child{Name: "inner", Props: inner, StartTimeout: time.Second}); err != nil {
				w.Error(err)
			}
			w.took(begin, time.Hour)
		}},
		{"start failure of a tree", "{error, {shutdown, {failed_to_start_child, Id, Reason}}}, nested", func(w *world) {
			bad := errors.New("no way")
			inner := w.props(supervisor.Spec{Children: []supervisor.Child{w.child("x"), {Name: "y", Props: w.part("y", func(int, *actors.Worker) error { return bad })}}})
			_, err := w.tryStart(supervisor.Spec{Children: []supervisor.Child{w.child("a"), {Name: "inner", Props: inner}, w.child("b")}})
			w.wants(err, bad)
			var e *supervisor.StartError
			if !errors.As(err, &e) || e.Child != "inner" || !errors.As(e.Err, &e) || e.Supervisor != "app/inner" || e.Child != "y" {
				w.Errorf("%v", err)
			}
			w.noted("+a +x -x -a")
		}},
	})
}

func TestOTPDynamic(t *testing.T) {
	spec := func(w *world, change func(*supervisor.DynamicSpec)) *supervisor.Dynamic {
		ds := supervisor.DynamicSpec{Name: "pool", OnEvent: w.event, Child: w.child("p")}
		if change != nil {
			change(&ds)
		}
		d, err := supervisor.StartDynamic(w.Context(), w.sys, ds)
		if err != nil {
			w.Fatal(err)
		}
		return d
	}
	add := func(w *world, d *supervisor.Dynamic, name string, props *actor.Props) *actor.PID {
		w.Helper()
		pid, err := d.Start(w.Context(), name, props)
		if err != nil {
			w.Fatal(err)
		}
		return pid
	}
	testOTP(t, []otp{
		{"no children at first", "When started, the supervisor does not start any child processes.", func(w *world) {
			d := spec(w, nil)
			if d.Len() != 0 {
				w.Error("there are some")
			}
			add(w, d, "", nil)
			add(w, d, "", nil)
			w.noted("+p +p")
			if d.Len() != 2 {
				w.Errorf("there are %d", d.Len())
			}
		}},
		{"one for one", "a simplified one_for_one supervisor, where all child processes are dynamically added instances of the same process type", func(w *world) {
			d := spec(w, nil)
			a := add(w, d, "a", w.part("a", nil))
			add(w, d, "b", w.part("b", nil))
			w.noted("+a +b")
			w.crash(a)
			w.noted("-a")
			time.Sleep(10 * time.Millisecond) // the backoff of a Dynamic without MaxRestarts
			w.noted("+a")
		}},
		{"in parallel", "As a simple_one_for_one supervisor can have many children, it shuts them all down asynchronously. This means that the children do their cleanup in parallel", func(w *world) {
			d := spec(w, nil)
			for range 100 {
				add(w, d, "", w.stubborn("s", 4*time.Second))
			}
			begin := time.Now()
			r, err := d.Stop(w.Context())
			if err != nil || len(r.Children) != 100 {
				w.Errorf("%d rows, %v", len(r.Children), err)
			}
			w.agrees(r)
			w.took(begin, 4*time.Second)
		}},
		{"killed in parallel", "{timeout, TRef, kill} -> maps:foreach(fun({P, _}, _) -> exit(P, kill) end, Pids)", func(w *world) {
			d := spec(w, func(s *supervisor.DynamicSpec) { s.Child.Shutdown = 2 * time.Second })
			for range 20 {
				w.tell(add(w, d, "", nil), stuck{})
				w.tell(add(w, d, "", w.plain("plain", nil)), "stuck")
			}
			synctest.Wait()
			begin := time.Now()
			r, err := d.Stop(w.Context())
			if err != nil || len(r.Err().(*supervisor.AbandonedError).Tasks) != 40 {
				w.Errorf("%v, %v", err, r)
			}
			w.agrees(r)
			if took := time.Since(begin); took > 2*time.Second+5*time.Second+time.Second {
				w.Errorf("it took %v", took)
			}
		}},
		{"terminated by its pid", "Function terminate_child/2 can be used for children under simple_one_for_one supervisors", func(w *world) {
			d := spec(w, nil)
			add(w, d, "a", nil)
			if err := d.Remove(w.Context(), "a"); err != nil || d.Len() != 0 {
				w.Error(err)
			}
			w.noted("+p -p")
		}},
		{"erased at its end", "do_restart(normal, Child, State) -> NState = del_child(Child, State): dyn_erase", func(w *world) {
			d := spec(w, func(s *supervisor.DynamicSpec) { s.Child.Restart = supervisor.Transient })
			w.ask(add(w, d, "a", nil), exit{nil})
			synctest.Wait()
			if d.Len() != 0 {
				w.Errorf("there are %d", d.Len())
			}
			add(w, d, "a", nil) // its name is free again
		}},
		{"a start that fails", "If the child process start function returns an error …: no child is added", func(w *world) {
			d := spec(w, nil)
			bad := errors.New("no")
			_, err := d.Start(w.Context(), "a", w.part("a", func(int, *actors.Worker) error { return bad }))
			w.wants(err, bad)
			if d.Len() != 0 {
				w.Errorf("there are %d", d.Len())
			}
		}},
		{"intensity", "if more than MaxR restarts occur within MaxT seconds: of all children together", func(w *world) {
			d := spec(w, func(s *supervisor.DynamicSpec) { s.MaxRestarts = 2 })
			for i := range 3 {
				w.crash(add(w, d, fmt.Sprint(i), nil))
			}
			<-d.Stopped()
			var e *supervisor.IntensityError
			if !errors.As(d.Err(), &e) {
				w.Errorf("%v", d.Err())
			}
		}},
		{"no intensity unless asked for", "(OTP: intensity 1, of all children together)", func(w *world) {
			d := spec(w, nil)
			for i := range 100 {
				add(w, d, fmt.Sprint(i), w.part("p", nil))
			}
			for i := range 50 { // each of a cause of its own, all in five seconds
				if pid := d.Child(fmt.Sprint(i)); pid != nil {
					w.crash(pid)
				}
			}
			time.Sleep(time.Second)
			if d.Len() != 100 || d.Err() != nil {
				w.Fatalf("%d children, %v", d.Len(), d.Err())
			}
			for i := range 100 {
				want := 1
				if i < 50 {
					want = 2
				}
				if n, err := w.ask(d.Child(fmt.Sprint(i)), life{}); n != want || err != nil {
					w.Errorf("child %d: incarnation %d, %v", i, n, err)
				}
			}
		}},
		{"a child that always fails, without intensity", "(OTP: it ends all)", func(w *world) {
			d := spec(w, nil)
			var starts atomic.Int64
			add(w, d, "bad", w.part("bad", func(n int, aw *actors.Worker) error {
				starts.Store(int64(n))
				aw.Main(func(t *actors.Task) error { return errSleep })
				return nil
			}))
			good := add(w, d, "good", nil)
			time.Sleep(time.Hour)
			if n := starts.Load(); n < 120 || n > 170 { // every 30 s, less up to a fifth
				w.Errorf("%d starts in an hour", n)
			}
			if n, err := w.ask(good, life{}); n != 1 || err != nil {
				w.Errorf("its sibling: incarnation %d, %v", n, err)
			}
		}},
		{"generated names", "(no names in OTP)", func(w *world) {
			d := spec(w, nil)
			for _, name := range []string{"$1", "$2", "$7"} {
				add(w, d, name, nil)
			}
			for range 6 {
				add(w, d, "", nil)
			}
			if d.Len() != 9 || d.Child("$9") == nil {
				w.Errorf("there are %d", d.Len())
			}
		}},
		{"at most", "max_children (Elixir's DynamicSupervisor)", func(w *world) {
			d := spec(w, func(s *supervisor.DynamicSpec) { s.MaxChildren = 1 })
			add(w, d, "a", nil)
			_, err := d.Start(w.Context(), "b", nil)
			w.wants(err, supervisor.ErrTooMany)
			_, err = d.Start(w.Context(), "a", nil)
			w.wants(err, supervisor.ErrTooMany)
			d.Remove(w.Context(), "a")
			add(w, d, "b", nil)
		}},
	})
}
