// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"fmt"
	"iter"
	"time"
)

// Every yields a tick each d, the first when d is over, and gives the loop back between
// two ticks. It is a [time.Ticker] that ends: when the task is ended, or the worker is told
// to stop, it yields the zero time and why, once. At the stop event that is an
// [ErrStopping]:
//
//	w.Background("sweep", func(t *actors.Task) error {
//		for now, err := range t.Every(time.Minute) {
//			if err != nil {
//				return err
//			}
//			…
//		}
//		return nil
//	})
//
// A Background or Main may return that error: it is how it is to end, and no failure.
//
// A tick is the time at which it was due. Of those that are due while the body of the loop
// runs the last one comes late, where a Ticker keeps the first, and the others are lost:
// they are not made up. Every panics if d is not positive.
func (t *Task) Every(d time.Duration) iter.Seq2[time.Time, error] {
	if d <= 0 {
		panic(fmt.Sprintf("actors: Every called with an interval of %v: it has to be positive", d))
	}
	return func(yield func(time.Time, error) bool) {
		for due := t.mb.sys.in(d); ; due += d {
			if err := t.awaitTick(due); err != nil {
				yield(time.Time{}, err)
				return
			}
			due += (t.mb.sys.pool.Now() - due) / d * d // the last one that is due
			if !yield(t.mb.sys.pool.Time(due), nil) {
				return
			}
		}
	}
}

// awaitTick returns when due has come, and gives the others a turn if it had before.
func (t *Task) awaitTick(due time.Duration) error {
	t.checkCurrent("Every")
	if err := t.endCause(); err != nil {
		return err
	}
	stop := t.mb.stopEvent()
	if stop.done.Load() {
		return errToldToStop
	}
	t.forgetAwaited()
	var err error
	if due <= t.mb.sys.pool.Now() {
		err = t.suspend(nil, 0)
	} else {
		err = t.suspend(stop, due)
	}
	if err == nil && stop.done.Load() {
		err = errToldToStop
	}
	return err
}
