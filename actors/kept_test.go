// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
)

// TestNothingIsKeptByTheWorker: nothing of what a worker is through with is
// held by it.
func TestNothingIsKeptByTheWorker(t *testing.T) {
	type message struct{ data *[64]byte }
	for name, run := range map[string]func(w *world, values *tracked) (kept any){
		"what a sleeping task has awaited last": func(w *world, values *tracked) any {
			pid := w.worker("worker", actors.Options{}, none)
			did(w.root, pid, func(t *actors.Task) error {
				p := new(actors.Promise[*[64]byte])
				actors.Start(t, func(*actors.Task) (int, error) { p.Resolve(values.value()); return 0, nil })
				if _, err := actors.Await(t, p.Future()); err != nil {
					return err
				}
				p = new(actors.Promise[*[64]byte])
				actors.Start(t, func(t *actors.Task) (int, error) {
					err := t.Yield()
					p.Resolve(values.value())
					return 0, err
				})
				if _, err := actors.Await(t, p.Future()); err != nil {
					return err
				}
				p = nil
				return t.Sleep(time.Hour)
			})
			return pid
		},
		"the message of a turn that was reported": func(w *world, values *tracked) any {
			pid := w.worker("worker", actors.Options{BlockedTurn: time.Second, Logger: discard()}, func(wk *actors.Worker) error {
				actors.On(wk, func(_ *actors.Task, m *message) error { time.Sleep(time.Minute); return nil })
				return nil
			})
			w.root.Send(pid, &message{values.value()})
			time.Sleep(time.Hour)
			return pid
		},
		"a task whose future was done when it was about to wait": func(w *world, values *tracked) any {
			pid := w.worker("worker", actors.Options{}, none)
			actors.Submit(w.root, pid, func(t *actors.Task) (*[64]byte, error) {
				return values.value(), actors.AwaitDone(t, futures.Resolved(1))
			})
			return pid
		},
		"what has come right behind the end of a sleep": func(w *world, values *tracked) any {
			pid := w.worker("worker", actors.Options{}, none)
			did(w.root, pid, func(t *actors.Task) error { return t.Sleep(time.Second) })
			did(w.root, pid, func(*actors.Task) error { time.Sleep(3 * time.Second); return nil })
			time.Sleep(2 * time.Second)
			actors.Submit(w.root, pid, func(*actors.Task) (*[64]byte, error) { return values.value(), nil })
			time.Sleep(time.Hour)
			return pid
		},
		"the last message of a plain actor": func(w *world, values *tracked) any {
			pid := w.dropIn(actors.Options{}, func(actor.Context) {})
			w.root.Send(pid, &message{values.value()})
			return pid
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				values := &tracked{}
				kept := run(w, values)
				synctest.Wait()
				if n := values.count(); n != 0 {
					w.Errorf("%d values are held", n)
				}
				runtime.KeepAlive(kept)
			})
		})
	}
}
