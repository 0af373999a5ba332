// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/futuretest"
	"github.com/protoloop/protoloop/internal/testtools"
)

var errNone = errors.New("no")

// Work without a value ends with its error, or with None, and has the name of its
// function.
func TestNone(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, none)
		for what, run := range map[string]func(*actors.Task, error) error{
			"Go": func(t *actors.Task, err error) error {
				return t.Await(t.Go(func(t *actors.Task) error { return errors.Join(t.Sleep(time.Second), err) }))
			},
			"Go with an option": func(t *actors.Task, err error) error {
				return t.Await(t.Go(func(t *actors.Task) error { return errors.Join(t.Sleep(time.Second), err) }, actors.Timeout(time.Hour)))
			},
			"Await of a future with a value": func(t *actors.Task, err error) error {
				return t.Await(actors.Start(t, func(t *actors.Task) (int, error) { return 1, err }))
			},
			"AwaitOffload": func(t *actors.Task, err error) error {
				return t.AwaitOffload(func(context.Context) error { return err })
			},
			"AwaitOffload with a value": func(t *actors.Task, err error) error {
				v, err := actors.AwaitOffload(t, func(context.Context) (int, error) { return 1, err })
				if err == nil && v != 1 {
					return futuretest.ErrHang
				}
				return err
			},
		} {
			for _, err := range []error{nil, errNone} {
				_, got := result(actors.SubmitErr(w.root, pid, func(t *actors.Task) error { return run(t, err) }))
				if !errors.Is(got, err) {
					w.Errorf("%s: %v, want %v", what, got, err)
				}
			}
		}
		// Its end is as that of any.
		expires := func(t *actors.Task) error { return t.Sleep(time.Hour) }
		_, err := result(actors.SubmitErr(w.root, pid, expires, actors.Timeout(time.Second)))
		testtools.WantText(w, err, "timeout", "TestNone.func1.", "of worker")
		_, err = result(actors.SubmitErr(w.root, pid, func(t *actors.Task) error {
			return t.Await(t.Go(expires, actors.Timeout(time.Second)))
		}))
		testtools.WantText(w, err, "timeout", "TestNone.func1.", "of worker")
		_, err = result(actors.SubmitErr(w.root, pid, func(t *actors.Task) error {
			return t.AwaitOffload(func(ctx context.Context) error { <-ctx.Done(); time.Sleep(time.Second); return nil }, actors.Timeout(time.Second))
		}))
		testtools.WantText(w, err, "timeout", "offload actors_test.TestNone.func1.", "of worker")
		_, err = result(actors.SubmitErr(w.root, pid, func(t *actors.Task) error {
			return t.Await(t.Go(func(*actors.Task) error { panic("boom") }))
		}))
		testtools.WantText(w, err, "panic: boom")
	})
}

// onAnswers are handlers of On, each with what an asker of it gets.
var onAnswers = map[string]struct {
	handle func(t *actors.Task, others chan func()) error
	err    error
	after  time.Duration
}{
	"nil":   {handle: func(*actors.Task, chan func()) error { return nil }},
	"error": {handle: func(*actors.Task, chan func()) error { return errNone }, err: errNone},
	"nil, after an await": {
		handle: func(t *actors.Task, _ chan func()) error { return t.Sleep(time.Second) }, after: time.Second},
	"nil, while what it has started runs": {
		handle: func(t *actors.Task, _ chan func()) error {
			t.Go(func(t *actors.Task) error { return t.Sleep(time.Second) })
			return nil
		}, after: time.Second},
	"what it has started answers": {
		handle: func(t *actors.Task, _ chan func()) error {
			t.Go(func(t *actors.Task) error { defer t.Respond(errNone); return t.Sleep(time.Second) })
			return nil
		}, err: errNone, after: time.Second},
	"its sender is kept": {
		handle: func(t *actors.Task, others chan func()) error {
			root, sender := t.ActorSystem().Root, t.Sender()
			others <- func() { root.Send(sender, errNone) }
			return nil
		}, err: errNone, after: 2 * time.Second},
}

// An asker of On gets None when it has returned nil, unless somebody else is to answer:
// a typed one, by way of another worker or not, and a plain one.
func TestOnAnswers(t *testing.T) {
	for name, a := range onAnswers {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				others := make(chan func(), 1)
				pid := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
					actors.On(w, func(t *actors.Task, _ string) error { return a.handle(t, others) })
					return nil
				})
				forwards := func(to *actor.PID) func(w *actors.Worker) error {
					return func(w *actors.Worker) error {
						actors.On(w, func(t *actors.Task, _ string) error { t.Forward(to); return nil })
						return nil
					}
				}
				once := w.worker("once", actors.Options{}, forwards(pid))
				twice := w.worker("twice", actors.Options{}, forwards(once))
				type ask func(to *actor.PID) (any, error)
				typed := func(root *actor.RootContext) ask {
					return func(to *actor.PID) (any, error) { return result(actors.RequestFuture[any](root, to, "do")) }
				}
				middleware := actor.NewRootContext(w.sys, nil).WithSenderMiddleware(func(next actor.SenderFunc) actor.SenderFunc { return next })
				for way, ask := range map[string]ask{
					"typed":              typed(w.root),
					"through middleware": typed(middleware),
					"plain": func(to *actor.PID) (any, error) {
						v, err := w.root.RequestFuture(to, "do", hang).Result()
						if _, none := v.(*emptypb.Empty); none {
							return actors.None{}, err
						}
						return v, err
					},
				} {
					for how, to := range map[string]*actor.PID{"": pid, ", forwarded": once, ", forwarded twice": twice} {
						watch := time.Now()
						if a.after > time.Second {
							go func() {
								other := <-others
								time.Sleep(a.after)
								other()
							}()
						}
						v, err := ask(to)
						if v == errNone || err == nil && v != (actors.None{}) && strings.Contains(v.(error).Error(), errNone.Error()) {
							v, err = nil, errNone
						}
						if took := time.Since(watch); took != a.after || !errors.Is(err, a.err) || err == nil && v != (actors.None{}) {
							w.Errorf("%s%s: %v, %v after %v; want %v after %v", way, how, v, err, took, a.err, a.after)
						}
					}
				}
			})
		})
	}
}

// Of two forms of an answer without a value each future takes both.
func TestNoneForms(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			actors.On(w, func(*actors.Task, string) error { return nil })
			actors.Handle(w, func(*actors.Task, int) (actors.None, error) { return actors.None{}, nil })
			actors.Handle(w, func(*actors.Task, bool) (*emptypb.Empty, error) { return &emptypb.Empty{}, nil })
			return nil
		})
		plain := w.plain(func(c actor.Context) {
			if c.Sender() != nil {
				c.Respond(&emptypb.Empty{})
			}
		})
		for _, m := range []any{"on", 1, true} {
			want(w, actors.RequestFuture[actors.None](w.root, pid, m), actors.None{})
			if v, err := result(actors.RequestFuture[*emptypb.Empty](w.root, pid, m)); v == nil || err != nil {
				w.Errorf("%T: %v, %v", m, v, err)
			}
			if v, err := w.root.RequestFuture(pid, m, hang).Result(); err != nil {
				w.Errorf("%T: %v, %v", m, v, err)
			} else if _, none := v.(*emptypb.Empty); !none {
				w.Errorf("%T: a plain asker got a %T", m, v)
			}
		}
		want(w, actors.RequestFuture[actors.None](w.root, plain, 1), actors.None{})
		_, err := result(actors.RequestFuture[int](w.root, pid, "on"))
		testtools.WantText(w, err, "the reply has no value, the future wants a int")
	})
}

// A worker that asks by the engine's Request, for which nobody waits, needs no handler of
// the answer.
func TestOnAnswersRequest(t *testing.T) {
	bubble(t, func(w *world) {
		dead := testtools.DeadLetters(w.sys)
		pid := w.worker("asked", actors.Options{}, func(w *actors.Worker) error {
			actors.On(w, func(*actors.Task, string) error { return nil })
			return nil
		})
		seen := []string{}
		plain := w.plain(func(c actor.Context) {
			switch c.Message().(type) {
			case int:
				c.Request(pid, "do")
			case *emptypb.Empty:
				seen = append(seen, "empty")
			}
		})
		asks := w.worker("asks", actors.Options{}, none)
		if _, err := result(actors.SubmitErr(w.root, asks, func(t *actors.Task) error { t.Request(pid, "do"); return nil })); err != nil {
			w.Error(err)
		}
		w.root.Send(plain, 1)
		time.Sleep(time.Second)
		w.stopped(asks, time.Second)
		synctest.Wait()
		dead.Want(w)
		if !slices.Equal(seen, []string{"empty"}) {
			w.Errorf("a plain actor has seen %v", seen)
		}
		if c := w.stopped(pid, time.Second); c.Finished != 2 {
			w.Errorf("the account: %v", c)
		}
	})
}
