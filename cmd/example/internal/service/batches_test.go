// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
)

// TestBatches: what comes during a call is in the next one, in its order, and
// each is told what became of its own.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("why")
		var calls [][]int
		b := &batches[int]{within: time.Minute, atOnce: 1}
		b.call = func(_ context.Context, all []int) error {
			calls = append(calls, slices.Clone(all))
			time.Sleep(time.Second)
			switch len(calls) {
			case 2:
				var some consumer.BatchError
				some.Fail(1, why)
				return some.Err()
			case 3:
				return why
			}
			return nil
		}
		done := func(fs []*actors.Future[actors.None], want ...error) {
			t.Helper()
			for i, f := range fs {
				if _, err := f.TryResult(); !errors.Is(err, want[i]) || err == nil && want[i] != nil {
					t.Errorf("%d of call %d: %v, want %v", i, len(calls), err, want[i])
				}
			}
		}
		first := []*actors.Future[actors.None]{b.do(1)}
		synctest.Wait()
		second := []*actors.Future[actors.None]{b.do(2), b.do(3), b.do(4)}
		time.Sleep(time.Second + 1)
		third := []*actors.Future[actors.None]{b.do(5), b.do(6)}
		done(first, nil)
		time.Sleep(time.Second)
		done(second, nil, why, nil)
		time.Sleep(time.Second)
		done(third, why, why)
		synctest.Wait()
		if b.calls != 0 || b.waiting != nil {
			t.Errorf("%d calls are under way, and %d wait", b.calls, len(b.waiting))
		}
		if want := [][]int{{1}, {2, 3, 4}, {5, 6}}; !slices.EqualFunc(calls, want, slices.Equal[[]int]) {
			t.Errorf("the calls were about %v, want %v", calls, want)
		}
	})
}

// TestBatchesBounds: calls at a time, the size of a batch, how many wait, and
// for how long.
func TestBatchesBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, largest := 0, 0
		b := &batches[int]{within: time.Minute, atOnce: 2}
		b.call = func(ctx context.Context, all []int) error {
			b.mu.Lock()
			calls++
			largest = max(largest, len(all))
			b.mu.Unlock()
			<-ctx.Done()
			return context.Cause(ctx)
		}
		var begun []*actors.Future[actors.None]
		for range 2 {
			begun = append(begun, b.do(0))
			synctest.Wait()
		}
		var waiting []*actors.Future[actors.None]
		for range maxWaiting {
			waiting = append(waiting, b.do(0))
		}
		if _, err := b.do(0).TryResult(); err != errBusy {
			t.Errorf("one too many: %v", err)
		}
		synctest.Wait()
		if calls != 2 {
			t.Errorf("%d calls at a time, want 2", calls)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, f := range begun {
			if _, err := f.TryResult(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a call without an answer: %v", err)
			}
		}
		synctest.Wait()
		refused := 0
		for _, f := range waiting {
			if _, err := f.TryResult(); err == errLate {
				refused++
			}
		}
		if refused != maxWaiting {
			t.Errorf("%d of %d were refused because they had waited for too long", refused, maxWaiting)
		}
		for range 2 {
			b.do(0)
			synctest.Wait()
		}
		time.Sleep(time.Minute / 2)
		for range maxBatch + 1 {
			b.do(0)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if largest != maxBatch {
			t.Errorf("the largest batch had %d, want %d", largest, maxBatch)
		}
		if b.calls != 0 {
			t.Errorf("%d calls are under way", b.calls)
		}
	})
}
