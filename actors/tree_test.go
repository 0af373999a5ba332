// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// TestNoWorkIsKeptByItsCreator: a task that lives as long as its worker has
// no use for work that has ended, also if it had ended when it was made.
func TestNoWorkIsKeptByItsCreator(t *testing.T) {
	gone, end := context.WithCancel(context.Background())
	end()
	echo := func(t *actors.Task, pid *actor.PID, opts ...actors.CallOption) {
		_, _ = actors.Ask[string](t, pid, "x", opts...)
	}
	nothing := func(*actors.Task) (int, error) { return 0, nil }
	for name, call := range map[string]func(t *actors.Task, pid, plain *actor.PID){
		"a request":                        func(t *actors.Task, pid, _ *actor.PID) { echo(t, pid, actors.Timeout(time.Second)) },
		"a request without time":           func(t *actors.Task, pid, _ *actor.PID) { echo(t, pid, actors.Timeout(0)) },
		"… with a context that has ended":  func(t *actors.Task, pid, _ *actor.PID) { echo(t, pid, actors.WithContext(gone)) },
		"… to a plain actor, without time": func(t *actors.Task, _, plain *actor.PID) { echo(t, plain, actors.Timeout(0)) },
		"a submission without time": func(t *actors.Task, pid, _ *actor.PID) {
			_, _ = actors.Await(t, actors.Submit(t, pid, nothing, actors.Timeout(0)))
		},
		"a child without time": func(t *actors.Task, _, _ *actor.PID) {
			_, _ = actors.Await(t, actors.Start(t, nothing, actors.Timeout(0)))
		},
		"a request whose handler asks on after its end": func(t *actors.Task, pid, _ *actor.PID) {
			_, _ = actors.Ask[int](t, pid, 1, actors.Timeout(time.Second))
			_ = t.Sleep(time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				pid := w.worker("worker", actors.Options{}, func(wk *actors.Worker) error {
					actors.Handle(wk, func(_ *actors.Task, s string) (string, error) { return s, nil })
					actors.Handle(wk, func(t *actors.Task, n int) (int, error) {
						err := t.Sleep(time.Hour)
						echo(t, t.Self())
						_, _ = actors.Await(t, actors.Submit(t, t.Self(), nothing))
						return n, err
					})
					return nil
				})
				plain := w.plain(func(actor.Context) {})
				kids := make(chan int, 1)
				did(w.root, pid, func(t *actors.Task) error {
					for range 10 {
						call(t, pid, plain)
					}
					kids <- actors.Kids(t)
					return nil
				})
				if n := <-kids; n != 0 {
					w.Errorf("%d of 10 are kept", n)
				}
			})
		})
	}
}
