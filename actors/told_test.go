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
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/messages"
)

var errTold = errors.New("told")

// answering is a request that is answered twice: by Respond, if respond is not
// nil, and by what its handler returns.
type answering struct {
	respond any
	then    func() error
}

func answers(w *actors.Worker) error {
	actors.Handle(w, func(t *actors.Task, m answering) (int, error) {
		if m.respond != nil {
			t.Respond(m.respond)
		}
		return 2, m.then()
	})
	return nil
}

// TestToldAndTakenOver: a turn that is taken over when its asker has heard an
// answer counts as that answer. It may even be on its way back from the
// handler: an OnDone holds it there.
func TestToldAndTakenOver(t *testing.T) {
	for _, test := range []struct {
		name    string
		respond any
		err     error // returned
		hangs   bool  // in the handler, not on the way back
		cancel  bool  // by the asker
		plain   bool  // the asker is a plain actor
		want    actors.Counts
		told    error
	}{
		{name: "value", want: actors.Counts{Finished: 1}},
		{name: "error", err: errTold, want: actors.Counts{Failed: 1}, told: errTold},
		{name: "hangs", hangs: true, want: actors.Counts{Abandoned: 1}, told: actors.ErrStopped},
		{name: "responds, hangs", respond: 1, hangs: true, want: actors.Counts{Finished: 1}},
		{name: "canceled, hangs", cancel: true, hangs: true, want: actors.Counts{Abandoned: 1}, told: actors.ErrCanceled},
		{name: "plain, hangs", plain: true, hangs: true, want: actors.Counts{Abandoned: 1}},
		{name: "plain, responds, hangs", plain: true, respond: 1, hangs: true, want: actors.Counts{Finished: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				pid := w.worker("w", actors.Options{StopGrace: time.Second, Logger: discard()}, answers)
				ready, hold := make(chan struct{}), make(chan struct{})
				defer close(hold)
				m := answering{test.respond, func() error {
					<-ready
					if test.hangs {
						<-hold
					}
					return test.err
				}}
				f := futures.Resolved(0)
				if test.plain {
					w.root.RequestWithCustomSender(pid, m, w.plain(func(actor.Context) {}))
				} else {
					f = actors.RequestFuture[int](w.root, pid, m)
				}
				if !test.hangs {
					f.OnDone(func(int, error) { <-hold })
				}
				close(ready)
				synctest.Wait()
				if test.cancel {
					f.Cancel()
				}
				test.want.Offered, test.want.Accepted = 1, 1
				if c := w.stopped(pid, time.Second); c != test.want {
					t.Errorf("%+v, want %+v", c, test.want)
				}
				if _, err := f.TryResult(); !errors.Is(err, test.told) {
					t.Errorf("the asker was told %v", err)
				}
			})
		})
	}
}

// TestCanceledEarly: a request to a worker that is being spawned, and is
// cancelled before the worker can look, never starts.
func TestCanceledEarly(t *testing.T) {
	bubble(t, func(w *world) {
		var canceled, waits *actors.Future[int]
		props := actors.Props(func(w *actors.Worker) error {
			actors.Handle(w, func(_ *actors.Task, n int) (int, error) {
				if n == 1 {
					t.Error("it has started")
				}
				return n, nil
			})
			return nil
		}, actor.WithOnInit(func(c actor.Context) {
			canceled = actors.RequestFuture[int](w.root, c.Self(), 1)
			waits = actors.RequestFuture[int](w.root, c.Self(), 2)
			canceled.Cancel()
		}))
		pid, err := w.root.SpawnNamed(props, "w")
		if err != nil {
			t.Fatal(err)
		}
		want(t, waits, 2)
		wantErr(t, canceled, actors.ErrCanceled)
		if c := w.stopped(pid, time.Second); c != (actors.Counts{Offered: 2, Accepted: 2, Finished: 1, Canceled: 1}) {
			t.Errorf("%+v", c)
		}
	})
}

// TestSubmissionCanceledEarly: so may a submission be, on any goroutine. The race
// detector looks.
func TestSubmissionCanceledEarly(t *testing.T) {
	bubble(t, func(w *world) {
		var f *actors.Future[int]
		props := actors.Props(none, actor.WithOnInit(func(c actor.Context) {
			f = actors.Submit(w.root, c.Self(), func(*actors.Task) (int, error) { return 1, nil }, actors.Timeout(time.Hour))
			go f.Cancel()
		}))
		if _, err := w.root.SpawnNamed(props, "w"); err != nil {
			t.Fatal(err)
		}
		if _, err := result(f); err != nil && !errors.Is(err, actors.ErrCanceled) {
			t.Error(err)
		}
	})
}

// TestToldOnTheWay: a request that ends while its sender still hands it to the
// engine, to a worker that was not there when it began, does not start, and
// counts as what its asker was told.
func TestToldOnTheWay(t *testing.T) {
	for _, test := range []struct {
		name   string
		end    func(cancel context.CancelFunc)
		told   error
		spawns bool // the worker is there when the request arrives
		want   actors.Counts
	}{
		{"expired", func(context.CancelFunc) { time.Sleep(2 * time.Second) }, actors.ErrTimeout, true, actors.Counts{Canceled: 1}},
		{"canceled", func(cancel context.CancelFunc) { cancel() }, actors.ErrCanceled, true, actors.Counts{Canceled: 1}},
		{"in time", func(context.CancelFunc) {}, nil, true, actors.Counts{Finished: 1}},
		{"to nobody", func(context.CancelFunc) { time.Sleep(2 * time.Second) }, actors.ErrTimeout, false, actors.Counts{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				ctx, cancel := context.WithCancel(w.Context())
				defer cancel()
				began := false
				pid := w.sys.NewLocalPID("w")
				slow := w.root.Copy().WithSenderMiddleware(func(next actor.SenderFunc) actor.SenderFunc {
					return func(c actor.SenderContext, to *actor.PID, env *actor.MessageEnvelope) {
						if test.spawns {
							w.worker("w", actors.Options{}, func(w *actors.Worker) error {
								actors.Handle(w, func(*actors.Task, string) (int, error) { began = true; return 1, nil })
								return nil
							})
						}
						test.end(cancel)
						synctest.Wait()
						next(c, to, env)
					}
				})
				f := actors.RequestFuture[int](slow, pid, "m", actors.Timeout(time.Second), actors.WithContext(ctx))
				if _, err := result(f); !errors.Is(err, test.told) {
					t.Errorf("the asker was told %v, want %v", err, test.told)
				}
				if test.spawns {
					test.want.Offered, test.want.Accepted = 1, 1
					if c := w.stopped(pid, time.Second); c != test.want {
						t.Errorf("%+v, want %+v", c, test.want)
					}
				}
				if began != (test.told == nil) {
					t.Errorf("its handler was called: %v", began)
				}
				synctest.Wait() // that of the stop is told before it is forgotten
				if n := actors.Requests(w.sys); n != 0 {
					t.Errorf("%d requests wait for an answer at the end", n)
				}
			})
		})
	}
}

// TestToldAndReturned: what a handler returns when it has answered changes
// nothing in the account, as it changes nothing for the asker.
func TestToldAndReturned(t *testing.T) {
	for _, test := range []struct {
		name    string
		respond any
		err     error
		cancel  bool // by the asker, before it returns
		want    actors.Counts
	}{
		{name: "value", respond: 1, want: actors.Counts{Finished: 1}},
		{name: "value, then error", respond: 1, err: errTold, want: actors.Counts{Finished: 1}},
		{name: "failure", respond: messages.NewFailure(errTold, true, false), want: actors.Counts{Failed: 1}},
		{name: "wrong type", respond: "1", want: actors.Counts{Failed: 1}},
		{name: "canceled", cancel: true, want: actors.Counts{Canceled: 1}},
		{name: "canceled, then error", cancel: true, err: errTold, want: actors.Counts{Canceled: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				pid := w.worker("w", actors.Options{Logger: discard()}, answers)
				until := make(chan struct{})
				f := actors.RequestFuture[int](w.root, pid, answering{test.respond, func() error {
					<-until
					return test.err
				}})
				synctest.Wait()
				if test.cancel {
					f.Cancel()
				}
				close(until)
				test.want.Offered, test.want.Accepted = 1, 1
				if c := w.stopped(pid, time.Second); c != test.want {
					t.Errorf("%+v, want %+v", c, test.want)
				}
			})
		})
	}
}

// TestToldBeforeEnded: a Cancel completes the future before it ends the task, and
// its callbacks run in between. A handler that returns then counts as what its
// asker was told.
func TestToldBeforeEnded(t *testing.T) {
	for name, setup := range map[string]func(w *actors.Worker, until chan struct{}){
		"Handle": func(w *actors.Worker, until chan struct{}) {
			actors.Handle(w, func(*actors.Task, string) (int, error) { <-until; return 1, nil })
		},
		"On": func(w *actors.Worker, until chan struct{}) {
			actors.On(w, func(*actors.Task, string) error { <-until; return nil })
		},
		"On, Respond": func(w *actors.Worker, until chan struct{}) {
			actors.On(w, func(t *actors.Task, _ string) error { <-until; t.Respond(1); return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				until := make(chan struct{})
				pid := w.worker("w", actors.Options{}, func(w *actors.Worker) error { setup(w, until); return nil })
				f := actors.RequestFuture[int](w.root, pid, "m")
				f.OnDone(func(int, error) {
					close(until)
					synctest.Wait()
				})
				f.Cancel()
				want := actors.Counts{Offered: 1, Accepted: 1, Canceled: 1}
				if c := w.stopped(pid, time.Second); c != want {
					t.Errorf("%+v, want %+v", c, want)
				}
			})
		})
	}
}
