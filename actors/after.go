// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/protoloop/protoloop/internal/loop"
)

// After runs fn as a task of the worker when d is over, beside what runs then
// (asyncio's call_later; the handle is the future). Until then it takes no goroutine and
// no timer of its own. What is due at the same time begins in the order of the calls, and
// a d of zero or less is due as soon as the turn has ended.
//
// It is work of the worker and not of the caller: it ends with neither the caller nor its
// message, which fn does not have, but has the values of the caller's context. So it is as
// what [Detached] begins. It does not count against MaxInFlight, nor in the account. While
// an [Exclusive] handler runs it waits for that.
//
// Cancel of the future takes it back. So does the stop event, as a stop does not wait for
// what has not begun: the future then fails with [ErrStopping] at once, and so it does if
// the worker is stopping already. A restart fails it with [ErrRestarted]; what is to come
// again belongs into setup. A [Timeout] begins when fn is due.
func (t *Task) After(d time.Duration, fn func(t *Task) error, opts ...CallOption) *Future[None] {
	t.checkCurrent("After")
	if fn == nil {
		panic("actors: Task.After called with a nil function")
	}
	checkOptions(opts)
	u := &delayed{when: t.mb.sys.in(d), index: -1, life: t.mb.inc.Load()}
	u.msg = submittedErr(fn)
	u.markEarly(isFunction)
	u.lt.Body = u
	u.attached, u.lifetime = t.attached, internal
	u.fut = new(Future[None])
	u.fut.ownApart(&u.Task)
	u.makeContextRoom(opts)
	if u.bindCall(t, optionsAfter(d, opts), 0) {
		u.beginWhenDue(t)
	}
	return u.fut
}

// optionsAfter are those of work that begins when d is over, and has another life than
// its creator.
func optionsAfter(d time.Duration, opts []CallOption) []CallOption {
	all := append(slices.Clone(opts), Detached())
	for i := range all {
		if o := &all[i]; o.set == setTimeout && o.timeout != Forever {
			if o.timeout = max(o.timeout, 0) + max(d, 0); o.timeout < 0 { // overflow
				o.timeout = math.MaxInt64
			}
		}
	}
	return all
}

// delayed is a task of After.
type delayed struct {
	started[None]
	when  time.Duration // it is due, as a reading of the system's clock
	seq   uint64        // order of those that are due at the same time
	index int           // in the heap of its worker's delays; -1: it is not there
	ended node          // of its future
	life  *incarnation  // whose work it is
}

// beginWhenDue lets u, which from has created and nobody else knows, begin when it is due.
func (u *delayed) beginWhenDue(from *Task) {
	d := &u.mb.sparse().delays
	d.add(u)
	u.ended.to = promptCallback(func() {
		if d.remove(u) {
			u.endUnbegun(true)
		}
	})
	u.fut.addCallback(&u.ended)
	// Looked at when it is there: whoever has ended all that is there may have missed it.
	err := u.refusalCause()
	if err == nil && (from.inc == nil || from.inc.n != u.life.n) { // of an incarnation that is over
		err = cmp.Or(from.endCause(), ErrRestarted)
	}
	if err != nil {
		u.cancel(err)
	}
}

// refusalCause is why u does not begin any more, or nil.
func (u *delayed) refusalCause() error {
	if u.mb.gate.Load() != gateOpen || u.mb.isFenced() {
		return ErrStopping
	}
	if p := u.life.cause.Load(); p != nil {
		return p.why
	}
	return nil
}

// Run is the loop's.
func (u *delayed) Run(lt *loop.Task) {
	t := &u.Task
	err := u.refusalCause() // since it was due the worker may have been told to end
	if s := t.ext.Load(); err == nil && s != nil && s.deadline > 0 && lt.Past(s.deadline) {
		err = t.expiredError() // the clock may be late
	}
	if err != nil {
		t.cancel(err)
	}
	u.started.Run(lt)
}

// delays are what is to begin on one worker later. They are in a heap of their own, under
// a lock, and not among the loop's timers, which only the loop touches: whoever cancels one
// is anywhere, and is to leave nothing behind. The clock keeps no order of what is due at
// the same time.
type delays struct {
	mu     sync.Mutex
	heap   delayedHeap
	seq    uint64
	timer  *time.Timer   // one for all
	armed  time.Duration // when it fires; 0: it is not set
	posted bool          // the loop was asked to look
}

// delaysDue is a control message: something is due.
type delaysDue struct{}

func (d *delays) add(u *delayed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seq++
	u.seq = d.seq
	heap.Push(&d.heap, u)
	d.armTimer(u.mb)
}

// remove reports whether u was there.
func (d *delays) remove(u *delayed) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if u.index < 0 {
		return false
	}
	heap.Remove(&d.heap, u.index)
	d.armTimer(u.mb)
	return true
}

// takeDue removes all that is due, and returns it in order. Nothing is due where all is
// about to end.
func (d *delays) takeDue(mb *mailbox, ends bool) (due []*delayed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.posted = false; ends {
		return nil
	}
	for now := mb.sys.pool.Now(); len(d.heap) > 0 && d.heap[0].when <= now; {
		due = append(due, heap.Pop(&d.heap).(*delayed))
	}
	d.armTimer(mb)
	return due
}

func (d *delays) isEmpty() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.heap) == 0
}

// countDelayed is how many are there, and when the first is due. Any goroutine.
func (d *delays) countDelayed(mb *mailbox) (n int, next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n = len(d.heap); n > 0 {
		next = mb.sys.pool.Time(d.heap[0].when)
	}
	return n, next
}

// listDelayed is what is there, in order.
func (d *delays) listDelayed() []*delayed {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := slices.Clone(d.heap)
	slices.SortFunc(all, (*delayed).compareDue)
	return all
}

// armTimer sets the timer for the first one, unless it fires before, or asks the loop to look.
// With mu held.
func (d *delays) armTimer(mb *mailbox) {
	if len(d.heap) == 0 {
		if d.timer != nil {
			d.timer.Stop()
		}
		d.armed = 0
		return
	}
	first := d.heap[0].when
	if d.posted || d.armed != 0 && d.armed <= first || first == math.MaxInt64 { // for ever: see deadlines.armTimer
		return
	}
	wait := first - mb.sys.pool.Now()
	if wait <= 0 {
		d.posted = true
		mb.loop.PostControl(delaysDue{})
		return
	}
	d.armed = first
	if d.timer == nil {
		d.timer = time.AfterFunc(wait, func() { d.timerFired(mb) })
	} else {
		d.timer.Reset(wait)
	}
}

// timerFired is the timer's.
func (d *delays) timerFired(mb *mailbox) {
	d.mu.Lock()
	d.armed = 0
	post := !d.posted && len(d.heap) > 0
	d.posted = d.posted || post
	d.mu.Unlock()
	if post {
		mb.loop.PostControl(delaysDue{})
	}
}

// beginDelayed begins what is due. On the loop.
func (mb *mailbox) beginDelayed() {
	ends := mb.gate.Load() != gateOpen || mb.inc.Load().cause.Load() != nil
	for _, u := range mb.sparse().delays.takeDue(mb, ends) {
		mb.loop.Go(&u.lt)
	}
}

// endDelayed ends what has not begun. Whoever adds something from here on finds out
// why. Any goroutine.
func (mb *mailbox) endDelayed(cause error) {
	s := mb.rare.Load()
	if s == nil {
		return
	}
	var later callbacks
	for _, u := range s.delays.listDelayed() {
		u.endTree(cause, true, &later)
	}
	later.callElsewhere()
}

// delayedHeap is container/heap's.
type delayedHeap []*delayed

func (u *delayed) compareDue(v *delayed) int {
	return cmp.Or(cmp.Compare(u.when, v.when), cmp.Compare(u.seq, v.seq))
}

func (h delayedHeap) Len() int           { return len(h) }
func (h delayedHeap) Less(i, j int) bool { return h[i].compareDue(h[j]) < 0 }

func (h delayedHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is called with a *delayed.
func (h *delayedHeap) Push(x any) {
	u := x.(*delayed)
	u.index = len(*h)
	*h = append(*h, u)
}

// Pop removes the last one.
func (h *delayedHeap) Pop() any {
	last := len(*h) - 1
	u := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	u.index = -1
	return u
}
