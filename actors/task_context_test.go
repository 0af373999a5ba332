// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/goroutines"
	"github.com/protoloop/protoloop/internal/testtools"
)

// TestContextIsTheSameWheneverItIsLookedAt: what a task's context says does not depend on
// when somebody began to wait for its end, nor whether anybody did.
func TestContextIsTheSameWheneverItIsLookedAt(t *testing.T) {
	type key struct{}
	for name, end := range map[string]func(w *world, work func(t *actors.Task) error) (err, cause error){
		"it returns": func(w *world, work func(t *actors.Task) error) (err, cause error) {
			pid := w.worker("w", actors.Options{}, none)
			did(w.root, pid, func(t *actors.Task) error { return errors.Join(work(t), t.Sleep(time.Second)) }, actors.Timeout(time.Minute))
			return context.Canceled, context.Canceled
		},
		"it is cancelled": func(w *world, work func(t *actors.Task) error) (err, cause error) {
			pid := w.worker("w", actors.Options{}, none)
			f := did(w.root, pid, func(t *actors.Task) error { return errors.Join(work(t), t.Sleep(time.Hour)) })
			time.Sleep(time.Second)
			f.CancelCause(errLeft)
			return context.Canceled, errLeft
		},
		"its budget is over": func(w *world, work func(t *actors.Task) error) (err, cause error) {
			pid := w.worker("w", actors.Options{}, none)
			did(w.root, pid, func(t *actors.Task) error { return errors.Join(work(t), t.Sleep(time.Hour)) }, actors.Timeout(time.Second))
			return context.DeadlineExceeded, actors.ErrTimeout
		},
		"its call's context ends": func(w *world, work func(t *actors.Task) error) (err, cause error) {
			pid := w.worker("w", actors.Options{}, none)
			ctx, cancel := context.WithCancelCause(context.Background())
			did(w.root, pid, func(t *actors.Task) error { return errors.Join(work(t), t.Sleep(time.Hour)) }, actors.WithContext(ctx), actors.Timeout(time.Minute))
			time.Sleep(time.Second)
			cancel(errLeft)
			return context.Canceled, errLeft
		},
		"its creator is cancelled": func(w *world, work func(t *actors.Task) error) (err, cause error) {
			pid := w.worker("w", actors.Options{}, none)
			f := did(w.root, pid, func(t *actors.Task) error {
				actors.Start(t, func(t *actors.Task) (int, error) { return 0, errors.Join(work(t), t.Sleep(time.Hour)) })
				return t.Sleep(time.Hour)
			})
			time.Sleep(time.Second)
			f.Cancel()
			return context.Canceled, actors.ErrCanceled
		},
		"its worker restarts": func(w *world, work func(t *actors.Task) error) (err, cause error) {
			pid := w.worker("w", actors.Options{Logger: discard()}, func(w *actors.Worker) error {
				actors.On(w, func(*actors.Task, int) error { panic("crash") })
				return nil
			})
			did(w.root, pid, func(t *actors.Task) error { return errors.Join(work(t), t.Sleep(time.Hour)) })
			time.Sleep(time.Second)
			w.root.Send(pid, 1)
			return context.Canceled, actors.ErrRestarted
		},
		"its worker is stopped": func(w *world, work func(t *actors.Task) error) (err, cause error) {
			pid := w.worker("w", actors.Options{}, none)
			did(w.root, pid, func(t *actors.Task) error { return errors.Join(work(t), t.Sleep(time.Hour)) })
			time.Sleep(time.Second)
			actors.RequestStop(w.root, pid, time.Millisecond)
			return context.Canceled, actors.ErrStopped
		},
	} {
		for how, begin := range map[string]func(ctx context.Context) context.Context{
			"at its end":         func(ctx context.Context) context.Context { return ctx },
			"from the beginning": func(ctx context.Context) context.Context { ctx.Done(); return ctx },
			"by a derived one": func(ctx context.Context) context.Context {
				ctx, cancel := context.WithCancel(ctx)
				t.Cleanup(cancel)
				return ctx
			},
			"by one with a value": func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, 1) },
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				bubble(t, func(w *world) {
					var ctx context.Context
					wantErr, wantCause := end(w, func(t *actors.Task) error {
						before := goroutines.InBubble()
						ctx = begin(t.Context())
						if n := goroutines.InBubble(); n != before {
							return fmt.Errorf("it took %d goroutines", n-before)
						}
						if err := ctx.Err(); err != nil {
							return fmt.Errorf("at first it has ended: %w", err)
						}
						return nil
					})
					time.Sleep(2 * time.Second)
					synctest.Wait()
					if ctx == nil {
						t.Fatal("the task has not begun")
					}
					select {
					case <-ctx.Done():
					default:
						t.Error("its Done is open")
					}
					if ctx.Err() != wantErr || !errors.Is(context.Cause(ctx), wantCause) {
						t.Errorf("it has ended with %v because of %v; want %v because of %v", ctx.Err(), context.Cause(ctx), wantErr, wantCause)
					}
				})
			})
		}
	}
}

// TestContextThatNobodyWaitsFor costs next to nothing.
func TestContextThatNobodyWaitsFor(t *testing.T) {
	type key struct{}
	bubble(t, func(w *world) {
		pid := w.worker("w", actors.Options{}, none)
		ctx := context.WithValue(context.Background(), key{}, "value")
		f := did(w.root, pid, func(t *actors.Task) error {
			n := testtools.Allocs(100, func() {
				actors.Start(t, func(t *actors.Task) (int, error) {
					at, ok := t.Context().Deadline()
					if v := t.Context().Value(key{}); v != "value" || t.Context().Err() != nil || !ok || at.IsZero() {
						return 0, fmt.Errorf("the value is %v, the end %v, the deadline %v", v, t.Context().Err(), at)
					}
					return 0, nil
				})
			})
			if n > 6 {
				return fmt.Errorf("a Start, and the context of its task, are %v allocations", n)
			}
			return nil
		}, actors.WithContext(ctx), actors.Timeout(time.Minute))
		if _, err := result(f); err != nil {
			t.Error(err)
		}
	})
}
