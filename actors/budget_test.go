// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/loop"
)

// TestBudgetsWhereverTheTaskIs lets budgets end while their tasks wait in the
// queue, run a turn that blocks, await, clean up, or have returned and left work
// behind.
func TestBudgetsWhereverTheTaskIs(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "worker", inspected, actors.Options{BlockedTurn: -1})
		until := make(chan struct{})
		began := time.Now()
		check := func(what string, f *actors.Future[int], after time.Duration) {
			t.Helper()
			if _, err := f.Wait(t.Context()); !errors.Is(err, actors.ErrTimeout) || time.Since(began) != after {
				t.Errorf("%s: %v after %v, want a timeout after %v", what, err, time.Since(began), after)
			}
		}
		awaits := actors.RequestFuture[int](sys.Root, pid, nap(time.Hour), actors.Timeout(4*time.Second))
		cleans := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
			return 0, t.Cleanup(time.Hour, func(t *actors.Task) error { return t.Sleep(time.Hour) })
		}, actors.Timeout(4500*time.Millisecond))
		var kid *actors.Future[int]
		leaves := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
			kid = actors.Start(t, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) })
			return 7, nil
		}, actors.Timeout(5*time.Second))
		synctest.Wait()
		runs := actors.RequestFuture[int](sys.Root, pid, stick{until}, actors.Timeout(2*time.Second))
		late := actors.RequestFuture[int](sys.Root, pid, nap(1), actors.Timeout(3*time.Second))
		early := actors.RequestFuture[int](sys.Root, pid, nap(1), actors.Timeout(time.Second))
		free := actors.RequestFuture[int](sys.Root, pid, nap(1))

		check("queued, the later one first", early, time.Second)
		check("in a turn that blocks", runs, 2*time.Second)
		check("queued", late, 3*time.Second)
		check("awaiting", awaits, 4*time.Second)
		check("in a Cleanup that awaits", cleans, 4500*time.Millisecond)
		if v, err := leaves.Wait(t.Context()); v != 7 || err != nil {
			t.Error(v, err)
		}
		check("what a task has left behind", kid, 5*time.Second)
		close(until)
		if v, err := free.Wait(t.Context()); v != 1 || err != nil {
			t.Error("without a budget:", v, err)
		}
	})
}

// TestBudgetOfAStashedRequest: it goes on where the message waits.
func TestBudgetOfAStashedRequest(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "worker", func(w *actors.Worker) error {
			actors.On(w, func(t *actors.Task, _ nap) error { t.Stash(); return nil })
			return nil
		}, actors.Options{})
		began := time.Now()
		f := actors.RequestFuture[int](sys.Root, pid, nap(1), actors.Timeout(time.Second))
		if _, err := f.Wait(t.Context()); !errors.Is(err, actors.ErrTimeout) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// TestStashedMessagesAreAccountedFor: once, wherever they end.
func TestStashedMessagesAreAccountedFor(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		lives := 0
		pid := actortest.Spawn(t, sys.Root, "worker", func(w *actors.Worker) error {
			lives++
			actors.Handle(w, func(t *actors.Task, n int) (int, error) {
				switch {
				case lives == 1:
					t.Stash()
				case lives == 2 && n == 2:
					t.Stash()
				}
				return n, nil
			})
			actors.On(w, func(*actors.Task, stick) error { panic("again") })
			return nil
		}, actors.Options{})
		one := actors.RequestFuture[int](sys.Root, pid, 1)
		two := actors.RequestFuture[int](sys.Root, pid, 2)
		synctest.Wait()
		if s := actortest.Status(t, sys.Root, pid); s.Queued != 2 || s.Counts.Pending != 2 || s.Counts.Accepted != 2 {
			t.Errorf("with both stashed: %v", s)
		}
		sys.Root.Send(pid, stick{})
		if v, err := one.Wait(t.Context()); v != 1 || err != nil {
			t.Error(v, err)
		}
		c := actortest.Stop(t, sys.Root, pid, time.Second)
		if _, err := two.TryResult(); !errors.Is(err, actors.ErrStopped) {
			t.Error("still stashed at the stop:", err)
		}
		if c.Accepted != 3 || c.Finished != 1 || c.Failed != 1 || c.Canceled != 1 || c.Pending != 0 {
			t.Errorf("the account: %v", c)
		}
	})
}

// TestNothingStartsAtItsDeadline lets a turn last until the very moment when
// what waits behind it expires: whichever of the two the runtime has go first,
// the request does not start.
func TestNothingStartsAtItsDeadline(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		const last = time.Second
		ran := 0
		pid := actortest.Spawn(t, sys.Root, "worker", func(w *actors.Worker) error {
			actors.Handle(w, func(_ *actors.Task, d nap) (int, error) { time.Sleep(time.Duration(d)); return 1, nil })
			actors.Handle(w, func(*actors.Task, int) (int, error) { ran++; return 0, nil })
			return nil
		}, actors.Options{BlockedTurn: -1})
		for range 100 {
			var late []*actors.Future[int]
			began := time.Now()
			turn := actors.RequestFuture[int](sys.Root, pid, nap(last))
			for range 3 {
				late = append(late, actors.RequestFuture[int](sys.Root, pid, 1, actors.Timeout(last)))
				late = append(late, actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { ran++; return 0, nil }, actors.Timeout(last)))
			}
			early := actors.RequestFuture[int](sys.Root, pid, nap(0), actors.Timeout(last+1))
			for _, f := range late {
				if _, err := f.Wait(t.Context()); !errors.Is(err, actors.ErrTimeout) || time.Since(began) != last {
					t.Fatalf("%v after %v", err, time.Since(began))
				}
			}
			if v, err := turn.Wait(t.Context()); v != 1 || err != nil {
				t.Fatal(v, err)
			}
			if v, err := early.Wait(t.Context()); v != 1 || err != nil {
				t.Fatal("with a nanosecond more:", v, err)
			}
		}
		if ran > 0 {
			t.Errorf("%d of 600 started at their deadline", ran)
		}
	})
}

// TestBudgetsInALongQueue lets thousands of budgets end, in any order, behind
// turns that block: each to the nanosecond, or one more where the clock's timer
// was set when it was due already, because that is the shortest timer.
func TestBudgetsInALongQueue(t *testing.T) { testBudgetsInALongQueue(t) }

// TestBudgetsWhereTheClockIsFull is TestBudgetsInALongQueue where the clock has to
// make room before a search can go on.
func TestBudgetsWhereTheClockIsFull(t *testing.T) {
	defer actors.NoQuickCopy()()
	testBudgetsInALongQueue(t)
}

func testBudgetsInALongQueue(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "worker", func(w *actors.Worker) error {
			actors.Handle(w, func(_ *actors.Task, d nap) (int, error) { time.Sleep(time.Duration(d)); return 1, nil })
			return nil
		}, actors.Options{BlockedTurn: -1})
		const n, turns, turn = 6000, 500, 7 * time.Millisecond
		began := time.Now()
		ended := make([]time.Duration, n)
		var all []*actors.Future[int]
		var served atomic.Int64
		budget := func(i int) time.Duration {
			return time.Duration(1+i*7919%n) * time.Millisecond / 2 * 10 // 5 ms to 30 s, each once
		}
		ask := func(i int) {
			f := actors.RequestFuture[int](sys.Root, pid, nap(0), actors.Timeout(budget(i)))
			f.OnDone(func(_ int, err error) {
				if ended[i] = time.Since(began); err == nil {
					served.Add(1)
				}
			})
			all = append(all, f)
		}
		for i := range n {
			if i%(n/turns) == 0 {
				actors.RequestFuture[int](sys.Root, pid, nap(turn))
			}
			if ask(i); i%(n/3) == 0 {
				synctest.Wait()
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for i, f := range all {
			switch _, err := f.TryResult(); {
			case err == nil && ended[i] < budget(i):
			case errors.Is(err, actors.ErrTimeout) && ended[i]-budget(i) <= 1 && ended[i] >= budget(i):
			default:
				t.Fatalf("with %v it ended after %v: %v", budget(i), ended[i], err)
			}
		}
		if s := served.Load(); s < n/2 || s > n-100 {
			t.Errorf("%d of %d were served", s, n)
		}
		if longest := actors.LongestPin(sys, pid); longest == 0 || longest > loop.StretchTasks {
			t.Errorf("a search has met %d tasks while the worker waited for it, want %d at most", longest, loop.StretchTasks)
		}
	})
}

// TestBudgetsOfAWorkerThatHasNoRunner lets a request expire at a worker that
// cannot begin yet, because turns that block have all runners.
func TestBudgetsOfAWorkerThatHasNoRunner(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		until := make(chan struct{})
		var pids []*actor.PID
		for i := range 40 * runtime.GOMAXPROCS(0) {
			pids = append(pids, actortest.Spawn(t, sys.Root, fmt.Sprint("worker-", i), inspected, actors.Options{BlockedTurn: -1}))
		}
		const budget = 50 * time.Microsecond // shorter than it takes to call more runners
		began := time.Now()
		for _, pid := range pids {
			actors.RequestFuture[int](sys.Root, pid, stick{until})
		}
		var all []*actors.Future[int]
		for _, pid := range pids {
			all = append(all, actors.RequestFuture[int](sys.Root, pid, nap(0), actors.Timeout(budget)))
		}
		for _, f := range all {
			if _, err := f.Wait(t.Context()); !errors.Is(err, actors.ErrTimeout) || time.Since(began) != budget {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		}
		close(until)
	})
}

// TestLoopLooksForWhatHasExpired: the engine, which is given what the loop does
// not know, would log an error.
func TestLoopLooksForWhatHasExpired(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "worker", inspected, actors.Options{})
		done := actors.LookOnLoop(sys, pid)
		synctest.Wait()
		if !done() {
			t.Error("the loop has not looked")
		}
	})
}

// A budget may be over, and its request be named in the error, while a middleware hands the request on.
func TestBudgetEndsInAMiddleware(t *testing.T) {
	type question struct{ n int }
	for name, change := range map[string]func(any) any{
		"same":    func(m any) any { return m },
		"another": func(any) any { return question{2} },
	} {
		t.Run(name, func(t *testing.T) {
			actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {

				pid := actortest.Spawn(t, sys.Root, "worker", func(w *actors.Worker) error {
					actors.Handle(w, func(_ *actors.Task, q question) (int, error) { return q.n, nil })
					return nil
				}, actors.Options{})
				wait := time.Duration(0)
				root := sys.Root.Copy().WithSenderMiddleware(func(next actor.SenderFunc) actor.SenderFunc {
					return func(c actor.SenderContext, to *actor.PID, env *actor.MessageEnvelope) {
						time.Sleep(wait)
						env.Message = change(env.Message)
						next(c, to, env)
					}
				})
				for range 100 {
					wait = time.Millisecond
					if _, err := actors.RequestFuture[int](root, pid, question{1}, actors.Timeout(time.Millisecond)).Wait(t.Context()); err != nil && !errors.Is(err, actors.ErrTimeout) {
						t.Error(err)
					}
					wait = 0
					v, err := actors.RequestFuture[int](root, pid, question{1}, actors.Timeout(time.Minute)).Wait(t.Context())
					if want := change(question{1}).(question).n; v != want || err != nil {
						t.Errorf("%d, %v, want %d", v, err, want)
					}
				}
			})
		})
	}
}
