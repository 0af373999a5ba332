// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/goroutines"
	"github.com/protoloop/protoloop/internal/testtools"
)

// wantEnded has end end a task, and fails the test unless all its awaits
// return why, at once, every time and whatever is ready.
func wantEnded(t *testing.T, sys *actor.ActorSystem, why error, end func(pid *actor.PID, f *actors.Future[none])) {
	t.Helper()
	var n int
	pid := actortest.Spawn(t, sys.Root, "w", bomb(&n), actors.Options{})
	other := actortest.Spawn(t, sys.Root, "other", echo(new(testtools.Trace)), actors.Options{})
	ready := new(actors.Promise[none])
	ready.Resolve(none{})
	ch, out := make(chan int, 1), make(chan int, 1)
	ch <- 1
	var bad []string
	returned := false
	f := do(sys.Root, pid, func(k *actors.Task) error {
		early := actors.Start(k, func(*actors.Task) (none, error) { return none{}, nil })
		first := k.Sleep(time.Hour)
		watch := time.Now()
		for round := range 2 {
			for name, await := range map[string]func() error{
				"Sleep":          func() error { return k.Sleep(time.Second) },
				"Sleep(0)":       func() error { return k.Sleep(0) },
				"Yield":          k.Yield,
				"SleepOrStop":    func() error { _, err := k.SleepOrStop(time.Second); return err },
				"Await, ready":   func() error { _, err := actors.Await(k, ready.Future()); return err },
				"Await, a child": func() error { _, err := actors.Await(k, early); return err },
				"Await, pending": func() error { _, err := actors.Await(k, new(actors.Promise[none]).Future()); return err },
				"Receive, ready": func() error { _, _, err := loopsync.Receive(k, ch); return err },
				"Send, ready":    func() error { return loopsync.Send(k, out, 1) },
				"Select, ready": func() error {
					_, err := loopsync.Select(k, loopsync.OnReceive(ch, nil, nil), loopsync.OnSend(out, 1), loopsync.OnFuture(ready.Future()), loopsync.OnTimer(0))
					return err
				},
				"Ask": func() error { _, err := actors.Ask[string](k, other, "x"); return err },
				"a new child": func() error {
					_, err := actors.Start(k, func(*actors.Task) (none, error) { return none{}, nil }).TryResult()
					return err
				},
				"its child": func() error {
					_, err := actors.Await(k, actors.Start(k, func(*actors.Task) (none, error) { return none{}, nil }))
					return err
				},
				"Offload": func() error {
					_, err := actors.Offload(k, func(context.Context) (none, error) { return none{}, nil }).TryResult()
					return err
				},
				"a submission":    func() error { _, err := do(k, other, func(*actors.Task) error { return nil }).TryResult(); return err },
				"context's cause": func() error { return context.Cause(k.Context()) },
			} {
				if err := await(); !errors.Is(err, why) {
					bad = append(bad, fmt.Sprintf("%s, round %d: %v", name, round, err))
				}
			}
		}
		if !errors.Is(first, why) || time.Since(watch) != 0 {
			bad = append(bad, fmt.Sprintf("the await that was cut off: %v; the others took %v", first, time.Since(watch)))
		}
		returned = true
		return nil
	})
	synctest.Wait()
	end(pid, f)
	synctest.Wait()
	if !returned || len(bad) > 0 {
		slices.Sort(bad)
		t.Errorf("the task returned: %v; want %v of\n%s", returned, why, strings.Join(bad, "\n"))
	}
	if len(ch) != 1 || len(out) != 0 {
		t.Error("Receive has taken a value, or Send has sent one, and returned an error")
	}
	wantDone(t, "its future", f, why)
}

func endedByCancel(t *testing.T, sys *actor.ActorSystem) {
	wantEnded(t, sys, actors.ErrCanceled, func(_ *actor.PID, f *actors.Future[none]) { f.Cancel() })
}

func endedByRestart(t *testing.T, sys *actor.ActorSystem) {
	wantEnded(t, sys, actors.ErrRestarted, func(pid *actor.PID, _ *actors.Future[none]) { sys.Root.Send(pid, 1) })
}

func endedByStop(t *testing.T, sys *actor.ActorSystem) {
	wantEnded(t, sys, actors.ErrStopped, func(pid *actor.PID, _ *actors.Future[none]) { sys.Root.Stop(pid) })
}

func receiveReturnsTaken(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{})
	for range 20 {
		ch := make(chan int)
		var v int
		var ok bool
		var err, after error
		f := do(sys.Root, pid, func(t *actors.Task) error {
			v, ok, err = loopsync.Receive(t, ch)
			after = t.Yield()
			return nil
		})
		synctest.Wait()
		run(t, sys.Root, pid, func(*actors.Task) error { // the receiver cannot go on meanwhile
			ch <- 7
			f.Cancel()
			return nil
		})
		synctest.Wait()
		if v != 7 || !ok || err != nil || !errors.Is(after, actors.ErrCanceled) {
			t.Fatalf("Receive: %d, %v, %v; the next await: %v", v, ok, err, after)
		}
	}
}

func unwindsByError(t *testing.T, sys *actor.ActorSystem) {
	for name, end := range map[string]func(pid *actor.PID, f *actors.Future[none]){
		"cancel":  func(_ *actor.PID, f *actors.Future[none]) { f.Cancel() },
		"restart": func(pid *actor.PID, _ *actors.Future[none]) { sys.Root.Send(pid, 1) },
		"stop":    func(pid *actor.PID, _ *actors.Future[none]) { sys.Root.Stop(pid) },
	} {
		var tr testtools.Trace
		var n int
		pid := actortest.Spawn(t, sys.Root, name, bomb(&n), actors.Options{})
		f := do(sys.Root, pid, func(t *actors.Task) error {
			normal := false
			defer func() { tr.Add("recovered %v, normal return %v", recover(), normal) }()
			tr.Add("error %v", t.Sleep(time.Hour) != nil)
			normal = true
			return nil
		})
		synctest.Wait()
		end(pid, f)
		synctest.Wait()
		tr.Want(t, "error true", "recovered <nil>, normal return true")
	}
}

func cleanupLives(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{StopGrace: time.Minute})
	other := actortest.Spawn(t, sys.Root, "other", echo(new(testtools.Trace)), actors.Options{})
	mine := errors.New("what Cleanup's function returned")
	var errs []error
	var after error
	do(sys.Root, pid, func(k *actors.Task) error {
		k.Sleep(time.Hour)
		err := k.Cleanup(10*time.Second, func(c *actors.Task) error {
			_, asked := actors.Ask[string](c, other, "x")
			_, child := actors.Await(c, actors.Start(c, func(t *actors.Task) (none, error) { return none{}, t.Sleep(time.Second) }))
			errs = append(errs, c.Context().Err(), c.Sleep(time.Second), asked, child, c.Context().Err())
			return mine
		})
		after = k.Yield()
		errs = append(errs, errIf(err != mine))
		return nil
	})
	synctest.Wait()
	watch := newStopwatch()
	actortest.Stop(t, sys.Root, pid, actors.NoGrace)
	watch.want(t, "stopped", 2*time.Second)
	if err := errors.Join(errs...); err != nil || len(errs) != 6 {
		t.Error(err)
	}
	wantErr(t, "after Cleanup", after, actors.ErrStopped)
}

func cleanupEnds(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{StopGrace: time.Minute})
	var err, again, cause error
	do(sys.Root, pid, func(k *actors.Task) error {
		k.Sleep(time.Hour)
		return k.Cleanup(2*time.Second, func(c *actors.Task) error {
			err, again, cause = c.Sleep(time.Hour), c.Yield(), context.Cause(c.Context())
			return nil
		})
	})
	synctest.Wait()
	watch := newStopwatch()
	actortest.Stop(t, sys.Root, pid, actors.NoGrace)
	watch.want(t, "stopped", 2*time.Second)
	for _, err := range []error{err, again, cause} {
		wantErr(t, "after its grace", err, actors.ErrTimeout)
	}
}

// busyWorker has a task in every kind of wait.
func busyWorker(t testing.TB, sys *actor.ActorSystem, name string, setup func(w *actors.Worker) error) *actor.PID {
	pid := actortest.Spawn(t, sys.Root, name, setup, actors.Options{})
	plain := sys.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
	for range 10 {
		do(sys.Root, pid, func(t *actors.Task) error {
			actors.Start(t, func(t *actors.Task) (none, error) { return none{}, t.Sleep(time.Hour) })
			actors.Offload(t, func(ctx context.Context) (none, error) { <-ctx.Done(); return none{}, nil })
			actors.Start(t, func(t *actors.Task) (none, error) {
				_, _, err := loopsync.Receive(t, make(chan none))
				return none{}, err
			})
			t.SetReceiveTimeout(time.Hour)
			actors.Ask[none](t, plain, 1, actors.Timeout(actors.Forever))
			return nil
		}, actors.Timeout(24*time.Hour))
	}
	run(t.(*testing.T), sys.Root, pid, func(t *actors.Task) error { return t.Yield() })
	sys.Root.Stop(plain)
	return pid
}

func registryClean(t *testing.T, sys *actor.ActorSystem) {
	ids := func() []string { return testtools.RegisteredIDs(sys, "") }
	actortest.Stop(t, sys.Root, busyWorker(t, sys, "first", bare), actors.NoGrace) // the system's own processes come with it
	synctest.Wait()                                                                // the plain actor stops on a goroutine of its own
	before := ids()
	for i := range 3 {
		actortest.Stop(t, sys.Root, busyWorker(t, sys, fmt.Sprint(i), bare), actors.NoGrace)
	}
	synctest.Wait()
	if after := ids(); !slices.Equal(before, after) {
		t.Errorf("in the registry: %v, before: %v", after, before)
	}
}

func abandonedRemain(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{StopGrace: time.Second, BlockedTurn: -1})
	release := make(chan none)
	ended := false
	do(sys.Root, pid, func(t *actors.Task) error {
		stuck(release)
		ended = t.Yield() != nil
		return nil
	})
	synctest.Wait()
	wantCounts(t, actortest.Stop(t, sys.Root, pid, actors.NoGrace), actors.Counts{Abandoned: 1})
	if got := goroutines.Count("contract.stuck("); got != 1 {
		t.Errorf("%d goroutines are stuck, want the abandoned task's", got)
	}
	close(release)
	synctest.Wait()
	if !ended {
		t.Error("the abandoned task did not end by the error of its await")
	}
	if goroutines.Count("contract.stuck(") > 0 {
		t.Errorf("the abandoned task has returned, its goroutine has not:\n%s", strings.Join(goroutines.Stacks(), "\n\n"))
	}
}

func startStopStress(t *testing.T, sys *actor.ActorSystem) {
	actortest.Stress(t, func() func() {
		pid := actortest.Spawn(t, sys.Root, "w"+sys.ProcessRegistry.NextId(), bare, actors.Options{})
		f := do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(time.Hour) })
		run(t, sys.Root, pid, func(*actors.Task) error { return nil })
		return func() {
			actors.RequestStop(sys.Root, pid, time.Second) // two at once
			wantCounts(t, actortest.Stop(t, sys.Root, pid, actors.NoGrace), actors.Counts{Finished: 1, Canceled: 1})
			wantDone(t, "cut off", f, actors.ErrStopped)
		}
	})
}

// goroutinesClean runs in real time, where nothing but the count tells.
func goroutinesClean(t *testing.T) {
	sys := actortest.NewSystem(t)
	before := runtime.NumGoroutine()
	for round := range 3 {
		var pids []*actor.PID
		for i := range 20 {
			pids = append(pids, busyWorker(t, sys, fmt.Sprint(round, i), bare))
		}
		if n := runtime.NumGoroutine() - before; n < 200 {
			t.Errorf("only %d goroutines are in use: the test is no good", n)
		}
		for _, pid := range pids {
			actortest.Stop(t, sys.Root, pid, actors.NoGrace)
		}
		actortest.Eventually(t, "the goroutines end", func() bool { return runtime.NumGoroutine() <= before })
	}
}

// timersClean runs in real time. A timer that is still set keeps what it
// belongs to from being collected.
func timersClean(t *testing.T) {
	sys := actortest.NewSystem(t)
	type state struct{ bulk [1 << 16]byte }
	var states []weak.Pointer[state]
	for i := range 5 {
		pid := busyWorker(t, sys, fmt.Sprint(i), func(w *actors.Worker) error {
			s := &state{}
			states = append(states, weak.Make(s))
			w.Background("holds the state", func(t *actors.Task) error {
				defer func() { s.bulk[0]++ }()
				_, err := t.SleepOrStop(time.Hour)
				return err
			})
			actors.Handle(w, func(*actors.Task, int) (byte, error) { return s.bulk[0], nil })
			return nil
		})
		actortest.Stop(t, sys.Root, pid, actors.NoGrace)
	}
	actortest.Eventually(t, "the workers' state is collected", func() bool {
		runtime.GC()
		return !slices.ContainsFunc(states, func(s weak.Pointer[state]) bool { return s.Value() != nil })
	})
}
