// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// endless is a loop whose rounds create each other.
type endless struct {
	w      *world
	ctx    context.Context
	pids   [2]*actor.PID
	values tracked
	n      int
	last   chan int // how much is alive in the last round
}

// round is what each round does first; false: it was the last one.
func (e *endless) round(n int) bool {
	v := e.values.value()
	runtime.KeepAlive(v)
	if n < e.n {
		return true
	}
	e.last <- e.values.count()
	return false
}

type stepMessage struct {
	n    int
	data *[64]byte
}

// TestEndlessLoops: a loop whose rounds create each other keeps none of those
// that are over, however they do it.
func TestEndlessLoops(t *testing.T) {
	type options = func(ctx context.Context) []actors.CallOption
	plain := func(context.Context) []actors.CallOption { return nil }
	timeout := func(context.Context) []actors.CallOption { return []actors.CallOption{actors.Timeout(time.Hour)} }
	bound := func(ctx context.Context) []actors.CallOption { return []actors.CallOption{actors.WithContext(ctx)} }
	both := func(ctx context.Context) []actors.CallOption { return append(bound(ctx), timeout(ctx)...) }
	submit := func(opts options) func(e *endless) {
		return func(e *endless) {
			var step func(n int) func(t *actors.Task) (*[64]byte, error)
			step = func(n int) func(t *actors.Task) (*[64]byte, error) {
				kept := e.values.value()
				return func(t *actors.Task) (*[64]byte, error) {
					if e.round(n) {
						actors.Submit(t, e.pids[n%2], step(n+1), opts(e.ctx)...)
					}
					runtime.KeepAlive(kept)
					return e.values.value(), nil
				}
			}
			actors.Submit(e.w.root, e.pids[0], step(0), opts(e.ctx)...)
		}
	}
	start := func(before func(t *actors.Task), opts options) func(e *endless) {
		return func(e *endless) {
			var step func(n int) func(t *actors.Task) (*[64]byte, error)
			step = func(n int) func(t *actors.Task) (*[64]byte, error) {
				kept := e.values.value()
				return func(t *actors.Task) (*[64]byte, error) {
					err := t.Yield()
					if before != nil {
						before(t)
					}
					if e.round(n) {
						actors.Start(t, step(n+1), opts(e.ctx)...)
					}
					runtime.KeepAlive(kept)
					return e.values.value(), err
				}
			}
			actors.Submit(e.w.root, e.pids[0], step(0))
		}
	}
	for name, begin := range map[string]func(e *endless){
		"Submit":                     submit(plain),
		"Submit with a Timeout":      submit(timeout),
		"Submit with a context":      submit(bound),
		"Submit with both":           submit(both),
		"Start":                      start(nil, plain),
		"Start with a Timeout":       start(nil, timeout),
		"Start with a context":       start(nil, bound),
		"Start that makes a context": start(func(t *actors.Task) { t.Context().Done() }, plain),
		"Start that asks": start(func(t *actors.Task) {
			_, _ = actors.Ask[*stepMessage](t, t.Self(), "echo", actors.Timeout(time.Minute))
		}, plain),
		"RequestFuture": func(e *endless) {
			actors.RequestFuture[*stepMessage](e.w.root, e.pids[0], &stepMessage{})
		},
		"Start in a handler": func(e *endless) {
			e.w.root.Send(e.pids[0], true)
		},
		"Group.Go": func(e *endless) {
			did(e.w.root, e.pids[0], func(t *actors.Task) error {
				g := t.NewGroup()
				var step func(n int) func(t *actors.Task) error
				step = func(n int) func(t *actors.Task) error {
					kept := e.values.value()
					return func(t *actors.Task) error {
						err := t.Yield()
						if e.round(n) {
							g.Go(step(n + 1))
						}
						runtime.KeepAlive(kept)
						return err
					}
				}
				g.Go(step(0))
				return g.Wait()
			})
		},
		"Start in a group": func(e *endless) {
			did(e.w.root, e.pids[0], func(t *actors.Task) error {
				g := t.NewGroup()
				g.Go(func(t *actors.Task) error { e.startAgain(t, 0); return nil })
				return g.Wait()
			})
		},
		"Start in a Cleanup": func(e *endless) {
			did(e.w.root, e.pids[0], func(t *actors.Task) error {
				return t.Cleanup(time.Hour, func(t *actors.Task) error { e.startAgain(t, 0); return nil })
			})
		},
		"Offload in between": func(e *endless) {
			var step func(t *actors.Task, n int) error
			step = func(t *actors.Task, n int) error {
				kept := e.values.value()
				_, err := actors.Await(t, actors.Offload(t, func(context.Context) (*[64]byte, error) { return kept, nil }))
				if e.round(n) {
					did(t, t.Self(), func(t *actors.Task) error { return step(t, n+1) })
				}
				return err
			}
			did(e.w.root, e.pids[0], func(t *actors.Task) error { return step(t, 0) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				e := &endless{w: w, ctx: ctx, n: 2000, last: make(chan int, 1)}
				for i := range e.pids {
					e.pids[i] = w.worker([]string{"one", "two"}[i], actors.Options{}, e.setup)
				}
				begin(e)
				// The last round's, its predecessor's, and what is in flight between.
				if n := <-e.last; n > 20 {
					w.Errorf("%d values are alive after %d rounds", n, e.n)
				}
			})
		})
	}
}

func (e *endless) startAgain(t *actors.Task, n int) {
	kept := e.values.value()
	actors.Start(t, func(t *actors.Task) (*[64]byte, error) {
		err := t.Yield()
		if e.round(n) {
			e.startAgain(t, n+1)
		}
		runtime.KeepAlive(kept)
		return e.values.value(), err
	})
}

func (e *endless) setup(w *actors.Worker) error {
	actors.Handle(w, func(t *actors.Task, m *stepMessage) (*stepMessage, error) {
		if e.round(m.n) {
			actors.RequestFuture[*stepMessage](t, e.pids[m.n%2], &stepMessage{m.n + 1, e.values.value()})
		}
		return &stepMessage{data: e.values.value()}, nil
	})
	actors.Handle(w, func(*actors.Task, string) (*stepMessage, error) { return &stepMessage{data: e.values.value()}, nil })
	actors.On(w, func(t *actors.Task, _ bool) error { e.startAgain(t, 0); return nil })
	return nil
}
