// SPDX-License-Identifier: Apache-2.0

package futures_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/futuretest"
	"github.com/protoloop/protoloop/internal/testtools"
)

// later returns futures that complete with their index after so many seconds
// each.
func later(w *futuretest.World, seconds ...int) (fs []*actors.Future[int]) {
	pid := w.Worker("later", actors.Options{Logger: futuretest.Discard()}, futuretest.None)
	for i, s := range seconds {
		fs = append(fs, actors.Submit(w.Root, pid, func(t *actors.Task) (int, error) {
			return i, t.Sleep(time.Duration(s) * time.Second)
		}))
	}
	return fs
}

func TestAsCompletedYieldsInOrderOfCompletion(t *testing.T) {
	futuretest.Bubble(t, func(w *futuretest.World) {
		start := time.Now()
		var got []int
		fs := later(w, 3, 1, 2)
		for i, early := range futures.AsCompleted(context.Background(), fs...) {
			v, err := fs[i].TryResult()
			if early != nil || err != nil || v != i || time.Since(start) != time.Duration(len(got)+1)*time.Second {
				w.Errorf("%v: %d, %v after %v", early, v, err, time.Since(start))
			}
			got = append(got, v)
		}
		if !slices.Equal(got, []int{1, 2, 0}) {
			w.Errorf("got %v", got)
		}
	})
}

func TestAwaitEachYieldsInOrderOfCompletion(t *testing.T) {
	futuretest.InTask(t, func(w *futuretest.World, t *actors.Task) error {
		var got []int
		for i, err := range futures.AwaitEach(t, later(w, 3, 1, 2)...) {
			if err != nil {
				return err
			}
			got = append(got, i)
		}
		if !slices.Equal(got, []int{1, 2, 0}) {
			w.Errorf("got %v", got)
		}
		return nil
	})
}

// Those that complete together come one by one, none is lost.
func TestAsCompletedOfFuturesThatCompleteTogether(t *testing.T) {
	futuretest.Bubble(t, func(w *futuretest.World) {
		seen := map[int]int{}
		for i := range futures.AsCompleted(context.Background(), later(w, 1, 1, 1, 0, 0)...) {
			seen[i]++
			time.Sleep(time.Second)
		}
		if len(seen) != 5 {
			w.Errorf("got %v", seen)
		}
	})
}

func TestAsCompletedEndsWithItsContext(t *testing.T) {
	futuretest.Bubble(t, func(w *futuretest.World) {
		ctx, cancel := context.WithTimeoutCause(context.Background(), 1500*time.Millisecond, errLeft)
		defer cancel()
		fs := later(w, 0, 1, 2)
		var got []int
		for i, err := range futures.AsCompleted(ctx, fs...) {
			if (i < 0) != (err == errLeft) || (i >= 0) != (err == nil) {
				w.Errorf("got %d, %v", i, err)
			}
			got = append(got, i)
		}
		if !slices.Equal(got, []int{0, 1, -1}) {
			w.Errorf("got %v", got)
		}
		if fs[2].Done() || waiting(fs[2]) != 0 {
			w.Error("the last one has been ended, or is waited for")
		}
		futuretest.Want(w, fs[2], 2)
		got = nil
		for i := range futures.AsCompleted(ctx, fs...) { // what is done needs no waiting
			got = append(got, i)
		}
		if !slices.Equal(got, []int{0, 1, 2}) {
			w.Errorf("got %v", got)
		}
	})
}

func TestAwaitEachEndsWithItsTask(t *testing.T) {
	futuretest.Bubble(t, func(w *futuretest.World) {
		pid := w.Worker("worker", actors.Options{Logger: futuretest.Discard()}, futuretest.None)
		ps, fs := futuretest.Promises(2)
		f := actors.SubmitErr(w.Root, pid, func(t *actors.Task) error {
			for range 2 { // an ended task stays ended, whatever is done
				n := 0
				for i, err := range futures.AwaitEach(t, fs...) {
					if n++; i != -1 || !errors.Is(err, actors.ErrCanceled) {
						w.Errorf("got %d, %v", i, err)
					}
				}
				if n != 1 {
					w.Errorf("it has yielded %d times", n)
				}
				ps[1].Resolve(1)
			}
			return t.Yield()
		})
		synctest.Wait()
		f.Cancel()
		w.Stopped(pid, time.Hour)
		if waiting(fs[0]) != 0 {
			w.Error("it is still waited for")
		}
	})
}

func TestAsCompletedCanBeLeftAndBegunAnew(t *testing.T) {
	futuretest.Bubble(t, func(w *futuretest.World) {
		fs := later(w, 0, 1, 2)
		seq := futures.AsCompleted(context.Background(), fs...)
		for i := range seq {
			if i != 0 {
				w.Errorf("first came %d", i)
			}
			break
		}
		n := 0
		for range seq {
			n++
		}
		if n != 3 {
			w.Errorf("%d the second time", n)
		}
	})
}

func TestAsCompletedInATaskPanics(t *testing.T) {
	futuretest.InTask(t, func(w *futuretest.World, t *actors.Task) error {
		_, fs := futuretest.Promises(1)
		testtools.WantText(w, testtools.PanicOf(func() {
			for range futures.AsCompleted(t.Context(), fs...) {
				w.Error("yielded")
			}
		}), "actors: ", "it would block the worker")
		return nil
	})
}

// Two groups that iterate over the same futures do not disturb each other.
func TestAsCompletedTwiceAtATime(t *testing.T) {
	futuretest.Bubble(t, func(w *futuretest.World) {
		fs := later(w, 2, 1, 3)
		collect := func() ([]int, error) {
			var got []int
			for i := range futures.AsCompleted(context.Background(), fs...) {
				got = append(got, i)
			}
			return got, nil
		}
		a, b := actortest.Go(w, collect), actortest.Go(w, collect)
		time.Sleep(time.Minute)
		for _, op := range []*actortest.Op[[]int]{a, b} {
			if got, _ := op.Result(); !slices.Equal(got, []int{1, 0, 2}) {
				w.Errorf("got %v", got)
			}
		}
	})
}
