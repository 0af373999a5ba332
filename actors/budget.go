package actors

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/protoloop/protoloop/internal/loop"
)

// budgets ends the tasks of one worker whose budget is used up before they
// have awaited anything: in the queue, or in their first turn. Most are done by
// then, so they are not put into the system's clock one by one, which took
// half as long as all the rest of a request. There is one timer for the
// earliest of them; when it fires the queue is searched.
type budgets struct {
	at    atomic.Int64 // when the timer fires, as a reading of the clock; 0: it is not set
	mu    sync.Mutex
	timer *time.Timer
	rest  time.Duration // no search before that
	over  bool
}

// searchShare is how much longer than a search the rest after it is. Where
// each of many that are queued has a deadline of its own, a search for each
// costs the square of the queue: 20,000 that expired within 170 ms took 59 ms
// of processor time so, and 26 with the rest. The price is that a task ends
// late by up to that much.
const searchShare = 8

// peekAgain is how soon to look again at a loop that did not stand still.
const peekAgain = time.Millisecond

// expire arranges that the task ends at when. One that is about to be posted,
// or started, is looked after by its worker until it awaits; see expectBy and
// inClock.
func (t *Task) expire(when time.Duration) {
	if t.lifetime == child || t.once.Load()&isPosted != 0 {
		t.first(isBudgeted)
		return
	}
	t.system().clock.add(when, t)
}

// inClock puts the task into the system's clock if it has a budget of its own
// and is not in there yet. On its loop, or before others know the task.
func (t *Task) inClock() {
	if t.once.Load()&isBudgeted == 0 {
		return
	}
	t.once.And(^isBudgeted)
	t.system().clock.add(t.ext.Load().deadline, t)
}

// expectBy is called when a task with that deadline has been posted: whoever
// searches the queue from now on finds it.
func (mb *mailbox) expectBy(when time.Duration) {
	if at := mb.budgets.at.Load(); at == 0 || at > int64(when) {
		mb.budgets.arm(mb, when)
	}
}

func (b *budgets) arm(mb *mailbox, when time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	when = max(when, b.rest)
	if at := b.at.Load(); b.over || at != 0 && at <= int64(when) {
		return
	}
	b.at.Store(int64(when))
	d := max(when-mb.sys.pool.Now(), 1)
	if b.timer == nil {
		b.timer = time.AfterFunc(d, mb.searchExpired)
	} else {
		b.timer.Reset(d)
	}
}

func (b *budgets) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	if b.timer != nil {
		b.timer.Stop()
	}
}

// searchExpired ends what has expired, and waits for the next.
func (mb *mailbox) searchExpired() {
	b := &mb.budgets
	b.at.Store(0) // what is posted after the search arms it again
	now := mb.sys.pool.Now()
	var due []*Task
	next := time.Duration(0)
	look := func(t *Task) {
		if t == nil || t.once.Load()&isBudgeted == 0 || t.canceled() {
			return
		}
		switch when := t.ext.Load().deadline; {
		case when <= now:
			due = append(due, t)
		case next == 0 || when < next:
			next = when
		}
	}
	stood := mb.loop.Peek(func(running *loop.Task) {
		for lt := running; lt != nil; lt = lt.Outer() {
			look(taskOfLoop(lt))
		}
		mb.loop.Waiting(func(lt *loop.Task) { look(taskOfLoop(lt)) })
	})
	if !stood {
		next = now + peekAgain
	}
	b.mu.Lock()
	end := mb.sys.pool.Now()
	b.rest = end + searchShare*(end-now)
	b.mu.Unlock()
	for _, t := range due {
		t.cancel(t.expired())
	}
	if next != 0 {
		b.arm(mb, next)
	}
}
