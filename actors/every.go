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
			if err := t.awaitTick("Every", due); err != nil {
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
func (t *Task) awaitTick(method string, due time.Duration) error {
	t.checkCurrent(method)
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

// Schedule says when something is due, by the clock on the wall. Those of cron libraries are, such as what
// ParseStandard of github.com/robfig/cron/v3 returns.
type Schedule interface {
	// Next is the first time after that one; the zero time: there is none.
	Next(after time.Time) time.Time
}

// wallLook is how often the clock on the wall is looked at, which may be set, and goes on while the
// machine is suspended.
const wallLook = time.Minute

// OnSchedule is [Task.Every] for the times of s, and ends when there are no more. A tick is the time that was due. If
// some come while the body of the loop runs, or the machine is suspended, the first of them comes late, and the
// others are lost. A clock that is set back makes none come twice; one that is set forward is noticed within a minute.
//
// It panics if s is nil, or names a time that is not later.
func (t *Task) OnSchedule(s Schedule) iter.Seq2[time.Time, error] {
	if s == nil {
		panic("actors: OnSchedule called with a nil Schedule")
	}
	return func(yield func(time.Time, error) bool) {
		last := time.Now()
		for {
			due := s.Next(last)
			switch {
			case due.IsZero():
				return
			case !due.After(last):
				panic(fmt.Sprintf("actors: OnSchedule: Next of %T names %v, which is not after %v", s, due, last))
			}
			if err := t.awaitWall(due); err != nil {
				yield(time.Time{}, err)
				return
			}
			if last = time.Now(); last.Before(due) { // it was set back
				last = due
			}
			if !yield(due, nil) {
				return
			}
		}
	}
}

// awaitWall returns when the clock on the wall says due.
func (t *Task) awaitWall(due time.Time) error {
	for {
		left := due.Round(0).Sub(time.Now().Round(0))
		if err := t.awaitTick("OnSchedule", t.mb.sys.in(min(left, wallLook))); err != nil || left <= wallLook {
			return err
		}
	}
}
