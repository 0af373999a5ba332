// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"time"

	"github.com/protoloop/protoloop/internal/loop"
)

// Await gives the loop back until f is complete, and returns its result.
// Other tasks of the worker run meanwhile; its state may be another one
// afterwards.
//
// Once the task itself has been ended, by a cancel, its budget, a restart or
// a stop, Await returns that error at once, at every call and even if f is
// complete. An await that would close a ring of workers waiting for each
// other returns a [*DeadlockError].
func Await[T any](t *Task, f *Future[T]) (T, error) {
	if f == nil {
		panicNilFuture("Await")
	}
	if err := t.awaitCore(&f.core, "Await"); err != nil {
		var zero T
		return zero, err
	}
	return f.val, f.lookAtResult()
}

func panicNilFuture(what string) { panic("actors: " + what + " called with a nil future") }

// awaitCore returns nil when c is done, and else why the task was ended.
func (t *Task) awaitCore(c *core, what string) error {
	t.checkCurrent(what)
	if err := t.endCause(); err != nil {
		return err
	}
	if c.done.Load() {
		return nil
	}
	if own := t.future(); own != nil && own.base() == c {
		t.panicAwaitsItself(what)
	}
	var late *lateAwait
	if d := c.deps(); d != nil && d.late {
		late = t.coroutineTask().awaitLate(c)
		c = &late.core
	}
	err := t.noteAwaited(c)
	if err == nil {
		err = t.suspend(c, 0) // here: the collector walks each frame of what is suspended
	}
	if err != nil {
		t.forgetAwaited()
	}
	if late != nil {
		err = late.endAwait(err)
	}
	return err
}

func (t *Task) panicAwaitsItself(what string) {
	panic("actors: " + what + ": task " + t.name() + " awaits its own future, which completes when it returns")
}

// noteAwaited lets others know what t is about to wait for, and reports a ring that
// would close. forgetAwaited, when it is over, ends that: what is found there and is
// not done is being awaited.
func (t *Task) noteAwaited(c *core) error {
	top := t.coroutineTask()
	top.awaits.Store(c)
	return top.closesRing(c)
}

// behindWoken lets a task that waits for something that is done go on behind all
// that have been woken before, and not at once.
const behindWoken time.Duration = -1

// suspend is the one way in which a task waits: for c, if that is not nil, or
// until a time, if that is positive; for neither, it only gives the others a
// turn. It returns the reason, at once, when the task is ended.
func (t *Task) suspend(c *core, until time.Duration) error {
	lt := t.loopTask()
	for {
		seq, ok := lt.Arm()
		if !ok { // the turn was taken over: there is no loop to give back
			return t.abandonedError()
		}
		// Here, because whoever takes a turn over writes the same.
		top := t.coroutineTask() // of a Cleanup the task that it cleans up for, which may expire meanwhile
		top.joinTree()
		top.putInClock()
		var w *loop.Waiter
		enlisted := true
		if c != nil {
			w = lt.Waiter()
			w.Seq = seq
			enlisted = c.addWaiter(w)
		}
		var timer *loop.Timer
		switch {
		case !enlisted && until == behindWoken && t.endCause() == nil:
			lt.Wake(seq)
		case !enlisted || t.endCause() != nil: // a cancel before Arm woke nobody
			if lt.Disarm(seq) {
				if w != nil {
					c.removeWaiter(w)
				}
				return t.endCause()
			}
		case until > 0:
			timer = lt.Loop().AddTimer(until-t.mb.sys.pool.Now(), lt, seq)
		case c == nil:
			lt.WakeLast(seq)
		}
		lt.Suspend()
		t.mb.enterTask(t)
		err := t.endCause()
		done := c != nil && c.done.Load()
		if w != nil {
			// Woken by c, w is in no list. Otherwise c may be done, and what
			// has completed it still be on the way to w.
			if err != nil || !done || until > 0 || lt.Interrupted() {
				c.removeWaiter(w)
			}
		}
		if timer != nil && (err != nil || done) {
			lt.OnLoop(func() { lt.Loop().RemoveTimer(timer) })
		}
		if err != nil || done || until > 0 && t.mb.sys.pool.Now() >= until || c == nil && until == 0 {
			return err
		}
	}
}

// loopTask is the task whose coroutine this one runs on: itself, but for a
// Cleanup.
func (t *Task) loopTask() *loop.Task { return &t.coroutineTask().lt }

// Sleep gives the loop back for d (at once, but still giving others a turn,
// if d is not positive).
func (t *Task) Sleep(d time.Duration) error {
	_, err := t.sleep(d, false, "Sleep")
	return err
}

// SleepOrStop sleeps for d or until the worker is told to stop, and says
// which: the loop of a background task that ends gracefully.
//
//	for stopping := false; !stopping; {
//		…
//		if stopping, err = t.SleepOrStop(time.Second); err != nil {
//			return err
//		}
//	}
func (t *Task) SleepOrStop(d time.Duration) (stopping bool, err error) {
	return t.sleep(d, true, "SleepOrStop")
}

func (t *Task) sleep(d time.Duration, orStop bool, what string) (stopping bool, err error) {
	t.checkCurrent(what)
	if err := t.endCause(); err != nil {
		return false, err
	}
	var stop *core
	if orStop {
		if stop = t.mb.stopEvent(); stop.done.Load() {
			return true, nil
		}
	}
	t.forgetAwaited()
	if d <= 0 {
		err = t.suspend(nil, 0)
	} else {
		err = t.suspend(stop, t.mb.sys.in(d))
	}
	return orStop && err == nil && stop.done.Load(), err
}

// Yield lets all that is ready to run on the worker run first.
func (t *Task) Yield() error {
	t.checkCurrent("Yield")
	if err := t.endCause(); err != nil {
		return err
	}
	t.forgetAwaited()
	return t.suspend(nil, 0)
}

// forgetAwaited lets go of what the task has awaited last.
func (t *Task) forgetAwaited() {
	if top := t.coroutineTask(); top.awaits.Load() != nil {
		top.awaits.Store(nil)
	}
}
