// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"errors"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
)

// waits is each way to wait: a function that makes one, and what ends its wait.
var waits = map[string]func(b *bench) (wait func(t *actors.Task) error, end func()){
	"Mutex.Lock": func(b *bench) (func(t *actors.Task) error, func()) {
		m := new(loopsync.Mutex)
		b.do(m.Lock)
		return m.Lock, m.Unlock
	},
	"Semaphore.Acquire": func(*bench) (func(t *actors.Task) error, func()) {
		s := loopsync.NewSemaphore(0)
		return s.Acquire, s.Release
	},
	"Event.Wait": func(*bench) (func(t *actors.Task) error, func()) {
		e := new(loopsync.Event)
		return e.Wait, e.Set
	},
	"Queue.Put": func(*bench) (func(t *actors.Task) error, func()) {
		q := loopsync.NewQueue[int](1)
		q.TryPut(1)
		return func(t *actors.Task) error { return q.Put(t, 2) }, func() { q.TryGet() }
	},
	"Queue.Get": func(*bench) (func(t *actors.Task) error, func()) {
		q := loopsync.NewQueue[int](1)
		return func(t *actors.Task) error { _, err := q.Get(t); return err }, func() { q.TryPut(1) }
	},
	"Queue.Join": func(*bench) (func(t *actors.Task) error, func()) {
		q := loopsync.NewQueue[int](1)
		q.TryPut(1)
		return q.Join, q.TaskDone
	},
}

// The Cleanup of a task that has been ended waits as any task does, and its grace
// ends the wait.
func TestWaitInACleanup(t *testing.T) {
	for name, way := range waits {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bench) {
				cleanup := func(wait func(t *actors.Task) error) *actors.Future[actors.None] {
					f := b.task(func(t *actors.Task) error {
						_ = t.Sleep(time.Hour)
						before := time.Now()
						err := t.Cleanup(time.Minute, wait)
						switch {
						case err == nil:
							b.say("done after %v", time.Since(before))
						case errors.Is(err, actors.ErrTimeout):
							b.say("ended after %v", time.Since(before))
						default:
							b.Error(err)
						}
						return err
					})
					f.Cancel()
					return f
				}
				wait, end := way(b)
				cleanup(wait)
				b.heard()
				time.Sleep(time.Second)
				end()
				b.heard("done after 1s")

				wait, end = way(b)
				cleanup(wait)
				time.Sleep(time.Hour)
				b.heard("ended after 1m0s")
				end()
			})
		})
	}
}
