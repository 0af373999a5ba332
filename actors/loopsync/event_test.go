// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
)

// listener waits for e, and says so.
func (b *bench) listener(e *loopsync.Event, name string) *actors.Future[actors.None] {
	return b.task(func(t *actors.Task) error {
		err := e.Wait(t)
		if err == nil {
			b.say("%s", name)
		}
		return err
	})
}

func TestEventLetsAllGoOn(t *testing.T) {
	run(t, func(b *bench) {
		var e loopsync.Event
		for _, name := range []string{"a", "b", "c"} {
			b.listener(&e, name)
		}
		b.heard()
		e.Set()
		e.Set()
		b.heard("a", "b", "c")
		b.listener(&e, "late")
		b.heard("late")
		if !e.IsSet() {
			b.Error("it is not set")
		}
	})
}

func TestEventThatIsSetIsNotWaitedFor(t *testing.T) {
	run(t, func(b *bench) {
		var e loopsync.Event
		e.Set()
		b.do(func(t *actors.Task) error {
			actors.Start(t, func(t *actors.Task) (int, error) { _ = t.Yield(); b.say("other"); return 0, nil })
			err := e.Wait(t)
			b.say("went on")
			return err
		})
		b.heard("went on", "other")
	})
}

// Whom a Set has let go on does so, also if the flag is taken back before.
func TestEventClearedAtOnce(t *testing.T) {
	run(t, func(b *bench) {
		var e loopsync.Event
		b.listener(&e, "a")
		b.do(func(*actors.Task) error { e.Set(); e.Clear(); return nil })
		b.heard("a")
		second := b.listener(&e, "b")
		b.pending(second)
		e.Set()
		b.heard("b")
		e.Clear()
		e.Clear()
		if e.IsSet() {
			b.Error("it is set")
		}
	})
}

func TestEventCancelledListener(t *testing.T) {
	run(t, func(b *bench) {
		var e loopsync.Event
		a, c := b.listener(&e, "a"), b.listener(&e, "c")
		b.do(func(*actors.Task) error { a.Cancel(); e.Set(); c.Cancel(); return nil })
		b.ended(a, actors.ErrCanceled)
		b.ended(c, actors.ErrCanceled) // ended wins over ready
		b.heard()
	})
}

func TestEventOfAnEndedTask(t *testing.T) {
	run(t, func(b *bench) {
		var e loopsync.Event
		e.Set()
		f := b.task(func(t *actors.Task) error { _ = t.Sleep(time.Hour); return e.Wait(t) })
		f.Cancel()
		b.ended(f, actors.ErrCanceled)
	})
}
