package actors

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"
)

// pidCache finds the worker of a PID, the very object, by its address instead of
// a lock and a hash of its id. It has room for as many as there are workers, up to
// maxCached: with 256 places for 10,000 nearly every call took the lock.
type pidCache struct {
	slots atomic.Pointer[[]atomic.Pointer[cached]]

	mu sync.Mutex // guards what follows, and all of slots' changes
	// of has the entries of each worker: they are to go when it does.
	of map[*mailbox][]*cached
}

// cached says that a PID is a worker's; constant once it is entered.
type cached struct {
	pid *actor.PID
	mb  *mailbox
}

const (
	minCached = 256
	maxCached = 1 << 16 // half a megabyte
	ways      = 4       // places for each PID, side by side
	// maxCopies of a worker's PID are remembered. Whoever makes a new one for
	// each message does not profit, and must not make the cache grow.
	maxCopies = 8
)

// fit makes room for that many workers.
func (c *pidCache) fit(workers int) {
	if old := c.slots.Load(); old != nil && (len(*old) >= 2*workers || len(*old) == maxCached) {
		return
	}
	size := min(max(minCached, 1<<bits.Len(uint(2*workers-1))), maxCached)
	slots := make([]atomic.Pointer[cached], size)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, all := range c.of {
		for _, e := range all {
			e.enter(slots)
		}
	}
	c.slots.Store(&slots)
}

// places are the slots where a PID may be.
func places(slots []atomic.Pointer[cached], pid *actor.PID) []atomic.Pointer[cached] {
	const golden = 0x9e3779b97f4a7c15
	h := uint64(uintptr(unsafe.Pointer(pid))) * golden
	h = (h ^ h>>32) * golden // once would not do: some steps between addresses meet the same few places
	first := h >> (64 - bits.Len(uint(len(slots)-1))) &^ (ways - 1)
	return slots[first : first+ways]
}

// enter puts e into a free place, or into that of another one.
func (e *cached) enter(slots []atomic.Pointer[cached]) {
	among := places(slots, e.pid)
	for i := range among {
		if o := among[i].Load(); o == nil || o.pid == e.pid {
			among[i].Store(e)
			return
		}
	}
	among[0].Store(e)
}

// leave takes e out: its PID would keep all of a worker that has ended.
func (e *cached) leave(slots []atomic.Pointer[cached]) {
	among := places(slots, e.pid)
	for i := range among {
		among[i].CompareAndSwap(e, nil)
	}
}

// find returns the worker of a PID if it is known.
func (c *pidCache) find(pid *actor.PID) *mailbox {
	slots := c.slots.Load()
	if slots == nil {
		return nil
	}
	among := places(*slots, pid)
	for i := range among {
		if e := among[i].Load(); e != nil && e.pid == pid {
			return e.mb
		}
	}
	return nil
}

// remember notes that a PID is mb's.
func (c *pidCache) remember(pid *actor.PID, mb *mailbox) {
	c.mu.Lock()
	defer c.mu.Unlock()
	mb.cached.Store(true)
	if mb.gate.Load() == gateStopped { // ended meanwhile
		return
	}
	// The first one's entry is next to what its senders need.
	e, slots, all := &mb.called, *c.slots.Load(), c.of[mb]
	switch {
	case e.mb == nil:
		*e = cached{pid, mb}
	case e.pid != pid:
		e = &cached{pid, mb}
	}
	if len(all) == maxCopies {
		all[0].leave(slots)
		all = append(all[:0], all[1:]...)
	}
	if c.of == nil {
		c.of = map[*mailbox][]*cached{}
	}
	c.of[mb] = append(all, e)
	e.enter(slots)
}

// forget drops a worker that has ended.
func (c *pidCache) forget(mb *mailbox) {
	if !mb.cached.Load() { // of many that stop at a time most were never called
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.of[mb] {
		e.leave(*c.slots.Load())
	}
	delete(c.of, mb)
}
