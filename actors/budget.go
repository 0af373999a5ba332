// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protoloop/protoloop/internal/loop"
)

// budgets tracks the deadlines of one worker's tasks that have not awaited
// anything yet: they wait in the queue, or run their first turn. Most are done
// long before that, so they are not put into the system's clock one by one,
// which took half as long as all the rest of a request (bench: burst/request-timeout).
// There is one entry for the earliest of them. When it is due the queue is searched: what has expired
// ends, and all the others, which have waited for long already, go into the
// clock. No task is looked at twice.
type budgets struct {
	at   atomic.Int64 // when the queue is to be searched, as a reading of the clock; 0: it is not
	mu   sync.Mutex
	mark *mark // of that, or of an earlier one
	over bool

	// crowded is set when tasks wait for long. Deadlines up to there go into the
	// clock before the task is posted: there it costs more, but ends the task in
	// time whatever the worker does, and no search has to walk past it.
	crowded atomic.Int64
}

const (
	// crowd is how many tasks that wait when the queue is searched are many.
	crowd = 64
	// crowdedFor is for how long from there it is taken for granted that many wait.
	crowdedFor = time.Second
)

// crowd notes that one with that deadline has waited for long.
func (b *budgets) crowd(when time.Duration) {
	if till := int64(when + crowdedFor); till > b.crowded.Load() {
		b.crowded.Store(till)
	}
}

// peekAgain is how soon to look again at a loop that did not stand still.
const peekAgain = time.Millisecond

// expireAt arranges that the task ends at when. One that is about to be posted,
// or started, is looked after by its worker until it awaits; see expectBy and
// putInClock.
func (t *Task) expireAt(when time.Duration) {
	if t.lifetime == child || t.once.Load()&isPosted != 0 {
		t.firstTime(isBudgeted)
		return
	}
	t.system().clock.addDeadline(when, t)
}

// putInClock puts the task into the system's clock if it has a budget of its own
// and is not in there yet. On its loop, in its turn, or before others know the
// task.
func (t *Task) putInClock() {
	if t.has(isBudgeted) && t.once.And(^isBudgeted)&isBudgeted != 0 {
		t.system().clock.addDeadline(t.ext.Load().deadline, t)
	}
}

// tryPutInClock is putInClock for somebody who has a loop wait that would go on. It reports
// false if it would have to wait itself.
func (t *Task) tryPutInClock() bool {
	if !t.system().clock.tryAddDeadline(t.ext.Load().deadline, t) {
		return false
	}
	t.once.And(^isBudgeted)
	return true
}

// offerBounded is offer for a task that may have a deadline.
func (mb *mailbox) offerBounded(t *Task) {
	own, when := t.has(isBudgeted), t.ext.Load().deadline
	if own && int64(when) < mb.budgets.crowded.Load() {
		t.putInClock()
		own = false
	}
	mb.offer(t)
	if own {
		mb.expectBy(when)
	}
}

// expectBy is called when a task with that deadline has been posted: a search
// that begins from now on finds it.
func (mb *mailbox) expectBy(when time.Duration) {
	if at := mb.budgets.at.Load(); at == 0 || at > int64(when) {
		mb.budgets.arm(mb, when)
	}
}

func (b *budgets) arm(mb *mailbox, when time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at := b.at.Load(); b.over || at != 0 && at <= int64(when) {
		return
	}
	b.at.Store(int64(when))
	b.drop(mb)
	b.mark = mb.sys.clock.addSearch(when, mb)
}

// endIfExpired is called when the task's code has returned err. It ends the task if its
// time is over and err says no more than that, as the clock is about to: a context of
// its, or a timer of somebody else's, may have been a moment earlier. What ended it, and
// what it counts as, must not depend on that.
func (t *Task) endIfExpired(err error) {
	s := t.ext.Load()
	if s == nil || s.deadline <= 0 || t.isCanceled() || t.system().pool.Now() < s.deadline {
		return
	}
	if saysOnly(err, ErrTimeout, context.DeadlineExceeded) {
		t.cancel(t.expiredError())
	}
}

// drop takes back the search that is to be. With mu held.
func (b *budgets) drop(mb *mailbox) {
	if b.mark != nil {
		mb.sys.clock.dropSearch(b.mark, mb)
	}
}

func (b *budgets) stop(mb *mailbox) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	b.drop(mb)
}

// search is one search of a worker's queue. It goes by the stretches of a walk,
// so that no turn waits for it.
type search struct {
	mb    *mailbox
	asked atomic.Bool // the loop, to look itself
	done  atomic.Bool

	// Whoever owns the loop writes these.
	walk loop.Walk
	n    int           // how many tasks it has met, so far
	last time.Duration // the last deadline of them

	mu   sync.Mutex
	due  []*Task // have expired, and have not been told
	full *Task   // the clock has no room for it; the walk goes on from there
}

// searchTries is how often a search goes on at once when the clock had no room.
const searchTries = 4

// searchExpired ends what has expired, and leaves the rest to the clock. It does
// not wait: what it cannot do at once goes on by itself.
func (mb *mailbox) searchExpired() {
	mb.budgets.at.Store(0) // what is posted from here on arms it again
	s := &search{mb: mb, walk: mb.loop.Walk()}
	stood := false
	for range searchTries {
		stood, _ = mb.loop.Peek(s.walkNext)
		if !s.endDue() {
			break
		}
	}
	switch {
	case !stood: // it is between two turns
		mb.budgets.arm(mb, mb.sys.pool.Now()+peekAgain)
	case !s.done.Load():
		time.AfterFunc(1, s.goOn) // not in the goroutine of whoever calls: it may be a turn
	}
}

func (s *search) goOn() {
	for l := &s.mb.loop; !s.done.Load() && s.mb.gate.Load() != gateStopped; {
		stood, held := l.Peek(s.walkNext)
		if !stood {
			// It is between two turns. It looks itself before the next one, unless
			// that has just begun, and may last.
			if s.asked.CompareAndSwap(false, true) {
				l.PostControl(s)
			}
			time.Sleep(peekAgain)
		}
		s.endDue()
		if held {
			runtime.Gosched()
		}
	}
	s.endDue()
}

// onLoop is walkNext for the loop that was asked to look.
func (s *search) onLoop() {
	s.asked.Store(false)
	s.walkWith(nil, func(t *Task) bool { t.putInClock(); return true })
}

// walkNext looks at the next stretch of the queue, or at the turn that runs. In Peek.
func (s *search) walkNext(running *loop.Task) { s.walkWith(running, (*Task).tryPutInClock) }

// walkWith is walkNext, with how a task goes into the clock, if it can.
func (s *search) walkWith(running *loop.Task, inClock func(*Task) bool) {
	if s.done.Load() {
		return
	}
	now := s.mb.sys.pool.Now()
	var due []*Task
	var full *Task
	done := s.walk.Next(running, func(lt *loop.Task) bool {
		if t := taskOfLoop(lt); t != nil && t.has(isBudgeted) && !t.isCanceled() {
			when := t.ext.Load().deadline
			s.last = max(s.last, when)
			switch {
			case when <= now:
				due = append(due, t)
			case !inClock(t):
				full = t
				return false
			}
		}
		s.n++
		return true
	})
	if s.n > crowd {
		s.mb.budgets.crowd(s.last)
	}
	if due != nil || full != nil {
		s.mu.Lock()
		s.due, s.full = append(s.due, due...), full
		s.mu.Unlock()
	}
	s.done.Store(done)
}

// endDue does what the steps have found to be done: it ends what is due and has the clock
// make room, and reports whether there was none. Futures that fail call user code, so
// neither the loop nor whoever keeps it from going on can do it.
func (s *search) endDue() (noRoom bool) {
	s.mu.Lock()
	due, full := s.due, s.full
	s.due, s.full = nil, nil
	s.mu.Unlock()
	if full != nil {
		s.mb.sys.clock.makeRoom(full)
	}
	for _, t := range due {
		t.cancel(t.expiredError())
	}
	return full != nil
}
