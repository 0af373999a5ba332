// SPDX-License-Identifier: Apache-2.0

package loop

import "sync/atomic"

// arrivals is the queue of loops that were idle, in order of arrival: one part for each
// processor, to which anybody adds, and from which anybody takes, without a lock. With a lock
// workers that ask each other one at a time took it four times for each question, and waited
// for it at every fifth where there were more processors than two (bench: cores/turn-16).
//
// The parts are as large as is needed where workers have messages for each other. What finds
// its part full, as in a burst to thousands, goes into a line with a lock, from which a runner
// takes many at a time.
type arrivals struct {
	// parts grows with GOMAXPROCS and never shrinks: somebody may be about to add to a
	// part that would not be looked at any more. Its length is a power of two.
	parts atomic.Pointer[[]*arrivalPart]
}

// maxParts is how many parts there are at most.
const maxParts = 64

// grow makes sure that there is a part for each of so many processors. With Pool.mu held.
func (a *arrivals) grow(processors int) {
	var now []*arrivalPart
	if parts := a.parts.Load(); parts != nil {
		now = *parts
	}
	want := 1
	for want < min(processors, maxParts) {
		want *= 2
	}
	if want <= len(now) {
		return
	}
	grown := make([]*arrivalPart, want)
	for i := copy(grown, now); i < want; i++ {
		grown[i] = newArrivalPart()
	}
	a.parts.Store(&grown)
}

// add puts l into its part. It reports false if that is full.
func (a *arrivals) add(l *Loop) bool {
	parts := *a.parts.Load()
	return parts[int(l.home)&(len(parts)-1)].add(l)
}

// take returns a loop, or nil. It looks at the part of number first before the others: a
// runner begins with another one each time, so that none is left for last.
func (a *arrivals) take(first uint32) *Loop {
	parts := *a.parts.Load()
	for i := range parts {
		if p := parts[(int(first)+i)&(len(parts)-1)]; !p.empty() {
			if l := p.take(); l != nil {
				return l
			}
		}
	}
	return nil
}

// empty reports whether there are none.
func (a *arrivals) empty() bool {
	for _, p := range *a.parts.Load() {
		if !p.empty() {
			return false
		}
	}
	return true
}

// len is how many there are. Some of them may be about to be added, or taken.
func (a *arrivals) len() (n int) {
	for _, p := range *a.parts.Load() {
		n += p.len()
	}
	return n
}

// arrivalPart is a queue for many who add and many who take. Each slot says by its turn whether
// it is free for the loop of a number, or has that. (Dmitry Vyukov's bounded MPMC queue.)
//
// Whoever is held up while it adds hides what is added behind it, as long as that takes; so
// would whoever is held up with a lock. Nobody waits for it: it looks after a runner itself when
// it has added.
type arrivalPart struct {
	_     [cacheLine]byte
	in    atomic.Uint32 // how many were added; it wraps
	_     [cacheLine - 4]byte
	out   atomic.Uint32 // how many were taken
	_     [cacheLine - 4]byte
	slots [arrivalSlots]arrivalSlot
}

type arrivalSlot struct {
	turn atomic.Uint32 // n: free for the n-th; n+1: has the n-th
	loop *Loop
}

const (
	// arrivalSlots is a power of two.
	arrivalSlots = 64
	cacheLine    = 64
)

func newArrivalPart() *arrivalPart {
	p := new(arrivalPart)
	for i := range p.slots {
		p.slots[i].turn.Store(uint32(i))
	}
	return p
}

func (p *arrivalPart) add(l *Loop) bool {
	for {
		n := p.in.Load()
		s := &p.slots[n%arrivalSlots]
		switch turn := s.turn.Load(); {
		case turn == n:
			yieldAt(atArrive)
			if p.in.CompareAndSwap(n, n+1) {
				s.loop = l
				yieldAt(atArrived)
				s.turn.Store(n + 1)
				return true
			}
		case int32(turn-n) < 0: // it has, or had a moment ago, the loop of one round before
			return false
		}
	}
}

func (p *arrivalPart) take() *Loop {
	for {
		n := p.out.Load()
		s := &p.slots[n%arrivalSlots]
		switch turn := s.turn.Load(); {
		case turn == n+1:
			yieldAt(atTakeArrival)
			if p.out.CompareAndSwap(n, n+1) {
				l := s.loop
				s.loop = nil
				s.turn.Store(n + arrivalSlots)
				return l
			}
		case int32(turn-n) <= 0: // nothing there, or not yet
			return nil
		}
	}
}

func (p *arrivalPart) empty() bool { return p.in.Load() == p.out.Load() }

// len reads out first: otherwise it could be ahead of in.
func (p *arrivalPart) len() int {
	out := p.out.Load()
	return int(p.in.Load() - out)
}
