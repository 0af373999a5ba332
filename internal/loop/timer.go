// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"sync/atomic"
	"time"
)

// Timer wakes a task at a time. It belongs to one loop.
type Timer struct {
	when  time.Duration // reading of Pool.Now
	seq   uint64        // order of timers that are due at the same time
	index int           // in the heap; -1: not there
	task  *Task
	await uint32
}

// never is when of a timer that waits to be removed.
const never time.Duration = 1<<63 - 1

// timers is a loop's timers in a heap, with one runtime timer for all:
// cheaper to add and to remove than a runtime timer for each. A loop has none
// until it needs one: an idle worker would keep the memory.
//
// It is no container/heap, whose calls through an interface cost more than what they do. Nor
// is it the heap of package actors' clock: a timer is removed at once, by its index, because the loop does that;
// any goroutine takes back a deadline, so that is only marked, and swept out later.
type timers struct {
	loop *Loop
	heap []*Timer
	seq  uint64

	rt     *time.Timer
	armed  time.Duration // when rt fires, if it is set
	set    bool
	posted atomic.Bool // fired is in the inbox
	fired  Task
}

// AddTimer wakes t from await after d. On the loop.
func (l *Loop) AddTimer(d time.Duration, t *Task, await uint32) *Timer {
	few := l.needFew()
	if few.timers == nil {
		few.timers = &timers{loop: l, fired: Task{kind: kindTimer}}
	}
	s := few.timers
	s.seq++
	tm := &Timer{when: l.pool.Now() + max(d, 0), seq: s.seq, task: t, await: await, index: len(s.heap)}
	if tm.when < 0 { // overflow
		tm.when = never
	}
	s.heap = append(s.heap, tm)
	s.siftUp(tm.index)
	s.armFirst()
	return tm
}

// RemoveTimer takes tm away if it has not fired. On the loop.
func (l *Loop) RemoveTimer(tm *Timer) {
	if tm.index < 0 {
		return
	}
	s := l.few.timers
	s.removeAt(tm.index)
	if len(s.heap) == 0 {
		s.stopTimer()
	}
}

// armFirst sets the runtime timer for the first timer, unless it fires before.
func (s *timers) armFirst() {
	if len(s.heap) == 0 || s.posted.Load() {
		return
	}
	first := s.heap[0].when
	if first == never {
		// A bubble in which nothing else can happen lets its clock jump to the
		// end, where this one would fire, find that it is not time yet, and be
		// set again, for ever: a test that hangs would not fail.
		return
	}
	if s.set && s.armed <= first {
		return
	}
	s.armed, s.set = first, true
	d := max(first-s.loop.pool.Now(), 1) // a timer that is due at once crashes Go 1.26.8 in a bubble under -race
	if s.rt == nil {
		s.rt = time.AfterFunc(d, s.postFired)
	} else {
		s.rt.Reset(d)
	}
}

// postFired runs on a goroutine of the runtime's.
func (s *timers) postFired() {
	if s.posted.CompareAndSwap(false, true) {
		yieldAt(atFire)
		s.loop.pushEntry(&s.fired)
	}
}

// wakeDue wakes the tasks whose time has come.
func (s *timers) wakeDue() {
	s.posted.Store(false)
	s.set = false
	now := s.loop.pool.Now()
	for len(s.heap) > 0 && s.heap[0].when <= now {
		tm := s.heap[0]
		s.removeAt(0)
		tm.task.Wake(tm.await)
	}
	s.armFirst()
}

func (s *timers) stopTimer() {
	if s.rt != nil {
		s.rt.Stop()
	}
	s.set = false
}

func (s *timers) lessDue(i, j int) bool {
	a, b := s.heap[i], s.heap[j]
	return a.when < b.when || a.when == b.when && a.seq < b.seq
}

func (s *timers) swapAt(i, j int) {
	h := s.heap
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (s *timers) siftUp(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !s.lessDue(i, parent) {
			return
		}
		s.swapAt(i, parent)
		i = parent
	}
}

func (s *timers) siftDown(i int) {
	for {
		child := 2*i + 1
		if child >= len(s.heap) {
			return
		}
		if child+1 < len(s.heap) && s.lessDue(child+1, child) {
			child++
		}
		if !s.lessDue(child, i) {
			return
		}
		s.swapAt(i, child)
		i = child
	}
}

func (s *timers) removeAt(i int) {
	last := len(s.heap) - 1
	tm := s.heap[i]
	if i != last {
		s.swapAt(i, last)
	}
	s.heap[last] = nil
	s.heap = s.heap[:last]
	if i != last {
		s.siftDown(i)
		s.siftUp(i)
	}
	tm.index = -1
}
