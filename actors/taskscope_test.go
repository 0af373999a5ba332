// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
)

// A scope with a Timeout is trio's fail_after: what returns nil is done, also when the
// time is over by then; what was cut off says so.
func TestScopeWithATimeout(t *testing.T) {
	errOwn := errors.New("own")
	for name, c := range map[string]struct {
		fn   func(t *actors.Task) error
		want error
		took time.Duration
	}{
		"that is kept":     {func(t *actors.Task) error { return t.Sleep(time.Second / 2) }, nil, time.Second / 2},
		"that runs out":    {func(t *actors.Task) error { return t.Sleep(time.Hour) }, actors.ErrTimeout, time.Second},
		"of an own error":  {func(t *actors.Task) error { _ = t.Sleep(time.Hour); return errOwn }, errOwn, time.Second},
		"that is ignored":  {func(t *actors.Task) error { _ = t.Sleep(time.Hour); return nil }, nil, time.Second},
		"at the same time": {func(t *actors.Task) error { _ = t.Sleep(time.Second); return nil }, nil, time.Second},
		"of what it has started": {func(t *actors.Task) error {
			actors.Start(t, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) })
			return nil
		}, actors.ErrTimeout, time.Second},
		"of what it has started, and waits for": {func(t *actors.Task) error {
			actors.Start(t, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Second / 2) })
			return nil
		}, nil, time.Second / 2},
		"of what panics": {func(t *actors.Task) error { panic(errOwn) }, errOwn, 0},
		"of what fails, with what it has started": {func(t *actors.Task) error {
			actors.Start(t, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) })
			return errOwn
		}, errOwn, 0},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(w *world, t *actors.Task) error {
				start := time.Now()
				if err := t.Scope(c.fn, actors.Timeout(time.Second)); !errors.Is(err, c.want) {
					w.Errorf("got %v, want %v", err, c.want)
				}
				if took := time.Since(start); took != c.took {
					w.Errorf("it took %v, not %v", took, c.took)
				}
				return t.Yield() // the caller goes on
			})
		})
	}
}

func TestScopeThatNeverBegins(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		err := t.Scope(func(*actors.Task) error { w.Error("it ran"); return nil }, actors.Timeout(0))
		if !errors.Is(err, actors.ErrTimeout) {
			w.Error(err)
		}
		return nil
	})
}

// The caller's end reaches a scope, which is waited for, and cannot be swallowed.
func TestScopeEndsWithItsCaller(t *testing.T) {
	errOwn := errors.New("own")
	for name, own := range map[string]error{"nothing": nil, "more": errOwn} {
		t.Run("and says "+name, func(t *testing.T) {
			bubble(t, func(w *world) {
				pid := w.worker("worker", actors.Options{Logger: discard()}, none)
				done := make(chan error, 1)
				f := did(w.root, pid, func(t *actors.Task) error {
					done <- t.Scope(func(t *actors.Task) error {
						err := t.Sleep(time.Hour)
						_ = t.Cleanup(time.Minute, func(t *actors.Task) error { return t.Sleep(time.Second) })
						if !errors.Is(err, actors.ErrCanceled) {
							w.Error(err)
						}
						return own
					})
					return nil
				})
				synctest.Wait()
				start := time.Now()
				f.CancelCause(errLeft)
				err := <-done
				if !errors.Is(err, actors.ErrCanceled) || !errors.Is(err, errLeft) || own != nil && !errors.Is(err, own) {
					w.Error(err)
				}
				if time.Since(start) != time.Second {
					w.Error("it was not waited for")
				}
			})
		})
	}
}

// A Detached scope is CancelScope(shield=True): neither a cancel nor the budget of the
// caller reaches it, its own Timeout and the end of the incarnation do.
func TestScopeThatIsDetached(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{Logger: discard(), StopGrace: time.Second}, none)
		run := func(opts ...actors.CallOption) (f *actors.Future[struct{}], got chan error) {
			got = make(chan error, 1)
			return did(w.root, pid, func(t *actors.Task) error {
				_ = t.Sleep(time.Second)
				got <- t.Scope(func(t *actors.Task) error { return t.Sleep(time.Hour) }, opts...)
				return nil
			}, actors.Timeout(time.Second/2)), got
		}
		start := time.Now()
		if _, got := run(actors.Detached()); <-got != nil || time.Since(start) != time.Hour+time.Second/2 {
			w.Errorf("after %v", time.Since(start))
		}
		start = time.Now()
		if _, got := run(actors.Detached(), actors.Timeout(time.Minute)); !errors.Is(<-got, actors.ErrTimeout) || time.Since(start) != time.Minute+time.Second/2 {
			w.Errorf("after %v", time.Since(start))
		}
		if _, got := run(); !errors.Is(<-got, actors.ErrTimeout) {
			w.Error("one that is not detached goes on")
		}
		_, got := run(actors.Detached())
		time.Sleep(time.Minute)
		w.stopped(pid, time.Second)
		if err := <-got; !errors.Is(err, actors.ErrStopped) {
			w.Error("at the stop:", err)
		}
	})
}

func TestScopeInAScope(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		start := time.Now()
		err := t.Scope(func(t *actors.Task) error {
			if err := t.Scope(func(t *actors.Task) error { return t.Sleep(time.Hour) }, actors.Timeout(time.Second)); !errors.Is(err, actors.ErrTimeout) || t.Context().Err() != nil {
				w.Error("the inner one:", err)
			}
			return t.Scope(func(t *actors.Task) error { return t.Sleep(time.Hour) }, actors.Timeout(time.Hour))
		}, actors.Timeout((10 * time.Second)))
		if !errors.Is(err, actors.ErrTimeout) || time.Since(start) != (10*time.Second) {
			w.Errorf("%v after %v", err, time.Since(start))
		}
		return nil
	})
}

// A Background that waits until the stop holds up none, and did not fail.
func TestUntilStop(t *testing.T) {
	wait := func(t *actors.Task) error {
		return t.UntilStop(func(t *actors.Task) error { return t.Sleep(time.Hour) })
	}
	for name, run := range map[string]func(t *actors.Task) error{
		"that returns the error": wait,
		"with a cleanup": func(t *actors.Task) error {
			err := wait(t)
			if !errors.Is(err, actors.ErrCanceled) || errors.Is(err, actors.ErrStopping) || !t.StopRequested() || t.Context().Err() != nil {
				return errors.New("what ended it: " + err.Error())
			}
			return t.Yield() // the task itself goes on
		},
		"in an offload": func(t *actors.Task) error {
			_, err := actors.Await(t, actors.Offload(t, func(ctx context.Context) (int, error) {
				<-ctx.Done()
				return 0, context.Cause(ctx)
			}, actors.UntilStop()))
			return err
		},
		"in a request": func(t *actors.Task) error {
			_, err := actors.Ask[int](t, t.ActorSystem().NewLocalPID("other"), "hello", actors.UntilStop())
			return err
		},
	} {
		for _, as := range []string{"Background", "Main"} {
			t.Run(as+" "+name, func(t *testing.T) {
				bubble(t, func(w *world) {
					w.worker("other", actors.Options{}, func(w *actors.Worker) error {
						actors.Handle(w, func(t *actors.Task, _ string) (int, error) { return 1, t.Sleep(time.Hour) })
						return nil
					})
					log := &logs{}
					pid := w.worker("worker", actors.Options{Logger: log.logger()}, func(w *actors.Worker) error {
						if as == "Main" {
							w.Main(run)
						} else {
							w.Background("part", run)
						}
						return nil
					})
					synctest.Wait()
					start := time.Now()
					w.stopped(pid, time.Minute)
					if took := time.Since(start); took != 0 {
						w.Errorf("the stop took %v", took)
					}
					if text := log.text(); text != "" {
						w.Error(text)
					}
				})
			})
		}
	}
}

// Work from outside hears the stop event of the worker that it is for, also while it
// waits in the queue, and leaves nothing with that when it has ended.
func TestUntilStopOfWorkFromOutside(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{MaxInFlight: 1}, none)
		running := did(w.root, pid, func(t *actors.Task) error { return t.Sleep(time.Hour) }, actors.UntilStop())
		var queued []*actors.Future[actors.None]
		for range 1000 { // the last ones begin before their turn to be told of the stop event
			queued = append(queued, did(w.root, pid, func(t *actors.Task) error { w.Error("it ran"); return nil }, actors.UntilStop()))
		}
		plain := did(w.root, pid, func(t *actors.Task) error { return t.Sleep(time.Second) })
		synctest.Wait()
		counts := w.stopped(pid, time.Minute)
		wantErr(w, running, actors.ErrCanceled)
		for _, f := range queued {
			wantErr(w, f, actors.ErrCanceled)
		}
		want(w, plain, struct{}{})
		if counts.Canceled != 1001 || counts.Finished != 1 {
			w.Error(counts)
		}
		wantErr(w, did(w.root, pid, func(*actors.Task) error { return nil }, actors.UntilStop()), actors.ErrDeadLetter)
	})
}

func TestUntilStopIsForgotten(t *testing.T) {
	nothingWaitsAfter(t, func(t *actors.Task) error {
		for range 10 {
			if err := t.UntilStop(func(t *actors.Task) error { return t.Sleep(1) }); err != nil {
				return err
			}
			if _, err := actors.Await(t, actors.Offload(t, func(context.Context) (int, error) { return 0, nil }, actors.UntilStop())); err != nil {
				return err
			}
		}
		return nil
	})
}

// nothingWaitsAfter checks that nothing waits for the stop event of a worker when a task of its is over. What was offloaded
// ends a moment after its future.
func nothingWaitsAfter(t *testing.T, f func(t *actors.Task) error) {
	t.Helper()
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, none)
		if _, err := result(did(w.root, pid, f)); err != nil {
			w.Error(err)
		}
		synctest.Wait()
		if _, err := result(did(w.root, pid, func(t *actors.Task) error {
			if n := actors.WaitingForStop(t); n != 0 {
				w.Errorf("%d still wait for the stop event", n)
			}
			return nil
		})); err != nil {
			w.Error(err)
		}
		w.stopped(pid, time.Hour)
	})
}

// The stop event that came before ends it at once: it never begins.
func TestUntilStopAfterTheStopEvent(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, none)
		f := did(w.root, pid, func(t *actors.Task) error {
			<-t.Stopping()
			return t.UntilStop(func(*actors.Task) error { w.Error("it ran"); return nil })
		})
		w.stopped(pid, time.Minute)
		wantErr(w, f, actors.ErrCanceled)
	})
}

// logs collects what is logged.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *logs) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
