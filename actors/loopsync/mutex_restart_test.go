// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/actortest"
)

// restarts spawns a worker that fails when it is sent "fail".
func (b *bench) restarts(grace time.Duration) {
	o := quiet
	o.StopGrace = grace
	b.pid = actortest.Spawn(b, b.sys.Root, "restarts", func(w *actors.Worker) error {
		actors.On(w, func(*actors.Task, string) error { panic("fail") })
		return nil
	}, o)
}

func TestMutexKeptOverARestart(t *testing.T) {
	run(t, func(b *bench) {
		var m loopsync.Mutex
		b.restarts(time.Minute)
		holder := b.task(func(t *actors.Task) error { _ = m.Lock(t); return t.Sleep(time.Hour) }) // never unlocks it
		waiter := b.locker(&m, "waiter")
		b.sys.Root.Send(b.pid, "fail")
		b.ended(holder, actors.ErrRestarted)
		b.ended(waiter, actors.ErrRestarted)
		b.do(m.Lock)
		m.Unlock()
		b.heard()
	})
}

// A task that does not return when its worker restarts is abandoned, with what
// it holds; it can still unlock it.
func TestMutexOfAnAbandonedTask(t *testing.T) {
	run(t, func(b *bench) {
		var m loopsync.Mutex
		b.restarts(time.Second)
		release := make(chan struct{})
		b.task(func(t *actors.Task) error {
			_ = m.Lock(t)
			defer m.Unlock()
			_ = t.Sleep(time.Hour)
			<-release
			return nil
		})
		b.sys.Root.Send(b.pid, "fail")
		time.Sleep(10 * time.Second)
		b.do(func(t *actors.Task) error {
			err := m.Lock(t)
			if !errors.Is(err, loopsync.ErrAbandoned) || !strings.Contains(err.Error(), "of incarnation 1 of worker restarts") {
				b.Errorf("Lock: %v", err)
			}
			return nil
		})
		close(release)
		synctest.Wait()
		b.do(m.Lock)
		m.Unlock()
	})
}
