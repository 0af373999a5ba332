// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

func TestCountsString(t *testing.T) {
	for want, c := range map[string]actors.Counts{
		"0 offered":                        {},
		"3 offered: 3 finished":            {Offered: 3, Accepted: 3, Finished: 3},
		"7 offered: 5 finished, 2 refused": {Offered: 7, Accepted: 5, Finished: 5, Refused: 2},
		"21 offered: 1 failed, 2 canceled, 3 abandoned, 4 dead-lettered, 5 pending, 6 refused": {
			Offered: 21, Accepted: 15, Failed: 1, Canceled: 2, Abandoned: 3, DeadLettered: 4, Pending: 5, Refused: 6},
	} {
		if got := c.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Stop waits for the end and returns the account; a context that ends stops only the
// waiting, and a second call gets the account of the same stop.
func TestStopWaits(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("w", actors.Options{}, none)
		work := did(w.root, pid, func(t *actors.Task) error { return t.Sleep(10 * time.Second) })
		synctest.Wait()
		tired := errors.New("tired")
		ctx, cancel := context.WithTimeoutCause(w.Context(), time.Second, tired)
		defer cancel()
		if c, err := actors.Stop(ctx, w.root, pid, time.Minute); err != tired || c != (actors.Counts{}) {
			t.Errorf("Stop whose context has ended: %v, %v", c, err)
		}
		if work.Done() {
			t.Error("the end of the context has cut off the work")
		}
		begin := time.Now()
		c, err := actors.Stop(w.Context(), w.root, pid, actors.Forever) // no longer than the first
		if want := (actors.Counts{Offered: 1, Accepted: 1, Finished: 1}); c != want || err != nil {
			t.Errorf("got %v, %v; want %v", c, err, want)
		}
		if d := time.Since(begin); d != 9*time.Second {
			t.Errorf("the worker was gone after %v", d)
		}
	})
}

// A task that called Stop would block its worker; the message says what to do.
func TestStopInTask(t *testing.T) {
	bubble(t, func(w *world) {
		pid, other := w.worker("w", actors.Options{}, none), w.worker("other", actors.Options{}, none)
		_, err := result(did(w.root, pid, func(t *actors.Task) error {
			_, err := actors.Stop(t.Context(), t, other, 0)
			return err
		}))
		testtools.WantText(w, err, "actors: Stop called with the context of task", "await actors.RequestStop")
		want(w, actors.Submit(w.root, pid, func(t *actors.Task) (actors.Counts, error) {
			return actors.Await(t, actors.RequestStop(t, other, 0))
		}), actors.Counts{})
		var none context.Context
		testtools.WantPanic(w, func() { _, _ = actors.Stop(none, w.root, pid, 0) }, "actors: Stop called with a nil context")
	})
}

// Each Grace, for a worker whose task needs ten seconds, and does not hear of its end
// for three more.
func TestGrace(t *testing.T) {
	for name, test := range map[string]struct {
		grace, unwind actors.Grace
		takes         time.Duration
		want          actors.Counts
	}{
		"the worker's own":  {0, 4 * time.Second, 7 * time.Second, actors.Counts{Canceled: 1}},
		"a minute":          {time.Minute, 4 * time.Second, 10 * time.Second, actors.Counts{Finished: 1}},
		"none":              {actors.NoGrace, 4 * time.Second, 3 * time.Second, actors.Counts{Canceled: 1}},
		"less than zero":    {-time.Hour, 4 * time.Second, 3 * time.Second, actors.Counts{Canceled: 1}},
		"none, and to wait": {actors.NoGrace, actors.Forever, 3 * time.Second, actors.Counts{Canceled: 1}},
		"for ever":          {actors.Forever, 4 * time.Second, 10 * time.Second, actors.Counts{Finished: 1}},
		"its own, for ever": {0, actors.Forever, 10 * time.Second, actors.Counts{Finished: 1}},
	} {
		bubble(t, func(w *world) {
			pid := w.worker("w", actors.Options{StopGrace: test.unwind}, none)
			did(w.root, pid, func(t *actors.Task) error {
				err := t.Sleep(10 * time.Second)
				if err != nil {
					_ = t.Cleanup(time.Minute, func(t *actors.Task) error { return t.Sleep(3 * time.Second) })
				}
				return err
			})
			synctest.Wait()
			begin := time.Now()
			got := actortest.Stop(w, w.root, pid, test.grace)
			test.want.Offered, test.want.Accepted = 1, 1
			if took := time.Since(begin); got != test.want || took != test.takes {
				t.Errorf("%s: %v after %v, want %v after %v", name, got, took, test.want, test.takes)
			}
		})
	}
}
