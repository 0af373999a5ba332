// SPDX-License-Identifier: Apache-2.0

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
	mu      sync.Mutex // guards all of the buckets' changes, and the lists of entries
}

// bucket is a cache line. The entries of one PID's bucket are all looked at, but
// only those with its tag are followed: each is on a line of another worker.
type bucket struct {
	tags    atomic.Uint64 // a byte for each entry
	entries [ways]atomic.Pointer[cached]
}

// cached says that a PID is a worker's; constant once it is entered, but for next.
type cached struct {
	pid  *actor.PID
	mb   *mailbox
	next *cached // of the same worker, an older one but for the first: all are to go when it does
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
	old := c.buckets.Load()
	if old != nil && (uint(len(*old)) >= wanted || len(*old) == maxCached) {
		return
	}
	buckets := make([]bucket, min(max(minCached, 1<<bits.Len(wanted-1)), maxCached))
	c.mu.Lock()
	defer c.mu.Unlock()
	if old != nil {
		for i := range *old {
			for j := range (*old)[i].entries {
				if e := (*old)[i].entries[j].Load(); e != nil {
					e.enter(buckets)
				}
			}
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
		if b.entries[i].Load() == e {
			b.entries[i].Store(nil)
		}
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
	mb.known.Store(true)
	if mb.gate.Load() == gateStopped { // ended meanwhile
		return
	}
	e := &mb.called // next to what its senders need
	switch {
	case e.mb == nil:
		*e = cached{pid: pid, mb: mb}
	case e.pid != pid:
		e = &cached{pid, mb, mb.called.next}
		mb.called.next = e
		c.trim(mb)
	}
	e.enter(*c.buckets.Load())
}

// trim forgets the oldest of a worker's copies if there are too many.
func (c *pidCache) trim(mb *mailbox) {
	last := &mb.called
	for range maxCopies - 1 {
		if last = last.next; last == nil {
			return
		}
	}
	if last.next != nil {
		last.next.leave(*c.buckets.Load())
		last.next = nil
	}
}

// forget drops a worker that has ended.
func (c *pidCache) forget(mb *mailbox) {
	if !mb.known.Load() { // of many that stop at a time most were never called
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := &mb.called; e != nil; e = e.next {
		e.leave(*c.buckets.Load())
	}
}
