package actors

import (
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/protoloop/protoloop/internal/loop"
)

type atomicError = atomic.Pointer[error]

// clock ends tasks whose budget is used up. A timer of the runtime for each
// would cost far more, and most are never needed: this one keeps
// them in a few heaps, each with one runtime timer, and does not take a
// deadline out when its task ends. The task only marks it, and what is marked
// is swept out when a heap has doubled. The marks lie side by side, so that a
// sweep does not touch the tasks, which are out of the cache by then. The
// price is that up to as many ended tasks as there are live ones, and at
// least 64 a heap, are held until then or until they expire.
type clock struct {
	pool *loop.Pool
	heap [8]deadlines
}

type deadlines struct {
	mu    sync.Mutex
	clock *clock
	heap  []deadline // a binary heap by when
	sweep int        // look for what has ended at this length
	marks []mark     // the unused rest of a block of them
	timer *time.Timer
	armed time.Duration // when timer fires; 0: it is not set
}

type deadline struct {
	when time.Duration
	task *Task
	gone *mark
}

// mark is set when a task is gone, with its kids and its future.
type mark = atomic.Uint32

const minSweep = 64

func (c *clock) init(p *loop.Pool) {
	c.pool = p
	for i := range c.heap {
		c.heap[i].clock = c
		c.heap[i].sweep = minSweep
	}
}

// add expires t at when, unless it has ended.
func (c *clock) add(when time.Duration, t *Task) {
	h := &c.heap[uintptr(unsafe.Pointer(t))>>9%uintptr(len(c.heap))]
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.heap) >= h.sweep {
		h.clean()
	}
	if len(h.marks) == 0 {
		h.marks = make([]mark, minSweep)
	}
	gone := &h.marks[0]
	h.marks = h.marks[1:]
	t.ext.Load().gone.Store(gone)
	h.push(deadline{when, t, gone})
	h.arm()
}

// clean drops what has ended from all heaps.
func (c *clock) clean() {
	for i := range c.heap {
		h := &c.heap[i]
		h.mu.Lock()
		h.clean()
		h.mu.Unlock()
	}
}

func (h *deadlines) arm() {
	if len(h.heap) == 0 {
		return
	}
	first := h.heap[0].when
	if h.armed != 0 && h.armed <= first {
		return
	}
	h.armed = first
	d := max(first-h.clock.pool.Now(), 1) // see giveUpAfter
	if h.timer == nil {
		h.timer = time.AfterFunc(d, h.fire)
	} else {
		h.timer.Reset(d)
	}
}

func (h *deadlines) fire() {
	var due []deadline
	now := h.clock.pool.Now()
	h.mu.Lock()
	h.armed = 0
	for len(h.heap) > 0 && h.heap[0].when <= now {
		due = append(due, h.pop())
	}
	h.arm()
	h.mu.Unlock()
	for _, d := range due {
		if d.gone.Load() == 0 {
			d.task.cancel(d.task.expired())
		}
	}
}

func (h *deadlines) clean() {
	kept := h.heap[:0]
	for _, d := range h.heap {
		if d.gone.Load() == 0 {
			kept = append(kept, d)
		}
	}
	clear(h.heap[len(kept):])
	h.heap = kept
	for i := len(kept)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
	h.sweep = max(minSweep, 2*len(kept))
	if len(kept) == 0 && h.timer != nil {
		h.timer.Stop()
		h.armed = 0
	}
}

func (h *deadlines) push(d deadline) {
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

func (h *deadlines) pop() deadline {
	first, last := h.heap[0], len(h.heap)-1
	h.heap[0] = h.heap[last]
	h.heap[last] = deadline{}
	h.heap = h.heap[:last]
	h.down(0)
	return first
}

func (h *deadlines) down(i int) {
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
