// SPDX-License-Identifier: Apache-2.0

package loop

import "time"

// nobody stands for the runner of a loop that has had none yet, or has lost it,
// and looker while somebody looks at a loop that no runner runs.
var nobody, looker = new(runner), new(runner)

// peekTries is how often Peek tries to look at a loop that is between two turns,
// on another processor: as often as takes about as long as that lasts.
const peekTries = 20

// Peek calls f, with the task whose turn it is, or nil, while nothing that the
// loop owns changes: with the loop asleep, waiting for a runner, or in user code
// that may be stuck there. It costs the loop no turn. f owns the loop, but what it
// changes must be nothing that a turn relies on. It has to be quick, see stretch: a
// turn that ends or begins meanwhile waits for it. If one has, held is true, and the caller
// should let it go first if it is to look again.
//
// It reports false, soon, if there was no such moment: the loop has not begun, is
// between two turns, or somebody else looks. Any goroutine.
func (l *Loop) Peek(f func(running *Task)) (stood, held bool) {
	for range peekTries {
		switch r := l.runner.Load(); {
		case r == nil:
			return false, false
		case r == looker:
		case r.serving.Load() == l:
			if w := r.word.loadWord(); r.pinTurn(l, w) {
				f(l.cur.task)
				l.pinnedMax = max(l.pinnedMax, l.pinned)
				return true, r.word.unpinWord(w, w.undoPin())
			}
		default:
			if stood, held = l.lookAlone(r, f); stood {
				return stood, held
			}
		}
	}
	return false, false
}

// lookAlone calls f if nobody runs the loop, last, which ran it last, included.
// A runner that comes meanwhile waits: see setRunner.
func (l *Loop) lookAlone(last *runner, f func(running *Task)) (stood, held bool) {
	yieldAt(atLookAlone)
	if !l.runner.CompareAndSwap(last, looker) {
		return false, false
	}
	// last may have come back before that. It has said that it serves the loop
	// before it has looked who runs it: one of the two sees the other.
	if stood = last.serving.Load() != l; stood {
		l.pinned = 0
		f(nil)
		l.pinnedMax = max(l.pinnedMax, l.pinned)
	}
	yieldAt(atLookedAlone)
	if held = !l.runner.CompareAndSwap(looker, last); held {
		l.runner.Load().word.looked <- inLoop // from setRunner
	}
	return stood, held
}

// setRunner makes r, which serves l, the one that runs it.
func (l *Loop) setRunner(r *runner) {
	for {
		last := l.runner.Load()
		if last == r {
			return
		}
		yieldAt(atTakeUp)
		if l.runner.CompareAndSwap(last, r) {
			if last == looker {
				<-r.word.looked
			}
			return
		}
	}
}

// Age is how long ago t, which has awaited, did so first, too long by half a
// BlockedTurn at most; 0: not known. In Peek.
func (l *Loop) Age(t *Task) time.Duration { return AgeAt(t, l.pool.Now()) }

// AgeAt is Age at a time that Pool.Now has told: for many tasks a reading of the clock for each would be most of what a look at
// them takes.
func AgeAt(t *Task, now time.Duration) time.Duration {
	if since := t.co.since; since > 0 {
		return now - since
	}
	return 0
}

// ID is a number that t, whose turn it is or which has awaited, has to itself among all tasks that a
// loop of this name has had. A task that began later has a larger one. In Peek.
//
// It costs a task nothing before its first await: until then the number of its line will do,
// and one that shares it with whoever has started it is listed here.
func (l *Loop) ID(t *Task) uint64 {
	c := t.co
	if !c.listed {
		if c.outer == nil {
			return c.line
		}
		l.listAwaited(c)
	}
	return c.id
}

// HasID reports whether ID of t is id. In Peek.
func (l *Loop) HasID(t *Task, id uint64) bool {
	c := t.co
	if c.listed {
		return c.id == id
	}
	return c.outer == nil && c.line == id
}

// Outer is the task that waits for the first step of t, whose turn it is; nil: none does. In Peek.
func (t *Task) Outer() *Task { return t.co.outer }

// Timers is how many timers the loop has set. In Peek.
func (l *Loop) Timers() int {
	if l.few == nil || l.few.timers == nil {
		return 0
	}
	return len(l.few.timers.heap)
}

// Exclusive is the task that keeps all others from running, or nil. In Peek or
// on the loop.
func (l *Loop) Exclusive() *Task { return l.exclusive }

// LongestPin is how many tasks a look at the loop has met at most, so far, while it
// kept the loop from going on. In Peek.
func (l *Loop) LongestPin() int { return int(l.pinnedMax) }
