// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/protoloop/protoloop/internal/fifo"
	"github.com/protoloop/protoloop/internal/loop"
)

// endNote is why something has been ended, and when it was told: a reading of the system's clock,
// or 0 where that is not known.
type endNote struct {
	why error
	at  time.Duration
}

type atomicEnd = atomic.Pointer[endNote]

// stoppedNote is that of all which a stop cuts off: there may be a hundred thousand at a time.
var stoppedNote = endNote{why: ErrStopped}

// clock ends tasks whose budget is used up, and has workers search their queues
// for such; see budgets. A timer of the runtime for each would cost far more, and
// most are never needed: this one keeps them in some parts, each with one
// runtime timer. There are so many of them because somebody may have one's lock
// and no processor.
//
// What is not needed any more is not taken out, which would touch
// entries that are out of the cache by then. Only its mark is cleared, so that
// nothing of a task stays that has ended; and when half of a part is such, it is
// swept.
type clock struct {
	pool *loop.Pool
	part [64]deadlines
}

// deadlines are some of them. Those of calls that have all the same timeout come in the order
// in which they are due, and so need no heap (bench: burst/plain).
type deadlines struct {
	mu      sync.Mutex
	clock   *clock
	inOrder fifo.Queue[deadline] // each came after those that are due before it
	heap    []deadline           // the others: a binary heap by when
	marks   []mark               // the unused rest of a block of them
	timer   *time.Timer
	armed   time.Duration // when timer fires; 0: it is not set

	first   atomic.Int64  // when the first one is due, for those without mu; 0: there is none
	cleared atomic.Uint32 // how many marks have been cleared, of those here at one time
	removed uint32        // … and removed
}

// countDropped is how many marks here have been cleared. With mu held.
func (h *deadlines) countDropped() int { return int(int32(h.cleared.Load() - h.removed)) }

type deadline struct {
	when time.Duration
	mark *mark
}

// mark is what a deadline is of, a task or a worker's queue; neither: it is not
// needed any more.
type mark struct {
	task  atomic.Pointer[Task]
	queue atomic.Pointer[mailbox]
}

func (m *mark) isCleared() bool { return m.task.Load() == nil && m.queue.Load() == nil }

// marksBlock is how many marks are made at a time, and how many are cleared
// before a part is looked at for a sweep.
const marksBlock = 64

func (c *clock) initDeadlines(p *loop.Pool) {
	c.pool = p
	for i := range c.part {
		c.part[i].clock = c
	}
	p.BetweenTurns = c.endOverdue
}

// deadlinesOf is where the deadline of t, or of what is at p, goes.
func (c *clock) deadlinesOf(p unsafe.Pointer) *deadlines {
	return &c.part[uintptr(p)>>9%uintptr(len(c.part))]
}

// addDeadline expires t at when, unless it has ended.
func (c *clock) addDeadline(when time.Duration, t *Task) {
	h := c.deadlinesOf(unsafe.Pointer(t))
	h.mu.Lock()
	h.addTask(when, t)
	h.mu.Unlock()
}

// quickCopy is how many deadlines are copied in a few microseconds. Constant but in tests.
var quickCopy = 1024

// tryAddDeadline is addDeadline for somebody who must be quick. It reports false if it would have to
// wait, or to copy a heap that is long: see makeRoom.
func (c *clock) tryAddDeadline(when time.Duration, t *Task) bool {
	h := c.deadlinesOf(unsafe.Pointer(t))
	if !h.mu.TryLock() {
		return false
	}
	defer h.mu.Unlock()
	if h.fitsInOrder(when) {
		if h.inOrder.Room() == 0 && h.inOrder.Len() > quickCopy {
			return false
		}
	} else if n := len(h.heap); n == cap(h.heap) && n > quickCopy {
		return false
	}
	h.addTask(when, t)
	return true
}

// makeRoom does what tryAddDeadline would have had to wait for.
func (c *clock) makeRoom(t *Task) {
	h := c.deadlinesOf(unsafe.Pointer(t))
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.inOrder.Room() == 0 {
		h.inOrder.Reserve()
	}
	h.heap = slices.Grow(h.heap, marksBlock)
}

// addTask is addDeadline. With mu held.
func (h *deadlines) addTask(when time.Duration, t *Task) {
	m := h.newMark()
	*(**Task)(unsafe.Pointer(&m.task)) = t // a plain store, see presetScope
	t.ext.Load().gone.Store(m)
	h.push(deadline{when, m})
	h.armTimer()
}

// dropDeadline is called when the task of m has ended.
func (c *clock) dropDeadline(m *mark, t *Task) {
	if m.task.Swap(nil) != nil {
		c.deadlinesOf(unsafe.Pointer(t)).noteDropped()
	}
}

// addSearch has the queue of mb searched at when.
func (c *clock) addSearch(when time.Duration, mb *mailbox) *mark {
	h := c.deadlinesOf(unsafe.Pointer(mb))
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.newMark()
	m.queue.Store(mb)
	h.push(deadline{when, m})
	h.armTimer()
	return m
}

// dropSearch takes back addSearch.
func (c *clock) dropSearch(m *mark, mb *mailbox) {
	if m.queue.Swap(nil) != nil {
		c.deadlinesOf(unsafe.Pointer(mb)).noteDropped()
	}
}

// newMark returns a new one. With mu held.
func (h *deadlines) newMark() *mark {
	if len(h.marks) == 0 {
		h.marks = make([]mark, marksBlock)
	}
	m := &h.marks[0]
	h.marks = h.marks[1:]
	return m
}

// noteDropped counts a mark that has been cleared.
func (h *deadlines) noteDropped() {
	if h.cleared.Add(1)%marksBlock != 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.countDropped() > (h.inOrder.Len()+len(h.heap))/2 {
		h.sweepEnded()
	}
}

// sweepAll drops what has ended from all parts.
func (c *clock) sweepAll() {
	for i := range c.part {
		h := &c.part[i]
		h.mu.Lock()
		h.sweepEnded()
		h.mu.Unlock()
	}
}

// armTimer sets the timer for the first deadline that is still needed. With mu held.
//
// What has ended is taken from the front each time, although a sweep would find it: by
// then its mark is out of the cache. That is a twentieth of a request to a plain
// actor (bench: burst/plain).
func (h *deadlines) armTimer() {
	for h.inOrder.Len() > 0 && h.inOrder.First().mark.isCleared() {
		h.inOrder.Pop()
		h.removed++
	}
	for len(h.heap) > 0 && h.heap[0].mark.isCleared() {
		h.popHeap()
		h.removed++
	}
	first := h.firstDue()
	if int64(first) != h.first.Load() {
		h.first.Store(int64(first))
	}
	if first == 0 {
		return
	}
	if first == math.MaxInt64 {
		// For ever. Where nothing else can happen, in a bubble, the time would jump to
		// the end, the timer fire, find that it is not time yet, and be set again.
		return
	}
	if h.armed != 0 && h.armed <= first {
		return
	}
	h.armed = first
	d := max(first-h.clock.pool.Now(), 1) // see giveUpAfter
	if h.timer == nil {
		h.timer = time.AfterFunc(d, h.timerFired)
	} else {
		h.timer.Reset(d)
	}
}

// timerFired is the timer's.
func (h *deadlines) timerFired() {
	h.mu.Lock()
	h.armed = 0
	h.mu.Unlock()
	for more := true; more; {
		var d due
		h.mu.Lock()
		more = h.takeDue(&d, h.clock.pool.Now())
		h.mu.Unlock()
		d.endTasks()
	}
}

// overdueAfter is how late the timers have to be for the runners to do their work.
const overdueAfter = time.Millisecond

// endOverdue is called by runners between turns, now and then. Where there is more to
// do than the processors can, the runtime looks at its timers when it takes a
// processor from somebody, so each 10 to 20 ms, and what they begin waits for its
// turn among all others. It reports whether there is more to do.
func (c *clock) endOverdue(now time.Duration) (more bool) {
	for i := range c.part {
		h := &c.part[i]
		if first := h.first.Load(); first == 0 || time.Duration(first) > now-overdueAfter {
			continue
		}
		if !h.mu.TryLock() { // somebody does it, or adds a deadline
			more = true
			continue
		}
		var d due
		more = h.takeDue(&d, now) || more
		h.mu.Unlock()
		d.endTasks()
	}
	return more
}

// due is some deadlines that are over.
type due struct {
	tasks  [16]*Task
	queues [2]*mailbox
	nt, nq int
}

// takeDue moves the first of those that are due at now into d, which is empty, and
// reports whether there may be more. With mu held.
func (h *deadlines) takeDue(d *due, now time.Duration) (more bool) {
	for {
		first := h.firstDue()
		if first == 0 || first > now {
			break
		}
		if d.nt == len(d.tasks) || d.nq == len(d.queues) {
			more = true
			break
		}
		m := h.popFirst(first).mark
		if t := m.task.Swap(nil); t != nil {
			d.tasks[d.nt] = t
			d.nt++
		} else if mb := m.queue.Swap(nil); mb != nil {
			d.queues[d.nq] = mb
			d.nq++
		} else {
			h.removed++
		}
	}
	h.armTimer()
	return more
}

// endTasks ends the tasks and searches the queues.
func (d *due) endTasks() {
	for _, t := range d.tasks[:d.nt] {
		t.cancel(t.expiredError())
	}
	for _, mb := range d.queues[:d.nq] {
		mb.searchExpired()
	}
}

// sweepEnded drops what has ended. With mu held.
func (h *deadlines) sweepEnded() {
	var inOrder fifo.Queue[deadline] // the ring may have been far longer
	for h.inOrder.Len() > 0 {
		if d := h.inOrder.Pop(); d.mark.isCleared() {
			h.removed++
		} else {
			inOrder.Push(d)
		}
	}
	h.inOrder = inOrder
	kept := h.heap[:0]
	for _, d := range h.heap {
		if d.mark.isCleared() {
			h.removed++
		} else {
			kept = append(kept, d)
		}
	}
	if len(kept) < cap(kept)/4 {
		kept = append([]deadline(nil), kept...)
	} else {
		clear(h.heap[len(kept):])
	}
	h.heap = kept
	for i := len(kept)/2 - 1; i >= 0; i-- {
		h.siftDown(i)
	}
	if h.firstDue() == 0 && h.timer != nil {
		h.timer.Stop()
		h.armed = 0
	}
	h.armTimer()
}

// firstDue is when the first one is due; 0: there is none. With mu held, as the next ones.
func (h *deadlines) firstDue() (first time.Duration) {
	if h.inOrder.Len() > 0 {
		first = h.inOrder.First().when
	}
	if len(h.heap) > 0 && (first == 0 || h.heap[0].when < first) {
		first = h.heap[0].when
	}
	return first
}

// popFirst takes the one that is due first, at first.
func (h *deadlines) popFirst(first time.Duration) deadline {
	if h.inOrder.Len() > 0 && h.inOrder.First().when == first {
		return h.inOrder.Pop()
	}
	return h.popHeap()
}

// fitsInOrder reports whether what is due at when is due after all that have come in order.
func (h *deadlines) fitsInOrder(when time.Duration) bool {
	return h.inOrder.Len() == 0 || h.inOrder.Last().when <= when
}

func (h *deadlines) push(d deadline) {
	if h.fitsInOrder(d.when) {
		h.inOrder.Push(d)
		return
	}
	h.heap = append(h.heap, d)
	for i := len(h.heap) - 1; i > 0; {
		p := (i - 1) / 2
		if h.heap[p].when <= h.heap[i].when {
			return
		}
		h.heap[p], h.heap[i] = h.heap[i], h.heap[p]
		i = p
	}
}

func (h *deadlines) popHeap() deadline {
	first, last := h.heap[0], len(h.heap)-1
	h.heap[0] = h.heap[last]
	h.heap[last] = deadline{}
	h.heap = h.heap[:last]
	h.siftDown(0)
	return first
}

func (h *deadlines) siftDown(i int) {
	for {
		c := 2*i + 1
		if c >= len(h.heap) {
			return
		}
		if c+1 < len(h.heap) && h.heap[c+1].when < h.heap[c].when {
			c++
		}
		if h.heap[i].when <= h.heap[c].when {
			return
		}
		h.heap[i], h.heap[c] = h.heap[c], h.heap[i]
		i = c
	}
}
