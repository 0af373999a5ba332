// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// TestDeadlineOfAContext: the deadline of WithContext's context is a budget.
func TestDeadlineOfAContext(t *testing.T) {
	bubble(t, func(w *world) {
		type key struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), key{}, "value"), time.Second)
		defer cancel()
		at, _ := ctx.Deadline()
		check := func(what string, c context.Context) {
			if got, ok := c.Deadline(); !ok || !got.Equal(at) {
				w.Errorf("%s: the deadline is %v, %v; want %v", what, got, ok, at)
			}
			if c.Value(key{}) != "value" {
				w.Errorf("%s has not the context's values", what)
			}
		}
		other := w.worker("other", actors.Options{}, func(wk *actors.Worker) error {
			actors.Handle(wk, func(t *actors.Task, _ string) (string, error) {
				check("a request of it", t.Context())
				return "", nil
			})
			return nil
		})
		pid := w.worker("worker", actors.Options{}, none)
		ended := make(chan error, 1)
		f := did(w.root, pid, func(t *actors.Task) error {
			check("the task", t.Context())
			if _, err := actors.Ask[string](t, other, ""); err != nil {
				return err
			}
			err := t.Sleep(time.Hour)
			ended <- t.Context().Err()
			_ = t.Cleanup(time.Second, func(t *actors.Task) error {
				if t.Context().Value(key{}) != "value" {
					w.Error("a Cleanup has not the context's values")
				}
				return t.Sleep(time.Millisecond)
			})
			return err
		}, actors.WithContext(ctx), actors.Timeout(time.Minute))
		wantErr(w, f, actors.ErrTimeout)
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			w.Errorf("the context's Err is %v", err)
		}
	})
}

// ownContext is a context of a user's, with a Done channel of its own.
type ownContext struct {
	context.Context
	done chan struct{}
}

func (c *ownContext) Done() <-chan struct{} { return c.done }

func (c *ownContext) Err() error {
	select {
	case <-c.done:
		return context.Canceled
	default:
		return nil
	}
}

// TestContextOfManyCalls: all calls that share a context end with it, and those
// alone; and they need one goroutine for it.
func TestContextOfManyCalls(t *testing.T) {
	type key struct{}
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, none)
		sleeps := func(ctx context.Context) *actors.Future[actors.None] {
			return did(w.root, pid, func(t *actors.Task) error { return t.Sleep(time.Hour) }, actors.WithContext(ctx))
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		own, other := &ownContext{ctx, make(chan struct{})}, &ownContext{ctx, make(chan struct{})}
		var shared []*actors.Future[actors.None]
		var most atomic.Int64
		for i := range 5000 {
			f := sleeps(context.WithValue(ctx, key{}, i))
			f.OnDone(func(struct{}, error) { most.Store(max(most.Load(), int64(runtime.NumGoroutine()))) })
			shared = append(shared, f)
		}
		ownFuture, otherFuture, endless := sleeps(own), sleeps(other), sleeps(context.WithoutCancel(ctx))
		synctest.Wait()
		before := runtime.NumGoroutine()
		cancel(errLeft)
		synctest.Wait()
		for _, f := range shared {
			wantErr(w, f, actors.ErrCanceled)
			wantErr(w, f, errLeft)
		}
		if n := int(most.Load()) - before; n > 500 {
			w.Errorf("the end of a context that %d calls share took %d goroutines", len(shared), n)
		}
		if ownFuture.Done() || otherFuture.Done() || endless.Done() {
			w.Error("a call has ended that has another Done channel, or none")
		}
		close(own.done)
		wantErr(w, ownFuture, actors.ErrCanceled)
		if otherFuture.Done() {
			w.Error("a call has ended that has another Done channel")
		}
		wantErr(w, sleeps(own), actors.ErrCanceled) // which is done already
		close(other.done)
		wantErr(w, otherFuture, actors.ErrCanceled)
		endless.Cancel()
		synctest.Wait()
		if n := actors.BoundCalls(w.sys); n != 0 {
			w.Errorf("%d contexts are watched at the end", n)
		}
	})
}

// TestContextKeepsNothing: a context that lives for long keeps nothing of the calls
// that it was given to, and nor does the system of it.
func TestContextKeepsNothing(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, none)
		silent := w.plain(func(actor.Context) {})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		watched := &afterFuncs{Context: ctx}
		for i := range 100 {
			for range i % 3 {
				want(w, actors.Submit(w.root, pid, func(*actors.Task) (int, error) { return 1, nil }, actors.WithContext(watched)), 1)
			}
			fs := make([]*actors.Future[int], 1+i%3)
			for j := range fs {
				fs[j] = actors.RequestFuture[int](w.root, silent, 1, actors.WithContext(watched))
			}
			synctest.Wait()
			if got := watched.n.Load(); got != 1 {
				w.Errorf("%d calls have %d watches", len(fs), got)
			}
			for _, f := range fs {
				f.Cancel()
			}
			synctest.Wait()
			if n := actors.BoundCalls(w.sys); n != 0 || watched.n.Load() != 0 {
				w.Errorf("no call is left, and %d contexts are watched, with %d watches", n, watched.n.Load())
			}
		}
	})
}

// afterFuncs counts the watches of a context, which it is asked for by context.AfterFunc.
type afterFuncs struct {
	context.Context
	n atomic.Int64
}

func (c *afterFuncs) Done() <-chan struct{} { return c.Context.Done() }
func (c *afterFuncs) Value(any) any         { return nil } // it hides what it is made of

func (c *afterFuncs) AfterFunc(f func()) func() bool {
	c.n.Add(1)
	stop := context.AfterFunc(c.Context, f)
	return func() bool { c.n.Add(-1); return stop() }
}

// TestSetContextKeepsTheCause: a task that has other values by SetContext still ends with the
// context of WithContext, and of its cause.
func TestSetContextKeepsTheCause(t *testing.T) {
	bubble(t, func(w *world) {
		type key struct{}
		pid := w.worker("worker", actors.Options{}, none)
		ctx, cancel := context.WithCancelCause(context.Background())
		f := did(w.root, pid, func(t *actors.Task) error {
			t.SetContext(context.WithValue(context.Background(), key{}, "value"))
			if t.Context().Value(key{}) != "value" {
				w.Error("the task has not the values of SetContext")
			}
			return t.Sleep(time.Hour)
		}, actors.WithContext(ctx))
		synctest.Wait()
		cancel(errLeft)
		wantErr(w, f, actors.ErrCanceled)
		wantErr(w, f, errLeft)
	})
}

// TestValuesOfCallsWithOneContext: calls whose contexts end together have each the values of its
// own, and so has their work.
func TestValuesOfCallsWithOneContext(t *testing.T) {
	type key struct{}
	bubble(t, func(w *world) {
		other := w.worker("other", actors.Options{}, func(wk *actors.Worker) error {
			actors.Handle(wk, func(t *actors.Task, _ string) (any, error) { return t.Context().Value(key{}), nil })
			return nil
		})
		pid := w.worker("worker", actors.Options{}, none)
		parent, cancel := context.WithCancel(context.Background())
		defer cancel()
		for _, c := range []struct {
			ctx  context.Context
			want any
		}{
			{parent, nil},
			{context.WithValue(parent, key{}, 1), 1},
			{context.WithValue(parent, key{}, 2), 2},
			{parent, nil},
			{context.WithValue(context.Background(), key{}, 3), 3}, // which never ends
			{context.Background(), nil},
		} {
			sleeper := did(w.root, pid, func(t *actors.Task) error { return t.Sleep(time.Second) }, actors.WithContext(parent)) // a watch is there
			f := actors.Submit(w.root, pid, func(t *actors.Task) ([3]any, error) {
				asked, err := actors.Ask[any](t, other, "")
				if err != nil {
					return [3]any{}, err
				}
				started, err := actors.Await(t, actors.Start(t, func(t *actors.Task) (any, error) { return t.Context().Value(key{}), nil }))
				return [3]any{t.Context().Value(key{}), asked, started}, err
			}, actors.WithContext(c.ctx), actors.Name("named"))
			want(w, f, [3]any{c.want, c.want, c.want})
			want(w, actors.RequestFuture[any](w.root, other, "", actors.WithContext(c.ctx)), c.want)
			want(w, sleeper, actors.None{})
		}
	})
}

// TestEndOfAContextAfterSetContext: what ends a task is the context that it was called with,
// whatever values it has by then.
func TestEndOfAContextAfterSetContext(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, none)
		ctx, cancel := context.WithCancelCause(context.Background())
		type key struct{}
		sleeps := func(t *actors.Task) error {
			t.SetContext(context.WithValue(context.Background(), key{}, 1))
			return t.Sleep(time.Hour)
		}
		fs := []*actors.Future[actors.None]{
			did(w.root, pid, sleeps, actors.WithContext(ctx)),
			did(w.root, pid, sleeps, actors.WithContext(context.WithValue(ctx, key{}, 2)), actors.Name("named")),
			did(w.root, pid, func(t *actors.Task) error {
				_, err := actors.Await(t, t.Go(sleeps, actors.WithContext(ctx)))
				return err
			}),
		}
		synctest.Wait()
		cancel(errLeft)
		for _, f := range fs {
			wantErr(w, f, actors.ErrCanceled)
			wantErr(w, f, errLeft)
		}
	})
}
