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
	buckets atomic.Pointer[[]bucket]

	mu sync.Mutex // guards what follows, and all of the buckets' changes
	// of has the entries of each worker: they are to go when it does.
	of map[*mailbox][]*cached
}

// bucket is a cache line. The entries of one PID's bucket are all looked at, but
// only those with its tag are followed: each is on a line of another worker.
type bucket struct {
	tags    atomic.Uint64 // a byte for each entry
	entries [ways]atomic.Pointer[cached]
}

// cached says that a PID is a worker's; constant once it is entered.
type cached struct {
	pid *actor.PID
	mb  *mailbox
}

const (
	ways      = 7
	minCached = 32      // buckets
	maxCached = 1 << 13 // half a megabyte
	// maxCopies of a worker's PID are remembered. Whoever makes a new one for
	// each message does not profit, and must not make the cache grow.
	maxCopies = 8
)

// fit makes room for that many workers.
func (c *pidCache) fit(workers int) {
	wanted := uint(2*workers/ways + 1)
	if old := c.buckets.Load(); old != nil && (uint(len(*old)) >= wanted || len(*old) == maxCached) {
		return
	}
	buckets := make([]bucket, min(max(minCached, 1<<bits.Len(wanted-1)), maxCached))
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, all := range c.of {
		for _, e := range all {
			e.enter(buckets)
		}
	}
	c.buckets.Store(&buckets)
}

// place is where a PID may be, and its tag there.
func place(buckets []bucket, pid *actor.PID) (b *bucket, tag byte) {
	const golden = 0x9e3779b97f4a7c15
	h := uint64(uintptr(unsafe.Pointer(pid))) * golden
	h = (h ^ h>>32) * golden // once would not do: some steps between addresses meet the same few places
	return &buckets[h>>(64-bits.Len(uint(len(buckets)-1)))], byte(h)
}

// enter puts e into a free place, or into that of another one.
func (e *cached) enter(buckets []bucket) {
	b, tag := place(buckets, e.pid)
	at := 0
	for i := range b.entries {
		if o := b.entries[i].Load(); o == nil || o.pid == e.pid {
			at = i
			break
		}
	}
	shift := 8 * at
	b.tags.Store(b.tags.Load()&^(0xff<<shift) | uint64(tag)<<shift)
	b.entries[at].Store(e)
}

// leave takes e out: its PID would keep all of a worker that has ended.
func (e *cached) leave(buckets []bucket) {
	b, _ := place(buckets, e.pid)
	for i := range b.entries {
		b.entries[i].CompareAndSwap(e, nil)
	}
}

// find returns the worker of a PID if it is known.
func (c *pidCache) find(pid *actor.PID) *mailbox {
	buckets := c.buckets.Load()
	if buckets == nil {
		return nil
	}
	b, tag := place(*buckets, pid)
	tags := b.tags.Load()
	for i := range b.entries {
		if byte(tags) == tag {
			if e := b.entries[i].Load(); e != nil && e.pid == pid {
				return e.mb
			}
		}
		tags >>= 8
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
	e, buckets, all := &mb.called, *c.buckets.Load(), c.of[mb]
	switch {
	case e.mb == nil:
		*e = cached{pid, mb}
	case e.pid != pid:
		e = &cached{pid, mb}
	}
	if len(all) == maxCopies {
		all[0].leave(buckets)
		all = append(all[:0], all[1:]...)
	}
	if c.of == nil {
		c.of = map[*mailbox][]*cached{}
	}
	c.of[mb] = append(all, e)
	e.enter(buckets)
}

// forget drops a worker that has ended.
func (c *pidCache) forget(mb *mailbox) {
	if !mb.cached.Load() { // of many that stop at a time most were never called
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.of[mb] {
		e.leave(*c.buckets.Load())
	}
	delete(c.of, mb)
}
