// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/internal/testtools"
)

// strategy is a supervisor strategy that is a function.
type strategy struct {
	decide func(s actor.Supervisor, child *actor.PID)
}

func (s *strategy) HandleFailure(_ *actor.ActorSystem, v actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _, _ any) {
	s.decide(v, child)
}

// under spawns a worker that panics on a string, under a plain parent with a
// strategy or, if asGuardian, with a guardian of it.
func (w *world) under(s actor.SupervisorStrategy, asGuardian bool, setup func(w *actors.Worker) error) *actor.PID {
	w.Helper()
	all := func(w *actors.Worker) error {
		actors.Handle(w, func(_ *actors.Task, s string) (string, error) { panic(s) })
		actors.Handle(w, func(t *actors.Task, d time.Duration) (string, error) { return "slept", t.Sleep(d) })
		return setup(w)
	}
	if asGuardian {
		pid := w.root.Spawn(actors.Props(all, actor.WithGuardian(s)))
		synctest.Wait()
		return pid
	}
	pids := make(chan *actor.PID, 1)
	w.plain(func(c actor.Context) {
		if _, ok := c.Message().(*actor.Started); ok {
			pids <- c.Spawn(actors.Props(all))
		}
	}, actor.WithSupervisor(s))
	synctest.Wait()
	return <-pids
}

// In the engine a strategy that panics, as AllForOne and Escalate do at the
// root, ends the process.
func TestEngineGroupAtTheRoot(t *testing.T) {
	escalate := func(any) actor.Directive { return actor.EscalateDirective }
	for name, s := range map[string]actor.SupervisorStrategy{
		"panic":     &strategy{func(actor.Supervisor, *actor.PID) { panic("in the strategy") }},
		"escalate":  actor.NewOneForOneStrategy(1, time.Second, escalate),
		"allforone": actor.NewAllForOneStrategy(1, time.Second, actor.DefaultDecider),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				pid := w.under(s, true, none)
				f := actors.RequestFuture[string](w.root, pid, time.Hour)
				synctest.Wait()
				_, err := result(actors.RequestFuture[string](w.root, pid, "boom"))
				var p *actors.PanicError
				if !errors.As(err, &p) {
					w.Errorf("the asker got %v", err)
				}
				wantErr(w, f, actors.ErrRestarted)
				synctest.Wait()
				wantErr(w, actors.RequestFuture[string](w.root, pid, "more"), actors.ErrDeadLetter)
			})
		})
	}
}

// A strategy that panics in a plain parent fails that parent, whose children
// the engine then stops.
func TestEngineGroupAtTheRootParent(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.under(&strategy{func(actor.Supervisor, *actor.PID) { panic("in the strategy") }}, false, none)
		inFlight := actors.RequestFuture[string](w.root, pid, time.Hour)
		synctest.Wait()
		boom := actors.RequestFuture[string](w.root, pid, "boom")
		queued := actors.RequestFuture[string](w.root, pid, time.Hour)
		_, err := result(boom)
		testtools.WantText(w, err, "panic: boom")
		wantErr(w, inFlight, actors.ErrRestarted)
		if _, err := result(queued); !errors.Is(err, actors.ErrStopping) && !errors.Is(err, actors.ErrDeadLetter) {
			w.Errorf("what was queued: %v", err)
		}
	})
}

// The engine's default is 11 starts without delay, and failures are counted
// for ever. Ours restarts 10 times in a sliding window of 10 s, then stops.
func TestEngineIntensity(t *testing.T) {
	bubble(t, func(w *world) {
		starts := 0
		pid := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			starts++
			actors.On(w, func(_ *actors.Task, s string) error { panic(s) })
			return nil
		})
		boom := func() {
			_, err := result(actors.RequestFuture[int](w.root, pid, "boom"))
			testtools.WantText(w, err, "panic: boom")
			synctest.Wait()
		}
		for range 30 { // one in 1.1 s: never 10 in 10 s
			boom()
			time.Sleep(1100 * time.Millisecond)
		}
		if starts != 31 {
			w.Errorf("%d starts, want 31", starts)
		}
		time.Sleep(20 * time.Second)
		for range 10 {
			boom()
		}
		if starts != 41 {
			w.Errorf("%d starts, want 41", starts)
		}
		boom()
		wantErr(w, actors.RequestFuture[int](w.root, pid, "boom"), actors.ErrDeadLetter)
		if starts != 41 {
			w.Errorf("%d starts after the budget was used up", starts)
		}
	})
}

// A setup that always fails after a restart uses up the same budget.
func TestEngineIntensitySetup(t *testing.T) {
	bubble(t, func(w *world) {
		starts := 0
		pid := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			if starts++; starts > 1 {
				return errors.New("setup fails")
			}
			actors.On(w, func(_ *actors.Task, s string) error { panic(s) })
			return nil
		})
		var f, queued *actors.Future[int]
		want(w, did(w.root, pid, func(*actors.Task) error { // in its turn, so that both are queued
			f = actors.RequestFuture[int](w.root, pid, "boom")
			queued = actors.RequestFuture[int](w.root, pid, "queued")
			return nil
		}), struct{}{})
		_, err := result(f)
		testtools.WantText(w, err, "panic: boom")
		wantErr(w, queued, actors.ErrStopping)
		synctest.Wait()
		wantErr(w, actors.RequestFuture[int](w.root, pid, "late"), actors.ErrDeadLetter)
		if starts != 11 {
			w.Errorf("%d starts, want the first and 10 restarts", starts)
		}
	})
}

// With a plain middle actor that escalates and a grandparent that resumes the
// engine leaves the child suspended for ever. It cannot say so to the worker,
// but nobody who asks it hangs: budgets, cancels and stops still work.
func TestEngineEscalateResume(t *testing.T) {
	decide := func(d actor.Directive) actor.SupervisorStrategy {
		return actor.NewOneForOneStrategy(1, time.Second, func(any) actor.Directive { return d })
	}
	bubble(t, func(w *world) {
		workers := make(chan *actor.PID, 1)
		middle := actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				workers <- c.Spawn(actors.Props(func(w *actors.Worker) error {
					actors.On(w, func(_ *actors.Task, s string) error { panic(s) })
					actors.Handle(w, func(t *actors.Task, d time.Duration) (string, error) { return "slept", t.Sleep(d) })
					return nil
				}))
			}
		}, actor.WithSupervisor(decide(actor.EscalateDirective)))
		w.plain(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				c.Spawn(middle)
			}
		}, actor.WithSupervisor(decide(actor.ResumeDirective)))
		pid := <-workers
		inFlight := actors.RequestFuture[string](w.root, pid, time.Hour)
		synctest.Wait()
		_, err := result(actors.RequestFuture[int](w.root, pid, "boom"))
		testtools.WantText(w, err, "panic: boom")
		wantErr(w, inFlight, actors.ErrRestarted)
		bounded := actors.RequestFuture[string](w.root, pid, time.Second, actors.Timeout(time.Second))
		wantErr(w, bounded, actors.ErrTimeout)
		cancelled := actors.RequestFuture[string](w.root, pid, time.Second)
		cancelled.Cancel()
		wantErr(w, cancelled, actors.ErrCanceled)
		queued := actors.RequestFuture[string](w.root, pid, time.Duration(0))
		stop := actors.RequestStop(w.root, pid, 0)
		wantErr(w, queued, actors.ErrStopping)
		s, err := result(stop)
		if err != nil {
			w.Fatal(err)
		}
		checkCounts(w, s)
	})
}

// A supervisor that resumes finds the worker with its state, and what was
// queued runs.
func TestEngineEscalateResumeResume(t *testing.T) {
	bubble(t, func(w *world) {
		starts := 0
		resume := &strategy{func(s actor.Supervisor, child *actor.PID) {
			time.AfterFunc(time.Second, func() { s.ResumeChildren(child) })
		}}
		pid := w.under(resume, false, func(*actors.Worker) error { starts++; return nil })
		for range 3 {
			inFlight := actors.RequestFuture[string](w.root, pid, time.Hour)
			boom := actors.RequestFuture[string](w.root, pid, "boom")
			queued := actors.RequestFuture[string](w.root, pid, time.Millisecond)
			_, err := result(boom)
			testtools.WantText(w, err, "panic: boom")
			wantErr(w, inFlight, actors.ErrRestarted)
			start := time.Now()
			want(w, queued, "slept")
			if took := time.Since(start); took != time.Second+time.Millisecond {
				w.Errorf("what was queued ran after %v", took)
			}
		}
		if starts != 1 {
			w.Errorf("%d starts", starts)
		}
	})
}

// In the engine a restart waits for children without a limit. A task, or a
// child that is a worker, that does not return holds it up for StopGrace.
func TestEngineChildrenThatStay(t *testing.T) {
	bubble(t, func(w *world) {
		release := make(chan struct{})
		defer close(release)
		stuck := func(*actors.Task) error { <-release; return nil }
		o := actors.Options{StopGrace: time.Second, BlockedTurn: -1}
		starts := 0
		var child *actor.PID
		pid := w.worker("worker", o, func(w *actors.Worker) (err error) {
			starts++
			actors.On(w, func(_ *actors.Task, s string) error { panic(s) })
			actors.Handle(w, func(*actors.Task, int) (int, error) { return starts, nil })
			child = w.Spawn(actors.Props(none, actors.EventLoop(o)))
			return nil
		})
		synctest.Wait()
		inChild := did(w.root, child, stuck)
		parked := did(w.root, pid, func(t *actors.Task) error {
			_, _, err := loopsync.Receive(t, (<-chan int)(nil))
			return err
		})
		synctest.Wait()
		_, err := result(actors.RequestFuture[int](w.root, pid, "boom"))
		testtools.WantText(w, err, "panic: boom")
		start := time.Now()
		want(w, actors.RequestFuture[int](w.root, pid, 1), 2)
		wantErr(w, inChild, actors.ErrStopped)
		wantErr(w, parked, actors.ErrRestarted)
		if took := time.Since(start); took < time.Second || took > 2*time.Second {
			w.Errorf("the restart took %v", took)
		}

		// Its own stuck turn is abandoned.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		turn := did(w.root, pid, stuck)
		time.Sleep(time.Second)
		w.root.Send(pid, "boom") // never runs in this incarnation: it is stuck
		if _, err := turn.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			w.Errorf("the stuck turn: %v", err)
		}
		start = time.Now()
		c := w.stopped(pid, -1)
		wantErr(w, turn, actors.ErrStopped)
		if took := time.Since(start); took > 3*time.Second || c.Abandoned != 1 {
			w.Errorf("the stop took %v; the account: %v", took, c)
		}
	})
}

// Whoever asked for what is abandoned hears so at once, also an engine asker,
// and nothing more when it returns after all.
func TestEngineChildrenThatStayAskers(t *testing.T) {
	release := make(chan struct{})
	receive := func() actor.ReceiveFunc {
		return func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				<-release
				c.Respond("too late")
			}
		}
	}
	both(t, actors.Options{StopGrace: time.Second, BlockedTurn: -1}, receive, func(w *world, pid *actor.PID) {
		release = make(chan struct{}) // of this bubble
		engine := w.root.RequestFuture(pid, "x", time.Hour)
		synctest.Wait()
		behind := w.root.RequestFuture(pid, "y", time.Hour)
		start := time.Now()
		w.root.Stop(pid)
		time.Sleep(2 * time.Second)
		if f := wantFailure(w, engine, actors.ErrStopped); !f.GetRan() || f.GetRetrySafe() {
			w.Errorf("%v", f)
		}
		if f := wantFailure(w, behind, actors.ErrStopping); f.GetRan() || !f.GetRetrySafe() {
			w.Errorf("%v", f)
		}
		close(release)
		synctest.Wait()
		wantFailure(w, engine, actors.ErrStopped)
		if _, there := w.sys.ProcessRegistry.GetLocal(pid.Id); there || time.Since(start) > 3*time.Second {
			w.Errorf("the actor is still there: %v", there)
		}
	})
}
