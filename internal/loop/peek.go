package loop

import (
	"runtime"
	"time"
)

// peekTries is how often Peek looks for a moment when nothing changes.
const peekTries = 200

// Peek calls f, with the task whose turn it is, or nil, while nothing that the loop owns changes: with the loop asleep,
// or in user code that may be stuck there. It costs the loop no turn; one
// whose turn ends meanwhile waits for f, which has to be quick and must not
// change anything. It reports false if there was no such moment: then the loop
// is busy between turns, or waits for a runner. Any goroutine.
func (l *Loop) Peek(f func(running *Task)) bool {
	for range peekTries {
		if l.inbox.claim() { // as if we ran it
			f(nil)
			if !l.inbox.sleep() { // something has come, and nobody was woken for it
				l.pool.wake(l)
			}
			return true
		}
		if r := l.runner.Load(); r != nil {
			if w := r.word.Load(); r.pin(l, w) {
				f(l.cur.task)
				r.unpin(w)
				return true
			}
		}
		runtime.Gosched()
	}
	return false
}

// Suspended calls f for each live task that has awaited. In Peek.
func (l *Loop) Suspended(f func(*Task)) {
	for c := l.awaited; c != nil; c = c.next {
		f(c.task)
	}
}

// Age is how long ago t, which has awaited, did so first, too long by half a
// BlockedTurn at most; 0: not known. In Peek.
func (l *Loop) Age(t *Task) time.Duration {
	if since := t.co.since; since > 0 {
		return l.pool.Now() - since
	}
	return 0
}

// Exclusive is the task that keeps all others from running, or nil. In Peek or
// on the loop.
func (l *Loop) Exclusive() *Task { return l.exclusive }

// Waiting calls f for each task that has been posted and has not started. In
// Peek.
func (l *Loop) Waiting(f func(*Task)) {
	for t := l.inbox.head.Load(); t != nil && t != idleMark; t = t.next {
		if t.kind == kindTask && !t.started {
			f(t)
		}
	}
	for t := l.lane.head; t != nil; t = t.next {
		f(t)
	}
}

// Outer is the task that waits in Start for the first step of t, which runs,
// or nil. In Peek.
func (t *Task) Outer() *Task { return t.co.outer }
