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
)

// TestCleanupLeavesNothingBehind: what a Cleanup has begun and not waited for
// ends when its worker does, whatever the Cleanup's own grace is.
func TestCleanupLeavesNothingBehind(t *testing.T) {
	long := func(t *actors.Task) (int, error) { return 0, t.Sleep(48 * time.Hour) }
	for name, c := range map[string]struct {
		unwinding bool // it is called when the task has been ended
		begin     func(t *actors.Task) *actors.Future[int]
		after     time.Duration
	}{
		"started": {begin: func(t *actors.Task) *actors.Future[int] { return actors.Start(t, long) }},
		"offloaded": {begin: func(t *actors.Task) *actors.Future[int] {
			return actors.Offload(t, func(ctx context.Context) (int, error) {
				<-ctx.Done()
				return 0, context.Cause(ctx)
			})
		}},
		"started at the end": {
			unwinding: true,
			begin:     func(t *actors.Task) *actors.Future[int] { return actors.Start(t, long) },
			after:     time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				var f *actors.Future[int]
				pid := w.worker("worker", actors.Options{StopGrace: time.Second}, none)
				did(w.root, pid, func(t *actors.Task) error {
					if c.unwinding {
						_ = t.Sleep(time.Hour)
					}
					return t.Cleanup(24*time.Hour, func(t *actors.Task) error {
						f = c.begin(t)
						return nil
					})
				})
				synctest.Wait()
				start := time.Now()
				w.stopped(pid, -1)
				if took := time.Since(start); took > c.after {
					w.Errorf("the stop took %v", took)
				}
				if _, err := result(f); !errors.Is(err, actors.ErrStopped) {
					w.Error("its future:", err)
				}
			})
		})
	}
}

// TestCleanupsAreForgotten: a worker keeps none that has left nothing behind.
func TestCleanupsAreForgotten(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, none)
		want(w, did(w.root, pid, func(t *actors.Task) error {
			return t.Cleanup(time.Hour, func(t *actors.Task) error {
				_, err := actors.Await(t, actors.Start(t, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Second) }))
				actors.Start(t, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Minute) })
				return err
			})
		}), struct{}{})
		if n := actors.Cleanups(w.sys, pid); n != 1 {
			w.Errorf("%d with work left", n)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := actors.Cleanups(w.sys, pid); n != 0 {
			w.Errorf("%d without", n)
		}
	})
}

// TestNoAwaitInStopped: Cleanup and what else begins work there fails, and
// does not panic.
func TestNoAwaitInStopped(t *testing.T) {
	bubble(t, func(w *world) {
		errs := make(chan error, 2)
		pid := w.dropIn(actors.Options{}, func(c actor.Context) {
			if _, ok := c.Message().(*actor.Stopped); !ok {
				return
			}
			t := actors.TaskOf(c)
			errs <- t.Cleanup(time.Second, func(t *actors.Task) error { return t.Sleep(1) })
			g := t.NewGroup()
			g.Go(func(*actors.Task) error { return nil })
			errs <- g.Wait()
		})
		synctest.Wait()
		w.root.Stop(pid)
		for range 2 {
			if err := <-errs; err == nil {
				w.Error("no error")
			}
		}
	})
}
