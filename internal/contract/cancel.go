// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

// chain is a row of workers that ask the next one; the last works for an hour.
func chain(t *testing.T, sys *actor.ActorSystem, tr *testtools.Trace) (first *actor.PID) {
	var next *actor.PID
	for _, name := range []string{"c", "b", "a"} {
		to := next
		next = actortest.Spawn(t, sys.Root, name, func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, d time.Duration) (none, error) {
				defer func() { tr.Add("%s ends: %v", name, context.Cause(t.Context())) }()
				if to == nil {
					return none{}, t.Sleep(d)
				}
				return actors.Ask[none](t, to, d)
			})
			return nil
		}, actors.Options{})
	}
	return next
}

func wantChainEnded(t *testing.T, sys *actor.ActorSystem) {
	t.Helper()
	for _, name := range []string{"a", "b", "c"} {
		wantCounts(t, actortest.Stop(t, sys.Root, sys.NewLocalPID(name), 0), actors.Counts{Canceled: 1})
	}
}

func cancelReachesWork(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	f := actors.RequestFuture[none](sys.Root, chain(t, sys, &tr), time.Hour)
	synctest.Wait()
	tr.Want(t)
	watch := newStopwatch()
	if !f.Cancel() {
		t.Error("Cancel did not decide it")
	}
	synctest.Wait()
	watch.want(t, "ended", 0)
	events := tr.Take()
	for _, e := range events {
		if e[1:] != " ends: actors: canceled" {
			t.Error(e)
		}
	}
	if len(events) != 3 {
		t.Errorf("%d of 3 workers' work has ended", len(events))
	}
	wantDone(t, "the future", f, actors.ErrCanceled)
	wantChainEnded(t, sys)
}

func contextReachesWork(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	ctx, cancel := context.WithCancelCause(t.Context())
	f := actors.RequestFuture[none](sys.Root, chain(t, sys, &tr), time.Hour, actors.WithContext(ctx))
	synctest.Wait()
	why := errors.New("the client has gone")
	cancel(why)
	synctest.Wait()
	wantDone(t, "the future", f, actors.ErrCanceled)
	wantDone(t, "the future", f, why)
	wantChainEnded(t, sys)
}

func timeoutEndsWork(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	f := actors.RequestFuture[none](sys.Root, chain(t, sys, &tr), time.Hour, actors.Timeout(2*time.Second))
	watch := newStopwatch()
	_, err := f.Wait(t.Context())
	watch.want(t, "expired", 2*time.Second)
	wantErr(t, "the future", err, actors.ErrTimeout, context.DeadlineExceeded)
	synctest.Wait()
	watch.want(t, "ended", 2*time.Second)
	wantChainEnded(t, sys)
}

func smallerBudget(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{})
	other := actortest.Spawn(t, sys.Root, "other", bare, actors.Options{})
	left := func(t *actors.Task) (time.Duration, error) {
		d, ok := t.Context().Deadline()
		return time.Until(d), errIf(!ok)
	}
	_, err := do(sys.Root, pid, func(k *actors.Task) error {
		k.Sleep(4 * time.Second)
		for _, c := range []struct{ own, want time.Duration }{{time.Second, time.Second}, {time.Minute, 6 * time.Second}, {actors.Forever, 6 * time.Second}} {
			for name, f := range map[string]*actors.Future[time.Duration]{
				"Submit": actors.Submit(k, other, left, actors.Timeout(c.own)),
				"Start":  actors.Start(k, left, actors.Timeout(c.own)),
			} {
				if got, err := actors.Await(k, f); got != c.want || err != nil {
					t.Errorf("%s with %v: %v left, %v, want %v", name, c.own, got, err, c.want)
				}
			}
		}
		if got, err := actors.Await(k, actors.Start(k, left)); got != 6*time.Second || err != nil {
			t.Errorf("Start: %v left, %v", got, err)
		}
		watch := newStopwatch()
		_, err := actors.Await(k, actors.Start(k, func(c *actors.Task) (none, error) { return none{}, c.Sleep(time.Hour) }, actors.Timeout(time.Second)))
		watch.want(t, "the child's own budget ended it", time.Second)
		wantErr(t, "the child", err, actors.ErrTimeout)
		return k.Yield() // alive
	}, actors.Timeout(10*time.Second)).Wait(t.Context())
	if err != nil {
		t.Error(err)
	}
}

func childOutlivesReturn(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{})
	for _, cancel := range []bool{false, true} {
		var child *actors.Future[none]
		f := do(sys.Root, pid, func(t *actors.Task) error {
			child = actors.Start(t, func(t *actors.Task) (none, error) { return none{}, t.Sleep(time.Minute) })
			if cancel {
				return t.Sleep(time.Hour)
			}
			return nil
		})
		synctest.Wait()
		if f.Done() == cancel || child.Done() {
			t.Errorf("parent done %v, child done %v", f.Done(), child.Done())
		}
		if cancel {
			f.Cancel()
			synctest.Wait()
			wantDone(t, "the child of a cancelled parent", child, actors.ErrCanceled)
		} else if _, err := child.Wait(t.Context()); err != nil {
			t.Errorf("the child of a parent that returned: %v", err)
		}
	}
	// The budget goes on to count after the parent's return.
	var child *actors.Future[none]
	do(sys.Root, pid, func(t *actors.Task) error {
		child = actors.Start(t, func(t *actors.Task) (none, error) { return none{}, t.Sleep(time.Hour) })
		return nil
	}, actors.Timeout(time.Minute))
	synctest.Wait()
	watch := newStopwatch()
	_, err := child.Wait(t.Context())
	wantErr(t, "the child of an expired parent", err, actors.ErrTimeout)
	watch.want(t, "expired", time.Minute)
}

func offloadEnds(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{})
	var cause error
	var off *actors.Future[none]
	f := do(sys.Root, pid, func(t *actors.Task) error {
		off = actors.Offload(t, func(ctx context.Context) (none, error) { <-ctx.Done(); cause = context.Cause(ctx); return none{}, nil })
		return t.Sleep(time.Hour)
	})
	synctest.Wait()
	f.Cancel()
	synctest.Wait()
	wantErr(t, "its context's cause", cause, actors.ErrCanceled)
	wantDone(t, "its future", off, actors.ErrCanceled)
}

func allCancels(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{})
	hour := func() *actors.Future[none] {
		return do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(time.Hour) })
	}
	a, b := hour(), hour()
	failed := futures.All(a, b, do(sys.Root, pid, func(*actors.Task) error { return errSoldOut }))
	synctest.Wait()
	wantDone(t, "All with one that failed", failed, errSoldOut)
	if a.Done() || b.Done() {
		t.Error("a failed All has cancelled a member")
	}
	all := futures.All(a, b)
	all.Cancel()
	wantDone(t, "All", all, actors.ErrCanceled)
	wantDone(t, "a member", a, actors.ErrCanceled)
	wantDone(t, "a member", b, actors.ErrCanceled)
	synctest.Wait()
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), actors.Counts{Failed: 1, Canceled: 2})
}

func contextValues(t *testing.T, sys *actor.ActorSystem) {
	type key struct{}
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{})
	other := actortest.Spawn(t, sys.Root, "other", bare, actors.Options{})
	value := func(t *actors.Task) (any, error) { return t.Context().Value(key{}), nil }
	ctx := context.WithValue(t.Context(), key{}, "trace")
	for name, f := range map[string]*actors.Future[any]{
		"Submit": actors.Submit(sys.Root, pid, value, actors.WithContext(ctx)),
		"Start": actors.Submit(sys.Root, pid, func(t *actors.Task) (any, error) {
			return actors.Await(t, actors.Start(t, value))
		}, actors.WithContext(ctx)),
		"another worker": actors.Submit(sys.Root, pid, func(t *actors.Task) (any, error) {
			return actors.Await(t, actors.Submit(t, other, value))
		}, actors.WithContext(ctx)),
		"Offload": actors.Submit(sys.Root, pid, func(t *actors.Task) (any, error) {
			return actors.Await(t, actors.Offload(t, func(ctx context.Context) (any, error) { return ctx.Value(key{}), nil }))
		}, actors.WithContext(ctx)),
	} {
		if v, err := f.Wait(t.Context()); v != "trace" || err != nil {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
}

func workerAnswers(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, d time.Duration) (string, error) { return "late", t.Sleep(d) })
		actors.On(w, func(t *actors.Task, d int) error { return t.Sleep(time.Hour) })
		return nil
	}, actors.Options{})
	watch := newStopwatch()
	if v, err := actors.RequestFuture[string](sys.Root, pid, 24*time.Hour).Wait(t.Context()); v != "late" || err != nil {
		t.Error(v, err)
	}
	watch.want(t, "answered", 24*time.Hour)
	if _, err := actors.RequestFuture[actors.None](sys.Root, pid, 1).Wait(t.Context()); err != nil {
		t.Error(err)
	}
	watch.want(t, "returned", 25*time.Hour)
}

func plainActorTimesOut(t *testing.T, sys *actor.ActorSystem) {
	plain := sys.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
	never := actors.RequestFuture[string](sys.Root, plain, 1, actors.Timeout(actors.Forever))
	watch := newStopwatch()
	_, err := actors.RequestFuture[string](sys.Root, plain, 1).Wait(t.Context())
	wantErr(t, "by default", err, actors.ErrTimeout)
	watch.want(t, "by default", 30*time.Second)
	_, err = actors.RequestFuture[string](sys.Root, plain, 1, actors.Timeout(time.Second)).Wait(t.Context())
	wantErr(t, "with a Timeout", err, actors.ErrTimeout)
	watch.want(t, "with a Timeout", 31*time.Second)
	time.Sleep(1000 * time.Hour)
	if never.Done() {
		_, err := never.TryResult()
		t.Errorf("Forever: %v", err)
	}
	never.Cancel()
}
