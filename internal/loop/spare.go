// SPDX-License-Identifier: Apache-2.0

package loop

import "time"

// spare tracks how many idle coroutines have not been needed for a while, of the
// pool's and of those that idle runners have. Without that there are as many as
// were once in use at a time, and a process that runs for weeks grows with the
// highest of all peaks.
//
// It has a timer while there are more than are kept, so that they also go where
// nothing happens any more; an idle system has none. It looks sooner while there are many:
// what a peak of 100,000 tasks leaves behind is 300 MB, whose stacks each collection walks.
type spare struct {
	least int // of the pool's, at the lowest since the last look
	timer *time.Timer
	armed bool
	soon  bool // it is armed for a look at those that are many
}

const (
	// spareAfter is how long one is not needed before it is let go.
	spareAfter = 10 * time.Second
	// manyPooled are many, and what is beyond them is let go that soon.
	manyPooled     = 1024
	spareManyAfter = time.Second
	// minPooled are kept all the same, for the pool; and minFree for a runner.
	minPooled = 32
	minFree   = 2
)

func (s *spare) noteIdle(idle int) { s.least = min(s.least, idle) }

// armTimer arms the timer. With p.mu held.
func (s *spare) armTimer(p *Pool) {
	many := p.nFree.Load() > manyPooled
	if s.armed && (s.soon || !many) {
		return
	}
	s.armed, s.soon = true, many
	s.least = int(p.nFree.Load())
	after := spareManyAfter
	if !many {
		after = spareAfter
		for r := p.idle; r != nil; r = r.nextIdle {
			r.rested = true
		}
	}
	if s.timer == nil {
		s.timer = time.AfterFunc(after, p.endSpare)
	} else {
		s.timer.Reset(after)
	}
}

// disarmTimer ends the timer when there are no loops any more.
func (s *spare) disarmTimer() {
	if s.armed {
		s.armed = false
		s.timer.Stop()
	}
}

// endSpare ends the coroutines that nothing has needed since the last look.
func (p *Pool) endSpare() {
	s := &p.spare
	p.mu.Lock()
	if !s.armed { // the last loop has ended
		p.mu.Unlock()
		return
	}
	s.armed = false
	keep := minPooled
	if s.soon {
		keep = manyPooled
	}
	unneeded := []*coroutine{cutCoroutines(&p.free, min(s.least, int(p.nFree.Load()))-keep)}
	for c := unneeded[0]; c != nil; c = c.next {
		p.nFree.Add(-1)
	}
	more := p.nFree.Load() > minPooled
	for r := p.idle; r != nil; r = r.nextIdle {
		if !s.soon && r.rested && r.nFree > minFree {
			unneeded = append(unneeded, cutCoroutines(&r.free, r.nFree-minFree))
			r.nFree = minFree
		}
		more = more || r.nFree > minFree
	}
	if more {
		s.armTimer(p)
	}
	p.mu.Unlock()
	for _, c := range unneeded {
		stopCoroutines(c)
	}
}

// cutCoroutines takes the first n of a list of coroutines.
func cutCoroutines(list **coroutine, n int) (first *coroutine) {
	if n <= 0 {
		return nil
	}
	first = *list
	last := first
	for range n - 1 {
		last = last.next
	}
	*list, last.next = last.next, nil
	return first
}
