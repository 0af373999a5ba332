// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/internal/futuretest"
)

// badError is an error as it is made by mistake: a function whose result is a
// *badError returns nil, and its caller an error that is not nil.
type badError struct{ inner error }

func (e *badError) Error() string { return e.inner.Error() }
func (e *badError) Unwrap() error { return e.inner }

func newBadError() error { return (*badError)(nil) }

// naive is a handler of logs that relies on errors to have a text.
type naive struct{ slog.Handler }

func (naive) Enabled(context.Context, slog.Level) bool { return true }

func (naive) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			_ = err.Error()
		}
		return true
	})
	return nil
}

func (n naive) WithAttrs([]slog.Attr) slog.Handler { return n }

// The methods of a user's error may panic wherever the error goes: that must
// neither end the process nor leave a future or a loop locked.
func TestUserErrorPanics(t *testing.T) {
	const goesOn = time.Second
	for name, do := range map[string]func(w *world) (failed *actors.Future[int]){
		"returned by a submission": func(w *world) *actors.Future[int] {
			pid := w.worker("w", actors.Options{}, none)
			return actors.Submit(w.root, pid, func(*actors.Task) (int, error) { return 0, newBadError() })
		},
		"returned by a handler": func(w *world) *actors.Future[int] {
			pid := w.worker("w", actors.Options{}, func(w *actors.Worker) error {
				actors.Handle(w, func(*actors.Task, int) (int, error) { return 0, newBadError() })
				return nil
			})
			return actors.RequestFuture[int](w.root, pid, 1)
		},
		"returned by a task that was ended": func(w *world) *actors.Future[int] {
			pid := w.worker("w", actors.Options{}, func(w *actors.Worker) error {
				actors.Handle(w, func(t *actors.Task, _ int) (int, error) { t.Sleep(time.Hour); return 0, newBadError() })
				return nil
			})
			return actors.RequestFuture[int](w.root, pid, 1, actors.Timeout(goesOn))
		},
		"a handler's panic": func(w *world) *actors.Future[int] {
			pid := w.worker("w", actors.Options{}, func(w *actors.Worker) error {
				actors.Handle(w, func(*actors.Task, int) (int, error) { panic(newBadError()) })
				return nil
			})
			return actors.RequestFuture[int](w.root, pid, 1)
		},
		"a worker's failure, told to what was in flight": func(w *world) *actors.Future[int] {
			pid := w.worker("w", actors.Options{}, func(w *actors.Worker) error {
				w.Background("part", func(t *actors.Task) error { t.Sleep(goesOn); return newBadError() })
				return nil
			})
			return actors.Submit(w.root, pid, func(t *actors.Task) (int, error) {
				_ = t.Context().Done() // made, so that it ends with that cause
				return 0, t.Sleep(time.Hour)
			}, actors.Timeout(time.Hour))
		},
		"the reason of an Exit": func(w *world) *actors.Future[int] {
			pid := w.worker("w", actors.Options{Logger: slog.New(naive{slog.DiscardHandler})}, none)
			f := actors.Submit(w.root, pid, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) })
			did(w.root, pid, func(t *actors.Task) error { t.Exit(newBadError()); return nil })
			return f
		},
		"told to an asker of another kind": func(w *world) *actors.Future[int] {
			pid := w.worker("w", actors.Options{}, func(w *actors.Worker) error {
				actors.Handle(w, func(*actors.Task, int) (int, error) { return 0, newBadError() })
				return nil
			})
			if _, err := w.root.RequestFuture(pid, 1, time.Minute).Result(); err != nil {
				w.Error(err)
			}
			return actors.RequestFuture[int](w.root, pid, 1)
		},
		"of a member of a Group": func(w *world) *actors.Future[int] {
			pid := w.worker("w", actors.Options{}, none)
			return actors.Submit(w.root, pid, func(t *actors.Task) (int, error) {
				g := t.NewGroup()
				g.Go(func(t *actors.Task) error { t.Sleep(time.Hour); return newBadError() })
				g.Go(func(*actors.Task) error { return newBadError() })
				return 0, g.Wait()
			})
		},
		"of a member of a combination": func(w *world) *actors.Future[int] {
			pid := w.worker("w", actors.Options{}, none)
			bad := func(*actors.Task) (int, error) { return 0, newBadError() }
			all := futures.All(actors.Submit(w.root, pid, bad), actors.Submit(w.root, pid, bad))
			if _, err := result(all); err == nil {
				w.Error("All has succeeded")
			}
			return futures.Any(actors.Submit(w.root, pid, bad), actors.Submit(w.root, pid, bad))
		},
		"of a Promise": func(*world) *actors.Future[int] {
			p := new(actors.Promise[int])
			p.Reject(newBadError())
			return p.Future()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				f := do(w)
				if _, err := result(f); err == nil || err == futuretest.ErrHang {
					w.Errorf("it ended with %v", err)
				}
				synctest.Wait()
				for _, info := range inspect.System(w.sys).Workers { // what is still there still works
					if _, err := result(did(w.root, info.PID, func(*actors.Task) error { return nil })); err != nil {
						w.Errorf("afterwards: %v", err)
					}
				}
			})
		})
	}
}

// Setup's error reaches Spawn, whatever it is.
func TestUserErrorOfSetup(t *testing.T) {
	bubble(t, func(w *world) {
		_, err := actors.Spawn(w.Context(), w.root, "w", func(*actors.Worker) error { return newBadError() }, actors.Options{})
		if _, is := errors.AsType[*badError](err); !is {
			w.Errorf("Spawn returned %v", err)
		}
	})
}
