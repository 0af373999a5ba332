// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/supervisor"
)

// finished is the account of a worker all of whose work has finished.
func finished(n int64) actors.Counts { return actors.Counts{Finished: n} }

func oneResultForAll(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{})
	for round := range 50 {
		p := new(actors.Promise[int])
		var results []*actortest.Op[string]
		for range 5 {
			results = append(results, actortest.Go(t, func() (string, error) {
				v, err := p.Future().Wait(t.Context())
				return fmt.Sprint(v, err), nil
			}), actortest.Go(t, func() (string, error) {
				<-p.Future().Ready()
				v, err := p.Future().TryResult()
				return fmt.Sprint(v, err), nil
			}), actortest.Go(t, func() (string, error) {
				return actors.Submit(sys.Root, pid, func(t *actors.Task) (string, error) {
					v, err := actors.Await(t, p.Future())
					return fmt.Sprint(v, err), nil
				}).Wait(t.Context())
			}))
		}
		if round%2 == 0 { // else they race with the waiters, too
			synctest.Wait()
		}
		var deciders []*actortest.Op[bool]
		for i := range 4 {
			deciders = append(deciders,
				actortest.Go(t, func() (bool, error) { return p.Resolve(i + 1), nil }),
				actortest.Go(t, func() (bool, error) { return p.Reject(errors.New("rejected")), nil }),
				actortest.Go(t, func() (bool, error) { return p.Future().Cancel(), nil }))
		}
		decided := 0
		for _, d := range deciders {
			if yes, _ := d.Result(); yes {
				decided++
			}
		}
		if decided != 1 {
			t.Fatalf("%d calls have decided a future", decided)
		}
		v, err := p.Future().TryResult()
		for _, r := range results {
			if got, _ := r.Result(); got != fmt.Sprint(v, err) {
				t.Fatalf("a waiter got %s, the future is %v %v", got, v, err)
			}
		}
	}
}

// pendingWork gives a worker work of every kind that cannot end by itself, and
// returns it by name.
func pendingWork(t *testing.T, sys *actor.ActorSystem) (*actor.PID, map[string]interface{ Done() bool }) {
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		actors.On(w, func(t *actors.Task, _ int) error { t.Sender(); return nil }) // the asker waits for its PID
		actors.On(w, func(t *actors.Task, _ bool) error { t.Stash(); return nil })
		actors.Handle(w, func(t *actors.Task, _ string) (none, error) { return none{}, t.Sleep(time.Hour) }, actors.Exclusive())
		return nil
	}, actors.Options{StopGrace: time.Second})
	other := actortest.Spawn(t, sys.Root, "other", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, _ int) (none, error) { return actors.Ask[none](t, pid, "held") })
		return nil
	}, actors.Options{})
	all := map[string]interface{ Done() bool }{}
	running := do(sys.Root, pid, func(t *actors.Task) error {
		all["started"] = actors.Start(t, func(t *actors.Task) (none, error) { return none{}, t.Sleep(time.Hour) })
		all["offloaded"] = actors.Offload(t, func(ctx context.Context) (none, error) { <-ctx.Done(); return none{}, ctx.Err() })
		all["receiving"] = actors.Start(t, func(t *actors.Task) (none, error) {
			_, _, err := loopsync.Receive(t, make(chan none))
			return none{}, err
		})
		return t.Sleep(time.Hour)
	})
	synctest.Wait() // it has put its own work there
	all["running"] = running
	all["kept sender"] = actors.RequestFuture[none](sys.Root, pid, 1)
	all["stashed"] = actors.RequestFuture[none](sys.Root, pid, true)
	synctest.Wait()
	all["exclusive"] = actors.RequestFuture[none](sys.Root, pid, "holds the loop")
	all["queued"] = do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(time.Hour) })
	all["two hops away"] = actors.RequestFuture[none](sys.Root, other, 1)
	synctest.Wait()
	for name, f := range all {
		if f.Done() {
			_, err := f.(*actors.Future[none]).TryResult()
			t.Fatalf("%s is done: %v", name, err)
		}
	}
	return pid, all
}

func wantNonePending(t *testing.T, all map[string]interface{ Done() bool }) {
	t.Helper()
	synctest.Wait()
	for name, f := range all {
		if !f.Done() {
			t.Errorf("%s is pending after its worker is gone", name)
		}
	}
}

func nonePendingAfterForcedStop(t *testing.T, sys *actor.ActorSystem) {
	pid, all := pendingWork(t, sys)
	actortest.Stop(t, sys.Root, pid, actors.NoGrace)
	wantNonePending(t, all)
	wantDone(t, "queued", all["queued"].(*actors.Future[none]), actors.ErrStopping)
	wantDone(t, "running", all["running"].(*actors.Future[none]), actors.ErrStopped)
	wantDone(t, "two hops away", all["two hops away"].(*actors.Future[none]), actors.ErrStopping)
	late := do(sys.Root, pid, func(*actors.Task) error { return nil })
	wantDone(t, "submitted to a worker that is gone", late, actors.ErrDeadLetter)
}

func nonePendingAfterGrace(t *testing.T, sys *actor.ActorSystem) {
	pid, all := pendingWork(t, sys)
	watch := newStopwatch()
	actortest.Stop(t, sys.Root, pid, time.Minute)
	watch.want(t, "gone", time.Minute)
	wantNonePending(t, all)
}

func nonePendingAfterFailure(t *testing.T, sys *actor.ActorSystem) {
	pid, all := pendingWork(t, sys)
	failed := do(sys.Root, pid, func(t *actors.Task) error { t.Exit(supervisor.ErrDoNotRestart); return nil })
	for _, name := range []string{"exclusive", "two hops away"} { // so that the one above runs
		all[name].(*actors.Future[none]).Cancel()
	}
	if _, err := failed.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	wantNonePending(t, all)
}

func cancelledAtOnce(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{})
	var tr testtools.Trace
	f := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
		t.Sleep(time.Hour)
		tr.Add("unwinds")
		t.Cleanup(time.Minute, func(t *actors.Task) error { return t.Sleep(3 * time.Second) })
		tr.Add("returns")
		return 5, nil
	})
	synctest.Wait()
	if !f.Cancel() {
		t.Error("Cancel did not decide it")
	}
	wantDone(t, "at once", f, actors.ErrCanceled)
	wantDone(t, "at once", f, context.Canceled)
	if f.Cancel() {
		t.Error("a second Cancel decided it, too")
	}
	synctest.Wait()
	tr.Want(t, "unwinds")
	time.Sleep(3 * time.Second)
	synctest.Wait()
	tr.Want(t, "returns")
	if v, err := f.TryResult(); v != 0 || !errors.Is(err, actors.ErrCanceled) {
		t.Errorf("what it returned late was not dropped: %v, %v", v, err)
	}
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), actors.Counts{Canceled: 1})
}

// errIf is an error if something is as it should not be.
func errIf(bad bool) error {
	if bad {
		return errors.New("it should not")
	}
	return nil
}

// bomb is a worker that panics on an int, and whose incarnations are counted.
func bomb(incarnations *int) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		*incarnations++
		n := *incarnations
		actors.Handle(w, func(*actors.Task, int) (none, error) { panic("boom") })
		actors.Handle(w, func(*actors.Task, string) (int, error) { return n, nil })
		return nil
	}
}

func restartedAtOnce(t *testing.T, sys *actor.ActorSystem) {
	var n int
	pid := actortest.Spawn(t, sys.Root, "w", bomb(&n), actors.Options{})
	f := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
		t.Sleep(time.Hour)
		t.Cleanup(time.Minute, func(t *actors.Task) error { return t.Sleep(3 * time.Second) })
		return 5, nil
	})
	synctest.Wait()
	watch := newStopwatch()
	boom := actors.RequestFuture[none](sys.Root, pid, 1)
	_, err := f.Wait(t.Context())
	wantErr(t, "in flight", err, actors.ErrRestarted)
	synctest.Wait()
	var p *actors.PanicError
	if _, err := boom.TryResult(); !errors.As(err, &p) {
		t.Errorf("the panic: %v", err)
	}
	watch.want(t, "failed", 0)
	time.Sleep(3 * time.Second)
	synctest.Wait()
	wantDone(t, "after its task has returned", f, actors.ErrRestarted)
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), actors.Counts{Failed: 1, Canceled: 1})
}

func expiredNeverStarts(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	pid := actortest.Spawn(t, sys.Root, "w", echo(&tr), actors.Options{MaxInFlight: 1})
	do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(10 * time.Second) })
	ctx, cancel := context.WithCancelCause(t.Context())
	short, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	why := errors.New("the client has gone")

	timeout := actors.RequestFuture[string](sys.Root, pid, "timeout", actors.Timeout(time.Second))
	zero := actors.RequestFuture[string](sys.Root, pid, "no time", actors.Timeout(0))
	canceled := actors.RequestFuture[string](sys.Root, pid, "canceled")
	withCtx := actors.RequestFuture[string](sys.Root, pid, "context", actors.WithContext(ctx))
	deadline := actors.RequestFuture[string](sys.Root, pid, "deadline", actors.WithContext(short))
	submitted := do(sys.Root, pid, func(*actors.Task) error { tr.Add("submitted"); return nil }, actors.Timeout(time.Second))
	alive := actors.RequestFuture[string](sys.Root, pid, "alive", actors.Timeout(time.Minute))

	wantDone(t, "no time", zero, actors.ErrTimeout)
	canceled.Cancel()
	wantDone(t, "canceled", canceled, actors.ErrCanceled)
	cancel(why)
	synctest.Wait()
	wantDone(t, "context", withCtx, actors.ErrCanceled)
	wantDone(t, "context", withCtx, why)
	time.Sleep(time.Second)
	synctest.Wait()
	wantDone(t, "timeout", timeout, actors.ErrTimeout)
	wantDone(t, "timeout", timeout, context.DeadlineExceeded)
	wantDone(t, "submitted", submitted, actors.ErrTimeout)
	wantDone(t, "deadline", deadline, actors.ErrTimeout)
	if v, err := alive.Wait(t.Context()); v != "alive" || err != nil {
		t.Error(v, err)
	}
	tr.Want(t, "alive")
	// The one without any time was never sent.
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), actors.Counts{Finished: 2, Canceled: 5})
}

func readyWins(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	failed := errors.New("failed")
	good := actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { return 7, nil })
	bad := actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { return 0, failed })
	if _, err := new(actors.Promise[int]).Future().Wait(ctx); err != context.Canceled {
		t.Errorf("a pending future with an ended context: %v", err)
	}
	synctest.Wait()
	for range 100 { // a select would choose at random
		if v, err := good.Wait(ctx); v != 7 || err != nil {
			t.Fatalf("Wait: %v, %v", v, err)
		}
		if _, err := bad.Wait(ctx); err != failed {
			t.Fatalf("Wait: %v", err)
		}
	}
	if v, err := good.TryResult(); v != 7 || err != nil {
		t.Errorf("TryResult: %v, %v", v, err)
	}
	select {
	case <-good.Ready():
	default:
		t.Error("Ready is not closed")
	}
	if !good.Done() {
		t.Error("not Done")
	}
}

func waitEndsAlone(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{})
	f := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) { return 7, t.Sleep(2 * time.Second) })
	why := errors.New("impatient")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
	defer cancel()
	watch := newStopwatch()
	if _, err := f.Wait(ctx); err != why {
		t.Errorf("Wait: %v, want the context's cause", err)
	}
	watch.want(t, "Wait returned", time.Second)
	if _, err := f.TryResult(); err != actors.ErrPending || f.Done() {
		t.Errorf("TryResult: %v, done: %v", err, f.Done())
	}
	if v, err := f.Wait(t.Context()); v != 7 || err != nil {
		t.Errorf("the work: %v, %v", v, err)
	}
	watch.want(t, "the work ended", 2*time.Second)
}
