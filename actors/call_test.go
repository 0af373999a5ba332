// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/futuretest"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/messages"
)

var errClient = errors.New("the client has left")

// A call that is made with the context that it is waited for with ends with an error of
// this package's, with the cause, every time.
func TestCallEnds(t *testing.T) {
	bubble(t, func(w *world) {
		setup := func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, d time.Duration) (string, error) { return "done", t.Sleep(d) })
			return nil
		}
		worker := w.worker("worker", actors.Options{}, setup)
		calls := map[string]func(ctx context.Context, d time.Duration) (string, error){
			"Call": func(ctx context.Context, d time.Duration) (string, error) {
				return actors.Call[string](ctx, w.root, worker, d)
			},
			"Call of a plain actor": func(ctx context.Context, d time.Duration) (string, error) {
				plain := w.plain(func(c actor.Context) {
					if d, ok := c.Message().(time.Duration); ok && d == 0 {
						c.Respond("done")
					}
				})
				return actors.Call[string](ctx, w.root, plain, d)
			},
			"Wait of a submission": func(ctx context.Context, d time.Duration) (string, error) {
				return actors.Submit(w.root, worker, func(t *actors.Task) (string, error) { return "done", t.Sleep(d) }, actors.WithContext(ctx)).Wait(ctx)
			},
		}
		for name, call := range calls {
			if v, err := call(context.Background(), 0); v != "done" || err != nil {
				w.Errorf("%s: %v, %v", name, v, err)
			}
			for range 100 {
				ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, errClient)
				_, err := call(ctx, time.Hour)
				if !errors.Is(err, actors.ErrTimeout) || !errors.Is(err, errClient) {
					w.Fatalf("%s: its context has expired: %v", name, err)
				}
				cancel()
				ctx, left := context.WithCancelCause(context.Background())
				go func() { time.Sleep(time.Second); left(errClient) }()
				if _, err := call(ctx, time.Hour); !errors.Is(err, actors.ErrCanceled) || !errors.Is(err, errClient) {
					w.Fatalf("%s: its context was cancelled: %v", name, err)
				}
			}
		}
		// A context of the waiting alone.
		ctx, left := context.WithCancelCause(context.Background())
		f := actors.RequestFuture[string](w.root, worker, time.Minute, actors.WithContext(context.WithValue(ctx, errClient, 1)))
		go func() { time.Sleep(time.Second); left(errClient) }()
		if _, err := f.Wait(context.Background()); !errors.Is(err, actors.ErrCanceled) {
			w.Error(err)
		}
		f = actors.RequestFuture[string](w.root, worker, time.Minute)
		if _, err := f.Wait(ctx); err != errClient {
			w.Error(err)
		}
		f.Cancel()
	})
}

func TestCallInTask(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			actors.Handle(w, func(*actors.Task, int) (int, error) { return 1, nil })
			return nil
		})
		err := w.inTask(func(t *actors.Task) error {
			_, err := actors.Call[int](t.Context(), w.root, pid, 1)
			return err
		})
		testtools.WantText(w, err, "actors: Call called in task", "it would block the worker; use actors.Ask")
		err = w.inTask(func(t *actors.Task) error {
			_, err := actors.Call[int](context.Background(), t, pid, 1)
			return err
		})
		testtools.WantText(w, err, "actors: Call called in task", "use actors.Ask")
		// What is offloaded may.
		if err := w.inTask(func(t *actors.Task) error {
			v, err := actors.AwaitOffload(t, func(ctx context.Context) (int, error) { return actors.Call[int](ctx, w.root, pid, 1) })
			if v != 1 {
				return fmt.Errorf("%d, %w", v, err)
			}
			return err
		}); err != nil {
			w.Error(err)
		}
		var noContext context.Context
		testtools.WantPanic(w, func() { _, _ = actors.Call[int](noContext, w.root, pid, 1) }, "actors: Call called with a nil context")
	})
}

type twice int

var doubling actors.Method[twice, int]

func TestMethod(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			doubling.Handle(w, func(_ *actors.Task, n twice) (int, error) { return 2 * int(n), nil })
			return nil
		})
		want(w, doubling.Request(w.root, pid, 2), 4)
		if v, err := doubling.Call(context.Background(), w.root, pid, 3); v != 6 || err != nil {
			w.Error(v, err)
		}
		if err := w.inTask(func(t *actors.Task) error {
			v, err := doubling.Ask(t, pid, 4, actors.Timeout(time.Second))
			if v != 8 {
				return fmt.Errorf("%d, %w", v, err)
			}
			return err
		}); err != nil {
			w.Error(err)
		}
	})
}

type reset int

// A method without a value has a handler without one.
func TestMethodOn(t *testing.T) {
	var resetting actors.Method[reset, actors.None]
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			resetting.On(w, func(_ *actors.Task, n reset) error {
				if n < 0 {
					return errLeft
				}
				return nil
			})
			return nil
		})
		want(w, resetting.Request(w.root, pid, 1), actors.None{})
		if _, err := resetting.Call(context.Background(), w.root, pid, -1); !errors.Is(err, errLeft) {
			w.Error(err)
		}
		_, err := actors.Spawn(context.Background(), w.root, "wrong", func(w *actors.Worker) error {
			doubling.On(w, func(*actors.Task, twice) error { return nil })
			return nil
		}, actors.Options{})
		testtools.WantText(w, err, "actors: Method.On called for actors.Method[github.com/protoloop/protoloop/actors_test.twice,int], whose answer has a value: use Handle")
	})
}

// A sibling is found by its name alone, under a parent and under none.
func TestSibling(t *testing.T) {
	bubble(t, func(w *world) {
		setup := func(name string) func(w *actors.Worker) error {
			return func(w *actors.Worker) error {
				inSetup := w.Sibling("other").Id
				actors.Handle(w, func(t *actors.Task, other string) (string, error) {
					if id := t.Sibling("other").Id; id != inSetup {
						return "", fmt.Errorf("%s in setup, %s in a handler", inSetup, id)
					}
					return actors.Ask[string](t, t.Sibling(other), true)
				})
				actors.Handle(w, func(*actors.Task, bool) (string, error) { return name, nil })
				return nil
			}
		}
		first := w.worker("first", actors.Options{}, setup("first"))
		w.worker("other", actors.Options{}, setup("other"))
		want(w, actors.RequestFuture[string](w.root, first, "other"), "other")
		wantErr(w, actors.RequestFuture[string](w.root, first, "nobody"), actors.ErrDeadLetter)
		parent := w.worker("parent", actors.Options{}, func(w *actors.Worker) error {
			for _, name := range []string{"first", "other"} {
				if _, err := w.SpawnNamed(actors.Props(setup("a child, "+name)), name); err != nil {
					return err
				}
			}
			return nil
		})
		want(w, actors.RequestFuture[string](w.root, actor.NewPID(parent.Address, "parent/first"), "other"), "a child, other")
	})
}

// Whether a retry is safe is about the work that was asked for: not if its handler passes
// on that somebody else's was refused.
func TestRetrySafe(t *testing.T) {
	bubble(t, func(w *world) {
		gone := w.worker("gone", actors.Options{}, none)
		w.stopped(gone, 0)
		wrap := func(err error) error { return fmt.Errorf("wrapped: %w", err) }
		passOn := map[string]func(error) error{
			"as it is": func(err error) error { return err },
			"wrapped":  wrap,
			"joined":   func(err error) error { return errors.Join(err, err) },
		}
		for _, refusal := range []error{
			actors.ErrMailboxFull, actors.ErrStopping, actors.ErrDeadLetter, messages.NewFailure(actors.ErrStopping, false, true),
		} {
			for how, pass := range passOn {
				if err := pass(refusal); !actors.RetrySafe(err) {
					w.Errorf("%v, %s: not safe", refusal, how)
				}
				handle := func(*actors.Task) error { return pass(refusal) }
				pid := w.worker("passes", actors.Options{}, func(w *actors.Worker) error {
					actors.Handle(w, func(t *actors.Task, _ string) (int, error) { return 0, handle(t) })
					actors.On(w, func(t *actors.Task, _ int) error { return handle(t) })
					return nil
				})
				for way, f := range map[string]*actors.Future[any]{
					"Handle": actors.RequestFuture[any](w.root, pid, "do"),
					"On":     actors.RequestFuture[any](w.root, pid, 1),
					"Submit": actors.Submit(w.root, pid, func(t *actors.Task) (any, error) { return nil, handle(t) }),
					"Go":     actors.Submit(w.root, pid, func(t *actors.Task) (any, error) { return nil, t.Await(t.Go(handle)) }),
					"Group": actors.Submit(w.root, pid, func(t *actors.Task) (any, error) {
						g := t.NewGroup()
						g.Go(handle)
						err := g.Wait()
						if actors.RetrySafe(err) {
							err = futuretest.ErrHang
						}
						return nil, err
					}),
					"Offload": actors.Submit(w.root, pid, func(t *actors.Task) (any, error) {
						err := t.AwaitOffload(func(context.Context) error { return pass(refusal) })
						if actors.RetrySafe(err) {
							err = futuretest.ErrHang
						}
						return nil, err
					}),
				} {
					_, err := result(f)
					if actors.RetrySafe(err) || actors.RetrySafe(wrap(err)) || !errors.Is(err, refusal) {
						w.Errorf("%s passes on %v, %s: %v", way, refusal, how, err)
					}
				}
				w.stopped(pid, time.Second)
			}
		}
		for _, err := range []error{nil, actors.ErrStopped, actors.ErrTimeout, actors.ErrRestarted, actors.ErrUnhandled, errClient,
			errors.Join(actors.ErrStopping, errClient), &actors.PanicError{Value: actors.ErrStopping}, messages.NewFailure(actors.ErrStopping, true, false),
			actors.ErrNodeLost, &messages.Failure{Code: "node_lost", MaybeRan: true}, &messages.Failure{MaybeRan: true, RetrySafe: true}} {
			if actors.RetrySafe(err) {
				w.Errorf("%v: safe", err)
			}
		}
		_, err := result(actors.RequestFuture[int](w.root, gone, 1))
		if !actors.RetrySafe(err) {
			w.Errorf("%v: not safe", err)
		}
	})
}
