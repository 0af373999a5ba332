package loop

import "time"

// spare tracks how many of the pool's idle coroutines have not been needed for a
// while. Without that the pool keeps as many as were once in use at a time, and
// a process that runs for weeks grows with the highest of all peaks.
//
// The watchdog's look does it, so only while something runs: a timer of its own
// would be one more thing that an idle system has.
type spare struct {
	least int // idle ones, at the lowest since the last look
	since time.Duration
}

const (
	// spareAfter is how long one is not needed before it is let go.
	spareAfter = 10 * time.Second
	// minPooled are kept all the same.
	minPooled = 32
)

func (s *spare) note(idle int) { s.least = min(s.least, idle) }

// unneeded takes the idle coroutines that nothing has needed, if it is time to
// look, linked by next. With p.mu held; the caller ends them without.
func (p *Pool) unneeded(now time.Duration) (first *coroutine) {
	s := &p.spare
	if now-s.since < spareAfter {
		return nil
	}
	idle := int(p.nFree.Load())
	if n := min(s.least, idle) - minPooled; n > 0 {
		first = p.free
		last := first
		for range n - 1 {
			last = last.next
		}
		p.free, last.next = last.next, nil
		idle = int(p.nFree.Add(int32(-n)))
	}
	s.least, s.since = idle, now
	return first
}
