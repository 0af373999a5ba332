// SPDX-License-Identifier: Apache-2.0

package loop

import "time"

// A stretch is what a walk does at a time: so many tasks, or for so long. What is
// between two looks at the clock is a few of them. It keeps a pin short, 100 µs at
// most (TestPinsEndInTime, BenchmarkStretch), whatever the loop has: all that goes over what may be long does it by
// stretches, and allocates for a whole one before.
const (
	StretchTasks = 1000
	stretchTime  = 50 * time.Microsecond
	stretchLook  = 16
)

// Walk goes over the tasks of a loop that have been posted and have not started, and
// then over those of the turn that runs, a stretch at a time, so that the loop goes on
// in between. It meets all that were in the queue when it began and still are, or
// run when it ends, and maybe some that have come since. It is used by whoever owns the loop.
type Walk struct {
	loop  *Loop
	begun bool
	// Up to which of the lane's tasks it goes, and whether these are all.
	end  uint32
	last bool

	lane   *Task  // the one of the lane that it has met last
	at     uint32 // its number
	inbox  *Task  // the next one of the inbox
	inside bool   // it has come to the inbox
	takes  uint32 // Loop.takes when it began
	queued bool   // it has met all that are queued
	outer  *Task  // the next one of the turn
}

// Walk returns one.
func (l *Loop) Walk() Walk { return Walk{loop: l} }

// Next calls f for the tasks of the next stretch, running being that whose turn it is,
// and reports whether it was the last one. Where f reports false the stretch ends, and
// the next one begins with the same task. In Peek or on the loop.
func (w *Walk) Next(running *Task, f func(*Task) bool) (done bool) {
	l := w.loop
	if !w.begun {
		w.begun = true
		w.end, w.takes = l.lane.in, l.takes
	}
	s := stretch{}
	if !w.queued && !w.walkQueue(&s, f) {
		return false
	}
	w.queued = true
	return w.walkTurn(&s, running, f)
}

func (w *Walk) walkQueue(s *stretch, f func(*Task) bool) (done bool) {
	l := w.loop
	for {
		if !w.walkLane(s, f) {
			return false
		}
		if w.last {
			return true
		}
		if l.takes == w.takes {
			return w.walkInbox(s, f)
		}
		// What was in the inbox has come into the lane.
		w.end, w.last = l.lane.in, true
	}
}

func (w *Walk) walkLane(s *stretch, f func(*Task) bool) (done bool) {
	q := &w.loop.lane
	t, at := q.head, q.out
	if w.lane != nil && int32(w.at-q.out) >= 0 { // it is still there
		t, at = w.lane.next, w.at+1
	}
	for ; t != nil && int32(at-w.end) < 0; t, at = t.next, at+1 {
		if !f(t) {
			return false
		}
		w.lane, w.at = t, at
		if s.isLastTask(w.loop) {
			return false
		}
	}
	return true
}

func (w *Walk) walkInbox(s *stretch, f func(*Task) bool) (done bool) {
	t := w.inbox
	if !w.inside {
		t, w.inside = w.loop.inbox.head.Load(), true
	}
	for ; t != nil && t != idleMark; t = t.next {
		if t.kind == kindTask && !t.started && !f(t) {
			w.inbox = t
			return false
		}
		if s.isLastTask(w.loop) {
			w.inbox = t.next
			return false
		}
	}
	w.inbox = nil
	return true
}

// walkTurn goes from the running task to those that wait for it in Start. What of
// them was there when it began is there, or has got further, as long as the one that it
// has come to nests; otherwise it begins again.
func (w *Walk) walkTurn(s *stretch, running *Task, f func(*Task) bool) (done bool) {
	t := w.outer
	if t == nil || !t.Running() || !t.Nesting() {
		t = running
	}
	for ; t != nil; t = t.co.outer {
		if !f(t) {
			w.outer = t
			return false
		}
		if s.isLastTask(w.loop) {
			w.outer = t.co.outer
			return w.outer == nil
		}
	}
	return true
}

// stretch tells when one is over.
type stretch struct {
	n     int
	begin time.Duration
}

// isLastTask counts a task, and reports whether it is the last one of the stretch.
func (s *stretch) isLastTask(l *Loop) bool {
	l.pinned++
	s.n++
	if s.n == 1 {
		s.begin = l.pool.Now()
	}
	return s.n >= StretchTasks || s.n%stretchLook == 0 && l.pool.Now()-s.begin >= stretchTime
}

// Suspended goes over the live tasks of a loop that have awaited, a stretch at a
// time, so that the loop goes on in between. It meets all that had when it began
// and still live. It is used by whoever owns the loop.
type Suspended struct {
	loop  *Loop
	begun bool
	// place is in the list before the next one to meet: a coroutine without a
	// task, because any other may leave the list.
	place coroutine
}

// Suspended returns one.
func (l *Loop) Suspended() *Suspended { return &Suspended{loop: l} }

// Begin has it go over another loop. It has come to the end of the one before, or was left.
func (w *Suspended) Begin(l *Loop) { w.loop, w.begun = l, false }

// Next calls f for the tasks of the next stretch, and reports whether it was the
// last one. In Peek or on the loop.
func (w *Suspended) Next(f func(*Task)) (done bool) {
	l := w.loop
	c := l.awaited
	if w.begun {
		c = w.place.next
	}
	w.Leave()
	w.begun = true
	for s := (stretch{}); c != nil; c = c.next {
		if c.task == nil {
			continue
		}
		f(c.task)
		if s.isLastTask(l) {
			w.place.listed = true
			w.place.prevC, w.place.next = c, c.next
			if c.next != nil {
				c.next.prevC = &w.place
			}
			c.next = &w.place
			return false
		}
	}
	return true
}

// Leave is for one that is not gone on with. In Peek or on the loop.
func (w *Suspended) Leave() { w.loop.unlistAwaited(&w.place) }
