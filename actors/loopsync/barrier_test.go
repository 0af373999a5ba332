// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"errors"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/internal/testtools"
)

// arriver waits at a and says as which.
func (b *bench) arriver(a *loopsync.Barrier, name string) *actors.Future[actors.None] {
	return b.task(func(t *actors.Task) error {
		i, err := a.Wait(t)
		switch {
		case err == nil:
			b.say("%s is %d", name, i)
		case errors.Is(err, loopsync.ErrBroken):
			b.say("%s is broken", name)
		}
		if err != nil && i != -1 {
			b.Errorf("index %d with %v", i, err)
		}
		return err
	})
}

// The last one does not wait, and the Barrier begins anew.
func TestBarrierLetsAllGoOn(t *testing.T) {
	run(t, func(b *bench) {
		a := loopsync.NewBarrier(3)
		for range 3 {
			b.arriver(a, "a")
			b.arriver(a, "b")
			b.heard()
			if a.Waiting() != 2 {
				b.Errorf("%d wait", a.Waiting())
			}
			b.arriver(a, "c")
			b.heard("c is 2", "a is 0", "b is 1")
		}
		if a.Waiting() != 0 || a.Broken() {
			b.Error("it is not as it was")
		}
		var one loopsync.Barrier
		b.arriver(&one, "alone")
		b.heard("alone is 0")
	})
}

// A task of the next round does not overtake, nor go on with those of the last.
func TestBarrierRounds(t *testing.T) {
	run(t, func(b *bench) {
		a := loopsync.NewBarrier(2)
		b.arriver(a, "a")
		b.do(func(t *actors.Task) error {
			for range 2 { // it comes twice in one turn
				actors.Start(t, func(t *actors.Task) (int, error) {
					i, err := a.Wait(t)
					b.say("%d", i)
					return i, err
				})
			}
			return nil
		})
		b.heard("1", "a is 0")
		b.arriver(a, "b")
		b.heard("b is 1", "0")
	})
}

// Who is ended has not come: another one takes its place, and its index.
func TestBarrierCancel(t *testing.T) {
	run(t, func(b *bench) {
		a := loopsync.NewBarrier(3)
		first := b.arriver(a, "a")
		second := b.arriver(a, "b")
		first.Cancel()
		b.ended(first, actors.ErrCanceled)
		b.arriver(a, "c")
		b.pending(second)
		b.arriver(a, "d")
		b.heard("d is 2", "b is 0", "c is 1")
		third := b.arriver(a, "e")
		b.arriver(a, "f")
		b.do(func(t *actors.Task) error {
			_, err := a.Wait(t) // all have come
			third.Cancel()
			return err
		})
		b.ended(third, actors.ErrCanceled)
		b.heard("f is 1")
	})
}

func TestBarrierAbortAndReset(t *testing.T) {
	run(t, func(b *bench) {
		a := loopsync.NewBarrier(2)
		b.arriver(a, "a")
		a.Abort()
		b.heard("a is broken")
		b.arriver(a, "b")
		b.heard("b is broken")
		if !a.Broken() {
			b.Error("it is not broken")
		}
		a.Reset()
		b.arriver(a, "c")
		a.Reset()
		b.heard("c is broken")
		if a.Broken() {
			b.Error("it is broken")
		}
		b.arriver(a, "d")
		b.arriver(a, "e")
		b.heard("e is 1", "d is 0")
		b.arriver(a, "f")
		b.do(func(t *actors.Task) error { // those who all came go on, whatever comes after
			_, err := a.Wait(t)
			a.Abort()
			return err
		})
		b.heard("f is 0")
	})
}

func TestBarrierOfAnEndedTask(t *testing.T) {
	run(t, func(b *bench) {
		var a loopsync.Barrier
		f := b.task(func(t *actors.Task) error {
			_ = t.Sleep(time.Hour)
			_, err := a.Wait(t)
			return err
		})
		f.Cancel()
		b.ended(f, actors.ErrCanceled)
	})
}

func TestBarrierMisuse(t *testing.T) {
	run(t, func(b *bench) {
		testtools.WantPanic(b, func() { loopsync.NewBarrier(0) }, "loopsync: NewBarrier: parties is less than 1: 0")
	})
}
