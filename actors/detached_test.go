// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/internal/testtools"
)

// Each way to create work, with Detached: the creator's cancel and budget do not reach
// it, and its values do.
func TestDetachedWorkOutlivesItsCreator(t *testing.T) {
	type key struct{}
	work := func(t *actors.Task) (any, error) { return t.Context().Value(key{}), t.Sleep(20 * time.Second) }
	for name, begin := range map[string]func(t *actors.Task, opt actors.CallOption) *actors.Future[any]{
		"Start": func(t *actors.Task, opt actors.CallOption) *actors.Future[any] { return actors.Start(t, work, opt) },
		"Submit": func(t *actors.Task, opt actors.CallOption) *actors.Future[any] {
			return actors.Submit(t, t.Self(), work, opt)
		},
		"RequestFuture": func(t *actors.Task, opt actors.CallOption) *actors.Future[any] {
			return actors.RequestFuture[any](t, t.Self(), "work", opt)
		},
		"Offload": func(t *actors.Task, opt actors.CallOption) *actors.Future[any] {
			return actors.Offload(t, func(ctx context.Context) (any, error) {
				select {
				case <-time.After(20 * time.Second):
					return ctx.Value(key{}), nil
				case <-ctx.Done():
					return nil, context.Cause(ctx)
				}
			}, opt)
		},
		"in a group": func(t *actors.Task, opt actors.CallOption) *actors.Future[any] {
			p, g := new(actors.Promise[any]), t.NewGroup()
			var f *actors.Future[any]
			g.Go(func(t *actors.Task) error { f = actors.Start(t, work, opt); return nil })
			if err := g.Wait(); err != nil {
				return p.Future()
			}
			return f
		},
		"in a Cleanup": func(t *actors.Task, opt actors.CallOption) (f *actors.Future[any]) {
			_ = t.Cleanup(time.Second, func(t *actors.Task) error { f = actors.Start(t, work, opt); return nil })
			return f
		},
	} {
		for when, end := range map[string]func(f *actors.Future[struct{}]){
			"canceled":    func(f *actors.Future[struct{}]) { synctest.Wait(); f.Cancel() },
			"out of time": func(*actors.Future[struct{}]) { time.Sleep(10 * time.Second) },
		} {
			t.Run(name+", the creator is "+when, func(t *testing.T) {
				bubble(t, func(w *world) {
					pid := w.worker("worker", actors.Options{Logger: discard(), StopGrace: time.Second}, func(w *actors.Worker) error {
						actors.Handle(w, func(t *actors.Task, _ string) (any, error) { return work(t) })
						return nil
					})
					ctx := context.WithValue(context.Background(), key{}, "value")
					create := func() *actors.Future[any] {
						got := make(chan *actors.Future[any], 1)
						end(did(w.root, pid, func(t *actors.Task) error {
							got <- begin(t, actors.Detached())
							return t.Sleep(time.Hour)
						}, actors.Timeout(5*time.Second), actors.WithContext(ctx)))
						return <-got
					}
					want(w, create(), any("value"))
					f := create()
					w.stopped(pid, time.Second)
					wantErr(w, f, actors.ErrStopped)
				})
			})
		}
	}
}

// A task that has been ended can begin such work, an abandoned one cannot.
func TestDetachedWorkOfATaskThatHasEnded(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{Logger: discard(), StopGrace: time.Second}, none)
		got := make(chan *actors.Future[int], 2)
		work := func(t *actors.Task) (int, error) { return 1, t.Sleep(time.Second) }
		f := did(w.root, pid, func(t *actors.Task) error {
			_ = t.Sleep(time.Hour)
			got <- actors.Start(t, work, actors.Detached())
			got <- actors.Submit(t, t.Self(), work, actors.Detached())
			return nil
		})
		synctest.Wait()
		f.Cancel()
		want(w, <-got, 1)
		want(w, <-got, 1)
		other := w.worker("other", actors.Options{}, none)
		release := make(chan struct{})
		did(w.root, pid, func(t *actors.Task) error {
			<-release
			got <- actors.Start(t, work, actors.Detached())
			got <- actors.Submit(t, other, work, actors.Detached())
			return nil
		})
		w.stopped(pid, time.Second)
		close(release)
		wantErr(w, <-got, actors.ErrStopped)
		wantErr(w, <-got, actors.ErrStopped)
	})
}

// What is detached has the message of the handler that has started it, and keeps going
// where the handler is Exclusive.
func TestDetachedStartOfAnExclusiveHandler(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, _ string) (any, error) {
				return actors.Await(t, actors.Start(t, func(t *actors.Task) (any, error) {
					err := t.Sleep(time.Second)
					return t.Message(), err
				}, actors.Detached()))
			}, actors.Exclusive())
			return nil
		})
		want(w, actors.RequestFuture[any](w.root, pid, "hello"), any("hello"))
	})
}

func TestDetachedMisuse(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		g := t.NewGroup()
		fn := func(*actors.Task) error { return nil }
		testtools.WantPanic(w, func() { g.Go(fn, actors.Detached()) }, "Detached is no option of a member of a group")
		testtools.WantPanic(w, func() { did(t, t.Self(), fn, g.Member()) }, "Group.Member is an option of Start only")
		return g.Wait()
	})
}

// CancelCause is context.WithCancelCause: both errors match, and a nil one is a Cancel.
func TestCancelCause(t *testing.T) {
	errWhy := errors.New("why")
	in(t, func(w *world, t *actors.Task) error {
		var cause, awaited error
		wait := func(t *actors.Task) (int, error) {
			ctx := t.Context()
			awaited = t.Sleep(time.Hour)
			cause = context.Cause(ctx)
			return 0, awaited
		}
		for _, c := range []struct {
			name   string
			cancel func(f *actors.Future[int])
			why    error
		}{
			{"of the future", func(f *actors.Future[int]) { f.CancelCause(errWhy) }, errWhy},
			{"of a combination", func(f *actors.Future[int]) { futures.All(f).CancelCause(errWhy) }, errWhy},
			{"without a reason", func(f *actors.Future[int]) { f.CancelCause(nil) }, actors.ErrCanceled},
		} {
			f := actors.Start(t, wait)
			c.cancel(f)
			_, err := actors.Await(t, f)
			if e := t.Yield(); e != nil {
				return e
			}
			for _, err := range []error{err, awaited, cause} {
				if !errors.Is(err, actors.ErrCanceled) || !errors.Is(err, c.why) {
					w.Errorf("%s: %v", c.name, err)
				}
			}
		}
		g := t.NewGroup()
		f := actors.Start(t, wait, g.Member())
		g.CancelCause(errWhy)
		if err := g.Wait(); err != nil {
			w.Errorf("a group that was cancelled has failed: %v", err)
		}
		if _, err := f.TryResult(); !errors.Is(err, errWhy) || !errors.Is(awaited, errWhy) {
			w.Error(err, awaited)
		}
		return nil
	})
}
