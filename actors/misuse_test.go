// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/messages"
)

// A misuse is named: each of these tests checks the words.

// inTask runs f in a task of a new worker and returns its error, or its panic
// as one.
func (w *world) inTask(f func(t *actors.Task) error, opts ...actors.CallOption) error {
	w.Helper()
	pid := w.worker("misused", actors.Options{}, none)
	defer w.stopped(pid, -1)
	_, err := result(did(w.root, pid, f, opts...))
	return err
}

// resolved is a future that is complete.
func resolved[T any](v T) *actors.Future[T] {
	p := new(actors.Promise[T])
	p.Resolve(v)
	return p.Future()
}

func TestMisuseOtherTask(t *testing.T) {
	bubble(t, func(w *world) {
		p := new(actors.Promise[int])
		var other *actors.Task
		err := w.inTask(func(t *actors.Task) error {
			actors.Start(t, func(t *actors.Task) (int, error) {
				other = t
				return 0, t.Sleep(time.Hour)
			}, actors.Name("the other"))
			_, err := actors.Await(other, p.Future())
			return err
		})
		testtools.WantText(w, err, "actors: Await called with the Task of the other, which is suspended", "another task's", "another goroutine")
		for what, f := range map[string]func(){
			"Sleep":   func() { _ = other.Sleep(1) },
			"Yield":   func() { _ = other.Yield() },
			"Start":   func() { actors.Start(other, func(*actors.Task) (int, error) { return 0, nil }) },
			"Offload": func() { actors.Offload(other, func(context.Context) (int, error) { return 0, nil }) },
			"Receive": func() { _, _, _ = loopsync.Receive(other, make(chan int)) },
			"Send":    func() { _ = loopsync.Send(other, make(chan int, 1), 1) },
			"Select":  func() { _, _ = loopsync.Select(other, loopsync.OnTimer(0)) },
			"Exit":    func() { other.Exit(nil) },
			"Cleanup": func() { _ = other.Cleanup(0, func(*actors.Task) error { return nil }) },
			"Ask": func() {
				_, _ = actors.Ask[int](other, w.plain(func(actor.Context) {}), 1)
			},
		} {
			testtools.WantPanic(w, f, "actors: "+what+" called with the Task of the other, which has returned: a Task must not outlive its function")
		}
	})
}

// The Task of the enclosing function is within reach of one that it starts.
func TestMisuseParentsTask(t *testing.T) {
	bubble(t, func(w *world) {
		err := w.inTask(func(outer *actors.Task) error {
			child := actors.Start(outer, func(*actors.Task) (int, error) { return 0, outer.Sleep(time.Second) })
			if err := outer.Sleep(time.Second); err != nil { // its own function may
				return err
			}
			_, err := actors.Await(outer, child)
			return err
		}, actors.Name("outer"))
		testtools.WantText(w, err, "actors: Sleep called with the Task of outer by a function that it has started: use the function's own Task")
	})
}

func TestMisuseAfterEnd(t *testing.T) {
	bubble(t, func(w *world) {
		var ended *actors.Task
		if err := w.inTask(func(t *actors.Task) error { ended = t; return nil }); err != nil {
			w.Fatal(err)
		}
		for what, f := range map[string]func(){
			"Await":         func() { _, _ = actors.Await(ended, resolved(1)) },
			"RequestFuture": func() { actors.RequestFuture[int](ended, ended.Self(), 1) },
			"Submit":        func() { actors.Submit(ended, ended.Self(), func(*actors.Task) (int, error) { return 0, nil }) },
			"Ask":           func() { _, _ = actors.Ask[int](ended, ended.Self(), 1) },
		} {
			testtools.WantPanic(w, f, "actors: "+what+" called with the Task of", "which has returned: a Task must not outlive its function")
		}
	})
}

func TestMisuseAwaitSelf(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, none)
		self := make(chan *actors.Future[int], 1)
		own := actors.Submit(w.root, pid, func(t *actors.Task) (int, error) {
			own, _, err := loopsync.Receive(t, self)
			if err != nil {
				return 0, err
			}
			return actors.Await(t, own)
		}, actors.Name("self"))
		self <- own
		_, err := result(own)
		testtools.WantText(w, err, "actors: Await: task self awaits its own future, which completes when it returns")
	})
}

func TestMisuseWaitInTask(t *testing.T) {
	bubble(t, func(w *world) {
		err := w.inTask(func(t *actors.Task) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := new(actors.Promise[int]).Future().Wait(ctx)
			return err
		})
		testtools.WantText(w, err, "actors: Wait called with the context of task", "it would block the worker; use actors.Await")
		// Ready wins, and an offloaded function may wait.
		err = w.inTask(func(t *actors.Task) error {
			if v, err := resolved(1).Wait(t.Context()); v != 1 || err != nil {
				return fmt.Errorf("a completed future: %d, %w", v, err)
			}
			p := new(actors.Promise[int])
			f := actors.Offload(t, func(ctx context.Context) (int, error) { return p.Future().Wait(ctx) })
			p.Resolve(1)
			_, err := actors.Await(t, f)
			return err
		})
		if err != nil {
			w.Error(err)
		}
	})
}

func TestMisuseNoWorker(t *testing.T) {
	bubble(t, func(w *world) {
		submit := func(pid *actor.PID) error {
			_, err := result(did(w.root, pid, func(*actors.Task) error { return nil }))
			return err
		}
		plain := w.plain(func(actor.Context) {})
		err := submit(plain)
		testtools.WantText(w, err, "not a local worker", plain.Id, "is a plain actor: spawn it with actors.Spawn, actors.Props or actors.EventLoop")
		if !errors.Is(err, actors.ErrNotWorker) {
			w.Errorf("%v is not ErrNotWorker", err)
		}
		err = submit(actor.NewPID("elsewhere:1", "x"))
		testtools.WantText(w, err, "not a local worker", "elsewhere:1", "is on another machine, where a function cannot be sent")
		if !errors.Is(err, actors.ErrNotWorker) {
			w.Errorf("%v is not ErrNotWorker", err)
		}
		dead := w.worker("dead", actors.Options{}, none)
		w.stopped(dead, 0)
		err = submit(dead)
		testtools.WantText(w, err, "no such actor", "dead")
		if !errors.Is(err, actors.ErrDeadLetter) || !errors.Is(err, actor.ErrDeadLetter) {
			w.Errorf("%v is not ErrDeadLetter", err)
		}
		wantErr(w, actors.RequestFuture[int](w.root, dead, 1), actors.ErrDeadLetter)
		wantErr(w, actors.RequestStop(w.root, dead, 0), actors.ErrDeadLetter)
		_, err = result(actors.RequestStop(w.root, w.plain(func(actor.Context) {}), 0))
		testtools.WantText(w, err, "actors: not a local worker: ", "is a plain actor: spawn it with")
		err = submit(nil)
		testtools.WantText(w, err, "actors: no such actor: SubmitErr called with a nil PID")
		if !errors.Is(err, actors.ErrDeadLetter) {
			w.Errorf("%v is not ErrDeadLetter", err)
		}
		_, err = result(actors.RequestFuture[int](w.root, nil, 1))
		testtools.WantText(w, err, "actors: no such actor: RequestFuture called with a nil PID")
		_, err = actors.Call[int](context.Background(), w.root, nil, 1)
		testtools.WantText(w, err, "actors: no such actor: Call called with a nil PID")
		testtools.WantPanic(w, func() { actors.RequestStop(w.root, nil, 0) }, "actors: RequestStop called with a nil PID")
	})
}

type near struct{}

func TestMisuseUnhandled(t *testing.T) {
	bubble(t, func(w *world) {
		dead := testtools.DeadLetters(w.sys)
		pid := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			actors.On(w, func(*actors.Task, string) error { return nil })
			return nil
		})
		_, err := result(actors.RequestFuture[int](w.root, pid, 1.5))
		testtools.WantText(w, err, "unhandled message", "worker worker has no handler for float64")
		wantErr(w, actors.RequestFuture[int](w.root, pid, 1.5), actors.ErrUnhandled)
		fail := wantFailure(w, w.root.RequestFuture(pid, 1.5, time.Minute), actors.ErrUnhandled)
		testtools.WantText(w, fail, "worker worker has no handler for float64")
		// There is one of a type that is easily taken for it.
		pointed := w.worker("near", actors.Options{}, func(w *actors.Worker) error {
			actors.On(w, func(*actors.Task, *near) error { return nil })
			actors.On(w, func(*actors.Task, int) error { return nil })
			return nil
		})
		_, err = result(actors.RequestFuture[int](w.root, pointed, near{}))
		testtools.WantText(w, err, "worker near has no handler for actors_test.near (it has one for *actors_test.near)")
		_, err = result(actors.RequestFuture[int](w.root, pointed, new(int)))
		testtools.WantText(w, err, "worker near has no handler for *int (it has one for int)")
		// A plain actor that answers nothing.
		silent := w.dropIn(actors.Options{}, func(actor.Context) {})
		_, err = result(actors.RequestFuture[int](w.root, silent, "text"))
		testtools.WantText(w, err, "unhandled message", "the handler of string returned without an answer")
		if !errors.Is(err, actors.ErrUnhandled) {
			w.Errorf("%v is not ErrUnhandled", err)
		}
		w.root.Send(pid, 2.5)
		if c := w.stopped(pid, 0); c.DeadLettered != 1 {
			w.Errorf("the account: %v", c)
		}
		dead.Want(w, "2.5 to worker")
	})
}

func TestMisuseReplyType(t *testing.T) {
	bubble(t, func(w *world) {
		respond := func(c actor.Context) {
			switch c.Message().(type) {
			case int:
				c.Respond("text")
			case string:
				c.Respond(nil)
			}
		}
		worker := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			actors.Handle(w, func(*actors.Task, int) (string, error) { return "text", nil })
			actors.Handle(w, func(*actors.Task, string) (any, error) { return nil, nil })
			return nil
		})
		responder := w.worker("responder", actors.Options{}, func(w *actors.Worker) error {
			actors.On(w, func(t *actors.Task, _ int) error { respond(t); return nil })
			actors.On(w, func(t *actors.Task, _ string) error { respond(t); return nil })
			return nil
		})
		for name, pid := range map[string]*actor.PID{
			"worker": worker, "Respond": responder,
			"plain": w.plain(respond), "drop-in": w.dropIn(actors.Options{}, respond),
		} {
			_, err := result(actors.RequestFuture[*time.Time](w.root, pid, 1))
			var wrong *actors.ReplyTypeError
			if !errors.As(err, &wrong) || *wrong != (actors.ReplyTypeError{Want: "*time.Time", Got: "string"}) {
				w.Errorf("%s: %#v", name, err)
			}
			testtools.WantText(w, err, "actors: the reply is a string, the future wants a *time.Time")
			_, err = result(actors.RequestFuture[int](w.root, pid, "nil"))
			testtools.WantText(w, err, "actors: the reply is a nil, the future wants a int")
			if v, err := result(actors.RequestFuture[error](w.root, pid, "nil")); v != nil || err != nil {
				w.Errorf("%s: nil as an interface: %v, %v", name, v, err)
			}
			want(w, actors.RequestFuture[any](w.root, pid, 1), any("text"))
		}
	})
}

func TestMisuseNil(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, none)
		testtools.WantPanic(w, func() { actors.Submit[int](w.root, pid, nil) }, "actors: Submit called with a nil function")
		var noContext context.Context
		var noFuture *actors.Future[int]
		testtools.WantPanic(w, func() { _, _ = noFuture.Wait(context.Background()) }, "actors: Wait called with a nil future")
		testtools.WantPanic(w, func() { noFuture.OnDone(func(int, error) {}) }, "actors: OnDone called with a nil future")
		testtools.WantPanic(w, func() { noFuture.PipeTo(w.root, pid) }, "actors: PipeTo called with a nil future")
		testtools.WantPanic(w, func() { loopsync.OnFuture(noFuture) }, "loopsync: OnFuture called with a nil future")
		testtools.WantPanic(w, func() { loopsync.OnFuture(nil) }, "loopsync: OnFuture called with a nil future")
		for want, f := range map[string]func(t *actors.Task){
			"actors: Await called with a nil future":      func(t *actors.Task) { _, _ = actors.Await(t, noFuture) },
			"actors: Task.Await called with a nil future": func(t *actors.Task) { _ = t.Await(nil) },
		} {
			_, err := result(did(w.root, pid, func(t *actors.Task) error { f(t); return nil }))
			testtools.WantText(w, err, want)
		}
		_, err := result(did(w.root, pid, func(t *actors.Task) error { return t.Await(noFuture) }))
		testtools.WantText(w, err, "actors: Task.Await called with a nil future")
		testtools.WantPanic(w, func() { actors.WithContext(noContext) }, "actors: WithContext: ctx is nil")
		testtools.WantPanic(w, func() { _, _ = new(actors.Promise[int]).Future().Wait(noContext) }, "actors: Wait called with a nil context")
		_, err = actors.Spawn(noContext, w.root, "none", none, actors.Options{})
		testtools.WantText(w, err, `actors: Spawn "none": ctx is missing`)
		_, err = actors.Spawn(context.Background(), nil, "none", none, actors.Options{})
		testtools.WantText(w, err, `actors: Spawn "none": the spawner is missing`)
		testtools.WantPanic(w, func() { (*actors.Task)(nil).NewGroup() }, "actors: NewGroup called with a nil Task")
		if len(inspect.System(w.sys).Workers) != 1 {
			w.Error("there is a worker that nobody knows")
		}
		for want, f := range map[string]func(){
			"inspect: System called with a nil actor system":    func() { inspect.System(nil) },
			"inspect: Blocked called with a nil actor system":   func() { inspect.Blocked(nil) },
			"messages: SetLimit called with a nil actor system": func() { messages.SetLimit(nil, 0) },
		} {
			testtools.WantPanic(w, f, want)
		}
		testtools.WantPanic(w, func() { new(actors.Promise[int]).Reject(nil) }, "actors: Promise.Reject called with a nil error: use Resolve")
		_, err = result(actors.RequestFuture[int](w.root, pid, nil))
		testtools.WantText(w, err, "RequestFuture called with a nil message")
		for name, f := range map[string]func(t *actors.Task){
			"Start":   func(t *actors.Task) { actors.Start[int](t, nil) },
			"Offload": func(t *actors.Task) { actors.Offload[int](t, nil) },
			"Cleanup": func(t *actors.Task) { _ = t.Cleanup(time.Second, nil) },
		} {
			_, err := result(did(w.root, pid, func(t *actors.Task) error { f(t); return nil }))
			testtools.WantText(w, err, "actors: "+name+" called with a nil function")
		}
		for what, f := range map[string]func(){
			"Submit":        func() { actors.Submit(nil, pid, func(*actors.Task) (int, error) { return 0, nil }) },
			"RequestFuture": func() { actors.RequestFuture[int](nil, pid, 1) },
		} {
			testtools.WantPanic(w, f, "actors: "+what)
		}
		synctest.Wait()
	})
}

// TestMisuseOfAnOptionLeavesNothingBehind: a group waits for no member that an
// option has kept from being started.
func TestMisuseOfAnOptionLeavesNothingBehind(t *testing.T) {
	type embedsNil struct{ context.Context }
	for what, option := range map[string]func() actors.CallOption{
		"actors: Through is an option of Offload only": func() actors.CallOption { return actors.Through(actors.NewLimiter("db", 1)) },
		"nil pointer dereference":                      func() actors.CallOption { return actors.WithContext(embedsNil{}) },
	} {
		bubble(t, func(w *world) {
			err := w.inTask(func(t *actors.Task) error {
				g := t.NewGroup()
				defer func() { g.Cancel(); _ = g.Wait() }()
				g.Go(func(*actors.Task) error { return nil }, option())
				return nil
			})
			testtools.WantText(w, err, what)
		})
	}
}

// breaks is a context of which some call of a method does not return.
type breaks struct {
	context.Context
	method string
	left   atomic.Int32 // calls that return
	exits  atomic.Bool  // the others call Goexit, and do not panic
}

func (c *breaks) called(method string) {
	if method != c.method {
		return
	}
	switch {
	case c.left.Add(-1) >= 0:
	case c.exits.Load():
		runtime.Goexit()
	default:
		panic("broken")
	}
}

func (c *breaks) Deadline() (time.Time, bool) { c.called("Deadline"); return c.Context.Deadline() }
func (c *breaks) Done() <-chan struct{}       { c.called("Done"); return c.Context.Done() }
func (c *breaks) Err() error                  { c.called("Err"); return c.Context.Err() }
func (c *breaks) Value(key any) any           { c.called("Value"); return c.Context.Value(key) }

// TestCallThatPanicsLeavesNothingBehind: nothing waits for a call that user code within
// it has kept from being made: not its group, nor the task that has made it, nor who
// watches contexts or has requests to be answered.
func TestCallThatPanicsLeavesNothingBehind(t *testing.T) {
	type made struct {
		*world
		t   *actors.Task
		pid *actor.PID
		opt actors.CallOption
		ctx *breaks
	}
	// begins is for work: on the loop, when it has ended, a Goexit is not survived.
	begins := func(m *made) (int, error) { m.ctx.exits.Store(false); return 0, nil }
	calls := map[string]func(m *made){
		"Submit": func(m *made) {
			actors.Submit(m.t, m.pid, func(*actors.Task) (int, error) { return begins(m) }, m.opt)
		},
		"Submit of nobody": func(m *made) {
			actors.Submit(m.root, m.pid, func(*actors.Task) (int, error) { return begins(m) }, m.opt)
		},
		"RequestFuture": func(m *made) { actors.RequestFuture[int](m.t, m.pid, m, m.opt) },
		"RequestFuture to a plain actor": func(m *made) {
			actors.RequestFuture[int](m.t, m.plain(func(actor.Context) {}), 1, m.opt, actors.Timeout(actors.Forever))
		},
		"Start": func(m *made) {
			actors.Start(m.t, func(*actors.Task) (int, error) { return begins(m) }, m.opt)
		},
		"Offload": func(m *made) {
			actors.Offload(m.t, func(context.Context) (int, error) { return begins(m) }, m.opt)
		},
		"Group.Go": func(m *made) {
			g := m.t.NewGroup()
			defer func() {
				if err := g.Wait(); err != nil {
					m.Errorf("the group has failed with %v", err)
				}
			}()
			g.Go(func(*actors.Task) error { return nil })
			g.Go(func(*actors.Task) error { _, err := begins(m); return err }, m.opt)
		},
	}
	times := 6
	if testing.Short() {
		times = 2
	}
	for name, call := range calls {
		for _, how := range []string{"panic", "Goexit"} {
			for _, method := range []string{"Deadline", "Done", "Err", "Value"} {
				for nth := range times {
					t.Run(fmt.Sprintf("%s/%s/%s/%d", name, how, method, nth), func(t *testing.T) {
						bubble(t, func(w *world) {
							live, cancel := context.WithCancel(context.Background())
							defer cancel()
							pid := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
								actors.Handle(w, func(_ *actors.Task, m *made) (int, error) { return begins(m) })
								return nil
							})
							ctx := &breaks{Context: live, method: method}
							ctx.left.Store(100)
							ctx.exits.Store(how == "Goexit")
							returned := false
							_ = w.inTask(func(t *actors.Task) error {
								defer func() {
									if !returned {
										if n := actors.Kids(t); n > 0 {
											w.Errorf("%d pieces of work are still the task's", n)
										}
									}
								}()
								m := &made{w, t, pid, actors.WithContext(ctx), ctx}
								ctx.left.Store(int32(nth))
								call(m)
								ctx.exits.Store(false)
								returned = true
								return nil
							})
							synctest.Wait()
							if returned {
								return // fewer calls than that
							}
							if n := actors.Requests(w.sys); n > 0 {
								w.Errorf("%d requests wait for an answer", n)
							}
							if n := actors.BoundCalls(w.sys); n > 0 {
								w.Errorf("%d contexts are watched", n)
							}
							w.stopped(pid, time.Second)
						})
					})
				}
			}
		}
	}
	for name, pid := range map[string]func(w *world) *actor.PID{
		"a worker":      func(w *world) *actor.PID { return w.worker("worker", actors.Options{}, none) },
		"a plain actor": func(w *world) *actor.PID { return w.plain(func(actor.Context) {}) },
	} {
		t.Run("sender middleware, to "+name, func(t *testing.T) {
			bubble(t, func(w *world) {
				root := w.root.Copy().WithSenderMiddleware(func(actor.SenderFunc) actor.SenderFunc {
					return func(actor.SenderContext, *actor.PID, *actor.MessageEnvelope) { panic("broken") }
				})
				to := pid(w)
				testtools.WantPanic(w, func() { actors.RequestFuture[int](root, to, 1, actors.Timeout(actors.Forever)) }, "broken")
				if n := actors.Requests(w.sys); n > 0 {
					w.Errorf("%d requests wait for an answer", n)
				}
			})
		})
	}
}
