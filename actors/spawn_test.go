// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/ctxext"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/messages"
)

// Who tries again after a setup that failed finds the name free: in real time,
// where the worker ends beside its Spawn.
func TestSpawnAgain(t *testing.T) {
	sys := actortest.NewSystem(t)
	actortest.Spawn(t, sys.Root, "beside", none, actors.Options{})
	errNo := errors.New("no database")
	for _, from := range []string{"root", "task"} {
		spawn := func(s actor.SpawnerContext) {
			for range 1000 {
				_, err := actors.Spawn(t.Context(), s, "w", func(*actors.Worker) error { return errNo }, actors.Options{})
				if !errors.Is(err, errNo) {
					t.Errorf("from the %s: %v", from, err)
					return
				}
			}
		}
		if from == "root" {
			spawn(sys.Root)
			continue
		}
		parent := actortest.Spawn(t, sys.Root, "parent", none, actors.Options{})
		want(t, did(sys.Root, parent, func(t *actors.Task) error { spawn(t); return nil }), struct{}{})
	}
}

// Also if what setup has begun takes a while to end.
func TestSpawnFailsWithChildren(t *testing.T) {
	bubble(t, func(w *world) {
		begin := time.Now()
		_, err := actors.Spawn(w.Context(), w.root, "w", func(wk *actors.Worker) error {
			actors.Start(wk.Task(), func(t *actors.Task) (int, error) {
				err := t.Sleep(time.Hour)
				return 0, errors.Join(err, t.Cleanup(time.Minute, func(t *actors.Task) error { return t.Sleep(3 * time.Second) }))
			})
			return errors.New("no database")
		}, actors.Options{})
		if err == nil || !strings.HasSuffix(err.Error(), `spawn "w": actors: setup: no database`) || time.Since(begin) != 3*time.Second {
			w.Errorf("%v after %v", err, time.Since(begin))
		}
		w.worker("w", actors.Options{}, none)
	})
}

// TestSpawnCancelledAsSetupEnds: its worker does not outlive the error. A ctx that never ends is waited with in another way.
func TestSpawnCancelledAsSetupEnds(t *testing.T) {
	for name, ends := range map[string]bool{"a ctx that may end": true, "a ctx that never ends": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				ctx := context.Background()
				if ends {
					ctx = w.Context()
				}
				parent := w.worker("parent", actors.Options{}, none)
				failed := make(chan error, 1)
				spawning := did(w.root, parent, func(t *actors.Task) error {
					_, err := actors.Spawn(ctx, t, "child", func(c *actors.Worker) error {
						return c.Task().Sleep(time.Second)
					}, actors.Options{})
					failed <- err
					return err
				})
				synctest.Wait()
				did(w.root, parent, func(*actors.Task) error {
					time.Sleep(2 * time.Second) // in its turn: the setup ends, and the other task does not hear of it
					spawning.Cancel()
					return nil
				})
				if err := <-failed; !errors.Is(err, actors.ErrCanceled) {
					w.Errorf("Spawn: %v", err)
				}
				synctest.Wait()
				if _, ok := w.sys.ProcessRegistry.GetLocal("parent/child"); ok {
					w.Error("the worker is still there")
				}
			})
		})
	}
}

// A task hears of a setup as everybody does, and goes on as soon as that has ended.
func TestSpawnByATask(t *testing.T) {
	bubble(t, func(w *world) {
		parent := w.worker("parent", actors.Options{}, none)
		bad := errors.New("no database")
		for i, ctx := range []context.Context{context.Background(), w.Context()} {
			for _, fails := range []error{nil, bad} {
				begin := time.Now()
				_, err := did(w.root, parent, func(t *actors.Task) error {
					pid, err := actors.Spawn(ctx, t, fmt.Sprint("child", i), func(c *actors.Worker) error {
						if err := c.Task().Sleep(time.Second); err != nil {
							return err
						}
						return fails
					}, actors.Options{})
					if err == nil {
						w.root.Stop(pid) // its name is for the next one
					}
					return err
				}).Wait(w.Context())
				if !errors.Is(err, fails) || time.Since(begin) != time.Second {
					w.Errorf("context %d: %v after %v, want %v", i, err, time.Since(begin), fails)
				}
				synctest.Wait()
			}
		}
	})
}

// hello greets, and is greeted back; note is put into a context by WithOnInit,
// as the engine's cluster does with an actor's identity.
type note struct{ text string }

var noteID = ctxext.NextContextExtensionID()

func (*note) ExtensionID() ctxext.ContextExtensionID { return noteID }

func noteOf(c actor.ExtensionContext) string { return c.Get(noteID).(*note).text }

// TestOnInitKeepsTheContext: what a WithOnInit puts into the context is there,
// and so are the messages, whatever else the props have. Some of it makes the
// engine ask for the decorated context before the mailbox knows its actor.
func TestOnInitKeepsTheContext(t *testing.T) {
	answer := func(t *actors.Task, m string) string {
		if err := t.Sleep(time.Second); err != nil {
			return err.Error()
		}
		return m + " " + noteOf(t)
	}
	plain := func(c actor.Context) {
		if m, ok := c.Message().(string); ok {
			text := answer(actors.TaskOf(c), m)
			if c.Message() != m {
				text = fmt.Sprint("the message has become ", c.Message())
			}
			c.Respond(text + " " + noteOf(c))
		}
	}
	worker := func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, m string) (string, error) {
			text := answer(t, m)
			if t.Message() != m {
				text = fmt.Sprint("the message has become ", t.Message())
			}
			return text + " " + noteOf(w), nil
		})
		return nil
	}
	for kind, props := range map[string]func(opts ...actor.PropsOption) *actor.Props{
		"a plain actor": func(opts ...actor.PropsOption) *actor.Props {
			return actor.PropsFromFunc(plain, append([]actor.PropsOption{actors.EventLoop(actors.Options{})}, opts...)...)
		},
		"a worker": func(opts ...actor.PropsOption) *actor.Props { return actors.Props(worker, opts...) },
	} {
		seen := &testtools.Trace{}
		for with, more := range map[string]actor.PropsOption{
			"nothing else": actor.WithOnInit(),
			"a receiver middleware": actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
				return func(c actor.ReceiverContext, e *actor.MessageEnvelope) {
					seen.Add("%v", noteOf(c))
					next(c, e)
				}
			}),
			"a context decorator": actor.WithContextDecorator(func(next actor.ContextDecoratorFunc) actor.ContextDecoratorFunc {
				return func(c actor.Context) actor.Context { return next(c) }
			}),
		} {
			t.Run(kind+" with "+with, func(t *testing.T) {
				bubble(t, func(w *world) {
					onInit := actor.WithOnInit(func(c actor.Context) { c.Set(&note{"there"}) })
					pid, err := w.root.SpawnNamed(props(more, onInit), "w")
					if err != nil {
						w.Fatal(err)
					}
					if got, err := w.root.RequestFuture(pid, "hello", time.Minute).Result(); err != nil || got != "hello there there" {
						w.Errorf("a plain asker got %v, %v", got, err)
					}
					want(w, actors.RequestFuture[string](w.root, pid, "hello"), "hello there there")
				})
			})
		}
	}
}

// TestMiddlewareHasRun: a receiver middleware that keeps a message, or fails
// before the handler, may have done the work.
func TestMiddlewareHasRun(t *testing.T) {
	for what, keep := range map[string]func(){
		"keeps":  func() {},
		"panics": func() { panic("boom") },
		"exits":  runtime.Goexit,
	} {
		bubble(t, func(w *world) {
			pid := w.root.Spawn(actors.Props(func(w *actors.Worker) error {
				actors.Handle(w, func(*actors.Task, string) (string, error) { return "handled", nil })
				return nil
			}, actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
				return func(c actor.ReceiverContext, e *actor.MessageEnvelope) {
					if e.Message == "x" {
						keep()
						return
					}
					next(c, e)
				}
			})))
			v, err := w.root.RequestFuture(pid, "x", time.Hour).Result()
			if f, ok := v.(*messages.Failure); err != nil || !ok || !f.Ran || f.RetrySafe {
				w.Errorf("%s: %v, %v", what, v, err)
			}
			// Without a handler nothing has been done.
			v, err = w.root.RequestFuture(pid, 7, time.Hour).Result()
			if f, ok := v.(*messages.Failure); err != nil || !ok || f.Ran || !f.RetrySafe {
				w.Errorf("%s: without a handler: %v, %v", what, v, err)
			}
			w.stopped(pid, time.Second)
		})
	}
}
