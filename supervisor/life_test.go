// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/supervisor"
)

// 10 × 50 trees are started, used and stopped, by two callers each.
func TestStress(t *testing.T) {
	bubble(t, func(w *world) {
		var n atomic.Int64
		actortest.Stress(t, func() func() {
			name := fmt.Sprint("tree", n.Add(1))
			inner := w.props(supervisor.Spec{Strategy: supervisor.OneForAll, MaxRestarts: 5, Children: w.children("x", "y")})
			s, err := supervisor.Start(w.Context(), w.sys, supervisor.Spec{Name: name, MaxRestarts: 5, Children: []supervisor.Child{
				w.child("a"), {Name: "inner", Props: inner}, w.plainly("p", nil)}})
			if err != nil {
				t.Error(err)
				return func() {}
			}
			fs := []*actors.Future[int]{w.tell(s.Child("a"), life{}), w.tell(s.Child("inner/x"), boom{"boom"}), w.tell(s.Child("inner/y"), sleep{time.Hour}), w.tell(s.Child("a"), boom{"x"})}
			w.root.Send(s.Child("p"), "crash")
			return func() {
				go s.Stop(context.Background())
				s.EndGrace()
				r, err := s.Stop(context.Background())
				if err != nil || r.Total.Pending != 0 || r.Total.Accepted+r.Total.Refused != 4 {
					t.Errorf("%v, %v", err, r)
				}
				w.agrees(r)
				for _, f := range fs {
					if !f.Done() {
						t.Error("a future is pending after the stop")
					}
				}
			}
		})
	})
}

// Operations of all kinds at once, then a stop into them.
func TestOpsAtOnce(t *testing.T) {
	for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll, supervisor.RestForOne} {
		bubble(t, func(w *world) {
			s := w.start(supervisor.Spec{Strategy: strategy, MaxRestarts: 1_000_000, Children: w.children("a", "b", "c")})
			done := make(chan struct{})
			for i := range 10 {
				go func() {
					defer func() { done <- struct{}{} }()
					for j := range 30 {
						name := fmt.Sprint("x", (i+j)%4)
						s.Add(context.Background(), w.child(name))
						if pid := s.Child("a"); pid != nil && j%5 == 0 {
							w.tell(pid, boom{"boom"})
						}
						s.Restart(context.Background(), name)
						s.Remove(context.Background(), name)
						s.Children()
						time.Sleep(time.Millisecond)
					}
				}()
			}
			time.Sleep(20 * time.Millisecond)
			r := w.stop(s)
			for range 10 {
				<-done
			}
			if r.Total.Pending != 0 {
				t.Errorf("%v", r)
			}
		})
	}
}

// A stop from inside: RequestStop in a task of a child; Stop names its misuse.
func TestStopFromInside(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{Children: w.children("a", "b")})
		var awaited error
		f := w.tell(s.Child("a"), do{func(t *actors.Task) error {
			_, awaited = actors.Await(t, s.RequestStop())
			return awaited
		}})
		begin := time.Now()
		w.wants(ended(s), nil)
		w.took(begin, 5*time.Second) // the grace of the one that waits for its own end
		_, err := f.Wait(w.Context())
		w.wants(err, actors.ErrStopped)
		w.wants(awaited, actors.ErrStopped)
	})
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{Children: w.children("a")})
		for what, call := range map[string]func(ctx context.Context){
			"Stop":    func(ctx context.Context) { s.Stop(ctx) },
			"Run":     func(ctx context.Context) { supervisor.Run(ctx, w.sys, supervisor.Spec{Name: "x"}, nil) },
			"Start":   func(ctx context.Context) { supervisor.Start(ctx, w.sys, supervisor.Spec{Name: "x"}) },
			"Add":     func(ctx context.Context) { s.Add(ctx, w.child("x")) },
			"Remove":  func(ctx context.Context) { s.Remove(ctx, "a") },
			"Restart": func(ctx context.Context) { s.Restart(ctx, "a") },
		} {
			_, err := actors.Submit(w.root, s.Child("a"), func(t *actors.Task) (int, error) {
				call(t.Context())
				return 0, nil
			}).Wait(w.Context())
			var p *actors.PanicError
			if !errors.As(err, &p) || len(fmt.Sprint(p.Value)) < 20 || fmt.Sprint(p.Value)[:len("supervisor: "+what)] != "supervisor: "+what {
				t.Errorf("%s: %v", what, err)
			}
		}
		// In Offload they are welcome.
		_, err := actors.Submit(w.root, s.Child("a"), func(t *actors.Task) (int, error) {
			_, err := actors.Await(t, actors.Offload(t, func(ctx context.Context) (int, error) {
				_, err := s.Add(ctx, w.child("x"))
				return 0, err
			}))
			return 0, err
		}).Wait(w.Context())
		w.wants(err, nil)
		// With another context nobody can tell, but the grace ends.
		w.tell(s.Child("x"), do{func(*actors.Task) error { s.Stop(context.Background()); return nil }})
		begin := time.Now()
		w.wants(ended(s), nil)
		if d := time.Since(begin); d > 11*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// Hooks that panic, block, call Goexit, or stop the supervisor.
func TestHooks(t *testing.T) {
	bubble(t, func(w *world) {
		for name, hook := range map[string]func(s *supervisor.Supervisor){
			"panics": func(*supervisor.Supervisor) { panic("hook") },
			"Goexit": func(*supervisor.Supervisor) { runtime.Goexit() },
			"blocks": func(*supervisor.Supervisor) { <-w.hold },
			"stops":  func(s *supervisor.Supervisor) { s.Stop(context.Background()) },
		} {
			var s *supervisor.Supervisor
			calls := 0
			s = w.start(supervisor.Spec{MaxRestarts: 5, Children: w.children("a"), OnEvent: func(e supervisor.Event) {
				if _, ok := e.(supervisor.ChildFailed); ok {
					calls++
					hook(s)
				}
			}})
			w.tell(s.Child("a"), boom{"x"}).Wait(w.Context())
			synctest.Wait()
			if name != "stops" {
				w.tell(s.Child("a"), boom{"x"}).Wait(w.Context())
			}
			begin := time.Now()
			w.stop(s)
			if d := time.Since(begin); d > time.Second || calls != 1 {
				t.Errorf("%s: the stop took %v, after %d calls", name, d, calls)
			}
		}
		if n := len(actortest.LogOf(w.sys).Find(8, "OnEvent panicked")); n != 2 {
			t.Errorf("%d log lines of panics", n)
		}
	})
}

// Events of a nested supervisor without a hook go to its parent's, in order;
// with one of its own, there.
func TestNestedEvents(t *testing.T) {
	bubble(t, func(w *world) {
		var own []string
		mine := supervisor.Spec{Children: w.children("y"), OnEvent: func(e supervisor.Event) { own = append(own, text(e)) }}
		s := w.start(supervisor.Spec{Children: []supervisor.Child{w.child("a"),
			{Name: "in", Props: w.props(supervisor.Spec{MaxRestarts: -1, Children: w.children("x")})}, {Name: "own", Props: w.props(mine)}}})
		w.told("app/a started", "app/in/x started", "app/in started", "app/own started")
		w.crash(s.Child("in/x"))
		w.told("app/in/x failed: panic: boom", "app/in/x exceeded 0 in 5s",
			"app/in stopping 0s: supervisor: app/in: more than 0 restarts within 5s; the last to end was \"x\": panic: boom",
			"app/in/x stopping 0s: <nil>", "app/in/x stopped 0s: <nil>",
			"app/in stopped 0s: supervisor: app/in: more than 0 restarts within 5s; the last to end was \"x\": panic: boom",
			"app/in failed: actors: main: supervisor: app/in: more than 0 restarts within 5s; the last to end was \"x\": panic: boom",
			"app/in restarting in 0s, attempt 1, with []", "app/in/x started", "app/in restarted, 1")
		w.stop(s)
		if len(own) != 5 || own[0] != "app/own/y started" {
			t.Errorf("%q", own)
		}
	})
}

// The snapshot of a tree, while things happen.
func TestSnapshot(t *testing.T) {
	bubble(t, func(w *world) {
		s := w.start(supervisor.Spec{MaxRestarts: 3, Children: []supervisor.Child{w.child("a"), w.plainly("p", nil),
			{Name: "in", Props: w.props(supervisor.Spec{Children: []supervisor.Child{with(w.child("x"), func(c *supervisor.Child) { c.Backoff.Initial = time.Minute })}})}}})
		w.crash(s.Child("in/x"))
		all := s.Children()
		if len(all) != 3 || all[0].Kind != supervisor.KindWorker || all[1].Kind != supervisor.KindPlain || all[2].Kind != supervisor.KindSupervisor || len(all[2].Children) != 1 {
			t.Fatalf("%+v", all)
		}
		x := all[2].Children[0]
		if x.State != "quiesced" || x.Err == nil || x.PID.GetId() != "app/in/x" || x.Name != "x" {
			t.Errorf("%+v", x)
		}
		if s.Child("nobody") != nil || s.Child("a/x") != nil || s.Child("") != nil || s.Supervisor("a") != nil || s.Dynamic("in") != nil || s.Supervisor("in").Child("x") == nil {
			t.Error("paths lead to the wrong ones")
		}
		w.stop(s)
		if all := s.Children(); all[0].State != "gone" || all[0].PID != nil || all[2].Children[0].State != "gone" {
			t.Errorf("%+v", all)
		}
	})
}

// Ten thousand children come, restart, go one by one, and stop.
func TestManyChildren(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 1000
	}
	bubble(t, func(w *world) {
		d, err := supervisor.StartDynamic(w.Context(), w.sys, supervisor.DynamicSpec{Name: "pool", MaxRestarts: n, Child: supervisor.Child{Props: actors.Props(func(aw *actors.Worker) error {
			actors.Handle(aw, func(*actors.Task, boom) (int, error) { panic("boom") })
			return nil
		})}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if _, err := d.Start(w.Context(), fmt.Sprint(i), nil); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n / 10 {
			w.root.Send(d.Child(fmt.Sprint(i)), boom{})
		}
		synctest.Wait()
		for i := range n / 2 {
			if err := d.Remove(w.Context(), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		if d.Len() != n/2 || len(d.Children()) != n/2 {
			t.Errorf("%d are left", d.Len())
		}
		r, err := d.Stop(w.Context())
		if err != nil || len(r.Children) != n/2+1 || r.Children[0].Restarts != n/10 || r.Total.Failed != int64(n/10) {
			t.Errorf("%v, %d rows, %+v", err, len(r.Children), r.Total)
		}
		w.agrees(r)
	})
}

// A group that starts and restarts together costs so much per child, whatever
// their number.
func TestGroupsAreLinear(t *testing.T) {
	const times = 16
	few := 500
	if testing.Short() {
		few = 250
	}
	for _, strategy := range []supervisor.Strategy{supervisor.OneForAll, supervisor.RestForOne} {
		cost := func(n int) time.Duration {
			var up atomic.Int64
			restarted := make(chan struct{})
			props := actors.Props(func(aw *actors.Worker) error {
				actors.Handle(aw, func(*actors.Task, boom) (int, error) { panic("boom") })
				if up.Add(1) == int64(2*n) {
					close(restarted)
				}
				return nil
			})
			spec := supervisor.Spec{Name: "app", Strategy: strategy, Logger: slog.New(slog.DiscardHandler)}
			for i := range n {
				spec.Children = append(spec.Children, supervisor.Child{Name: fmt.Sprint(i), Props: props})
			}
			sys := actortest.NewSystem(t)
			runtime.GC()
			begin := testtools.ProcessorTime(t)
			s, err := supervisor.Start(t.Context(), sys, spec)
			if err != nil {
				t.Fatal(err)
			}
			sys.Root.Send(s.Child("0"), boom{})
			<-restarted
			spent := testtools.ProcessorTime(t) - begin
			if _, err := s.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			return spent
		}
		cost(few) // the first time costs more
		small, large := cost(few), cost(times*few)
		t.Logf("%v: %v for %d children, %v for %d", strategy, small, few, large, times*few)
		if large > 3*times*small {
			t.Errorf("%v: %d times as many children cost %.0f times as much", strategy, times, float64(large)/float64(small))
		}
	}
}
