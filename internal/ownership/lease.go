// SPDX-License-Identifier: Apache-2.0

package ownership

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Lease says until when a session owns anything, by the owner's clock, and nobody else's word: the
// store may have given its shards to others one moment later. It ends at its time without any call,
// by a timer that nothing can hold up.
type Lease struct {
	clock Clock
	// until is read without mu, before each thing that only an owner may do.
	until atomic.Int64

	mu    sync.Mutex
	over  bool
	timer Timer
	onEnd func()
}

// NewLease has a lease until then. onEnd is called once, when it has ended, by whoever finds that
// out first, and blocks that one.
func NewLease(clock Clock, until time.Duration, onEnd func()) *Lease {
	l := &Lease{clock: clock, onEnd: onEnd}
	l.until.Store(int64(until))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = clock.AfterFunc(until-clock.Now(), l.Look)
	return l
}

// Holds reports whether it has not ended. Any goroutine.
func (l *Lease) Holds() bool { return int64(l.clock.Now()) < l.until.Load() }

// Extend lets it last until then, unless it is over or lasts longer.
func (l *Lease) Extend(until time.Duration) {
	l.Look() // an answer that comes too late extends nothing
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over && int64(until) > l.until.Load() {
		l.until.Store(int64(until)) // the timer finds that out
	}
}

// While calls f if the lease holds, and lets nobody end it meanwhile.
func (l *Lease) While(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || !l.Holds() {
		return false
	}
	f()
	return true
}

// Look ends it if its time has come. It is the timer's, and whoever may be later than that calls it:
// a timer stands still while the machine sleeps.
func (l *Lease) Look() {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return
	}
	if left := time.Duration(l.until.Load()) - l.clock.Now(); left > 0 {
		l.timer.Stop()
		l.timer = l.clock.AfterFunc(left, l.Look)
		l.mu.Unlock()
		return
	}
	l.endHeld()
}

// End ends it at once.
func (l *Lease) End() {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return
	}
	l.endHeld()
}

// endHeld lets go of mu.
func (l *Lease) endHeld() {
	l.over = true
	l.until.Store(math.MinInt64)
	l.timer.Stop()
	l.mu.Unlock()
	l.onEnd()
}
