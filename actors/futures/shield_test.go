// SPDX-License-Identifier: Apache-2.0

package futures_test

import (
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/internal/futuretest"
	"github.com/protoloop/protoloop/internal/testtools"
)

func TestShieldCompletesAsItsFuture(t *testing.T) {
	ps, fs := futuretest.Promises(2)
	a, b := futures.Shield(fs[0]), futures.Shield(fs[1])
	futuretest.WantPending(t, "Shield", a)
	ps[0].Resolve(1)
	ps[1].Reject(errLeft)
	futuretest.WantNow(t, "Shield", a, 1)
	futuretest.WantFailed(t, "Shield", b, errLeft)
}

func TestShieldKeepsACancelAway(t *testing.T) {
	ps, fs := futuretest.Promises(1)
	outer := futures.Shield(fs[0])
	if !outer.Cancel() {
		t.Error("the shield could not be cancelled")
	}
	futuretest.WantFailed(t, "the shield", outer, actors.ErrCanceled)
	futuretest.WantPending(t, "what it shields", fs[0])
	ps[0].Resolve(1)
	futuretest.WantNow(t, "what it shields", fs[0], 1)
	futuretest.WantFailed(t, "the shield", outer, actors.ErrCanceled)
}

func TestShieldPassesACancelOfItsFutureOn(t *testing.T) {
	_, fs := futuretest.Promises(1)
	outer := futures.Shield(fs[0])
	fs[0].Cancel()
	futuretest.WantFailed(t, "the shield", outer, actors.ErrCanceled)
}

func TestShieldOfACombinationKeepsItsMembers(t *testing.T) {
	ps, fs := futuretest.Promises(2)
	all := futures.All(fs...)
	futures.All(futures.Shield(all)).Cancel()
	ps[0].Resolve(0)
	ps[1].Resolve(1)
	futuretest.WantNow(t, "what was shielded", all, []int{0, 1})
}

func TestWithTimeoutInTime(t *testing.T) {
	futuretest.Bubble(t, func(w *futuretest.World) {
		fs := later(w, 1)
		f := futures.WithTimeout(fs[0], 2*time.Second)
		futuretest.Want(w, f, 0)
		time.Sleep(time.Minute)
		futuretest.WantNow(w, "afterwards", f, 0)
	})
}

func TestWithTimeoutCancelsItsFuture(t *testing.T) {
	futuretest.Bubble(t, func(w *futuretest.World) {
		start := time.Now()
		fs := later(w, 10)
		futuretest.WantErr(w, futures.WithTimeout(fs[0], 2*time.Second), actors.ErrTimeout)
		if d := time.Since(start); d != 2*time.Second {
			w.Errorf("after %v", d)
		}
		futuretest.WantFailed(w, "the member", fs[0], actors.ErrCanceled)
	})
}

// Whoever is told that the time is over finds all of it cancelled.
func TestWithTimeoutCancelsBeforeItTells(t *testing.T) {
	futuretest.Bubble(t, func(w *futuretest.World) {
		for range 200 {
			var ps [3]actors.Promise[int]
			f := futures.All(futures.Race(ps[0].Future(), ps[1].Future()), ps[2].Future())
			futuretest.WantErr(w, futures.WithTimeout(f, time.Second), actors.ErrTimeout)
			for i := range ps {
				if !ps[i].Future().Done() {
					w.Fatal("not cancelled: the future of promise", i)
				}
			}
		}
	})
}

func TestWithTimeoutOfAShield(t *testing.T) {
	futuretest.Bubble(t, func(w *futuretest.World) {
		fs := later(w, 10)
		futuretest.WantErr(w, futures.WithTimeout(futures.Shield(fs[0]), 2*time.Second), actors.ErrTimeout)
		futuretest.Want(w, fs[0], 0)
	})
}

// It completes when the time is over, however long the work takes to notice.
func TestWithTimeoutDoesNotWaitForTheWork(t *testing.T) {
	futuretest.Bubble(t, func(w *futuretest.World) {
		var tr testtools.Trace
		pid := w.Worker("worker", actors.Options{Logger: futuretest.Discard()}, futuretest.None)
		f := actors.SubmitErr(w.Root, pid, func(t *actors.Task) error {
			err := t.Sleep(time.Hour)
			_ = t.Cleanup(time.Hour, func(t *actors.Task) error { return t.Sleep(10 * time.Second) })
			tr.Add("cleaned up")
			return err
		})
		futuretest.WantErr(w, futures.WithTimeout(f, time.Second), actors.ErrTimeout)
		tr.Want(w)
		w.Stopped(pid, 30*time.Second)
		tr.Want(w, "cleaned up")
	})
}

func TestWithTimeoutOfNoTime(t *testing.T) {
	for _, d := range []time.Duration{0, -time.Second} {
		_, fs := futuretest.Promises(1)
		futuretest.WantFailed(t, "WithTimeout", futures.WithTimeout(fs[0], d), actors.ErrTimeout)
		futuretest.WantFailed(t, "its member", fs[0], actors.ErrCanceled)
		futuretest.WantNow(t, "of one that is done", futures.WithTimeout(futures.Resolved(1), d), 1)
	}
}

func TestWithTimeoutWithoutATimeout(t *testing.T) {
	futuretest.Bubble(t, func(w *futuretest.World) {
		fs := later(w, 50)
		futuretest.Want(w, futures.WithTimeout(fs[0], actors.Forever), 0)
	})
}

func TestWithTimeoutCancelledEarly(t *testing.T) {
	futuretest.Bubble(t, func(w *futuretest.World) {
		_, fs := futuretest.Promises(1)
		f := futures.WithTimeout(fs[0], time.Minute)
		f.Cancel()
		futuretest.WantFailed(w, "its member", fs[0], actors.ErrCanceled)
		time.Sleep(2 * time.Minute)
		futuretest.WantFailed(w, "afterwards", f, actors.ErrCanceled)
	})
}
