package actors

import (
	"slices"
	"sync"
)

// holdLoop makes the task the only one of its worker until it ends.
func (t *Task) holdLoop() {
	t.lt.HoldLoop(func() {
		if t.exclusive {
			return
		}
		t.exclusive = true
		t.mb.holder.Store(t)
		t.mb.sys.exclusive.Add(1)
	})
}

// released is called when a task has ended.
func (t *Task) released() {
	if t.exclusive {
		t.exclusive = false
		t.mb.holder.Store(nil)
		t.mb.sys.exclusive.Add(-1)
	}
	if t.mb.opts.MaxInFlight > 0 {
		t.mb.sparse().inFlight.remove(t)
	}
	if t.lifetime == child {
		t.endsInGroups()
	}
}

// inFlight is the set of a worker's tasks that count against MaxInFlight. It
// is kept only where that is set.
type inFlight struct {
	mu  sync.Mutex
	all map[*Task]struct{}
}

func (s *inFlight) add(t *Task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[*Task]struct{}{}
	}
	s.all[t] = struct{}{}
}

func (s *inFlight) remove(t *Task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, t)
}

// full returns them if there are as many as may be.
func (s *inFlight) full(most int) []*Task {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) < most {
		return nil
	}
	tasks := make([]*Task, 0, len(s.all))
	for t := range s.all {
		tasks = append(tasks, t)
	}
	return tasks
}

// closesRing looks whether an await of c by t would never end, because
// what it waits for waits, in the end, for t. Without an Exclusive task or a
// MaxInFlight anywhere in the system nothing can, and the look costs one
// atomic load.
//
// An await makes its edge known before it looks, and a member of an Any that
// has failed is known to be done before anybody looks; looks are made one
// after the other. So whatever closes a ring sees all of it.
func (t *Task) closesRing(c *core) error {
	if t.mb.sys.exclusive.Load() == 0 {
		return nil
	}
	return t.lookForRing(c)
}

func (t *Task) lookForRing(c *core) error {
	t.mb.sys.rings.Lock()
	defer t.mb.sys.rings.Unlock()
	top := t.top()
	err := top.findRing(c)
	if err != nil {
		top.awaits.Store(nil) // before anybody else looks: the ring is none any more
	}
	return err
}

// memberFailed looks whether the failure of a member of c, an Any, has closed
// a ring: then the await of a task in it that waits for c ends. A ring that an
// await closes is found by that; but an await in which another member would
// still do finds none.
func (c *core) memberFailed() {
	if !anyExclusive() {
		return
	}
	if r := newRing(nil); !r.needsSelfToComplete(c) {
		return // there is one that will do
	}
	for _, a := range c.lateAwaits() {
		a.endsInRing()
	}
}

// anyExclusive reports whether there can be a ring anywhere.
func anyExclusive() bool {
	return withWorkers.any(func(s *system) bool { return s.exclusive.Load() != 0 })
}

// lateAwait is an await of a combination that an Any is part of. It stands
// between the two: the Any finds it by way of the futures that wait for it,
// and can end it when the task is about to suspend, too.
type lateAwait struct {
	core
	task   *Task
	waits  deps
	member [1]*core
	node   node
}

// awaitLate has to come before a look for a ring: either the failure of a
// member finds the await, or that look finds the failure.
func (t *Task) awaitLate(c *core) *lateAwait {
	a := &lateAwait{task: t, member: [1]*core{c}}
	a.known = true // its failure is the task's to tell
	a.more().deps = &a.waits
	a.waits.cores, a.waits.by, a.waits.await = a.member[:], oneEnd, a
	a.waits.each = func(*core, int) callbacks { return a.end(nil) }
	a.waits.follow(&a.node, 0)
	return a
}

// over is the end of the await, which is err, or what has ended it.
func (a *lateAwait) over(err error) error {
	a.member[0].leave(&a.node, false)
	if err == nil {
		err = a.failed()
	}
	return err
}

// end wakes the task. Nobody else knows of the await, so there are no
// callbacks.
func (a *lateAwait) end(err error) callbacks {
	a.mu.Lock()
	if a.done.Load() {
		a.mu.Unlock()
		return callbacks{}
	}
	return a.settle(err)
}

// endsInRing ends the await if its task is in a ring.
func (a *lateAwait) endsInRing() {
	rings := &a.task.mb.sys.rings
	rings.Lock()
	defer rings.Unlock()
	if err := a.task.findRing(&a.core); err != nil {
		a.end(err)
	}
}

// lateAwaits are the awaits that c is waited for by, directly or through
// combinations.
func (c *core) lateAwaits() (all []*lateAwait) {
	seen := map[*core]bool{}
	var left []*deps // the next one is the last
	for c != nil {
		if !seen[c] {
			seen[c] = true
			at := len(left)
			c.mu.Lock()
			for w := c.waits; w != nil; w = w.next {
				if w.of != nil {
					left = append(left, w.of)
				}
			}
			c.mu.Unlock()
			slices.Reverse(left[at:])
		}
		for c = nil; c == nil && len(left) > 0; left = left[:len(left)-1] {
			d := left[len(left)-1]
			if d.await != nil {
				all = append(all, d.await)
			} else {
				c = d.out.Load()
			}
		}
	}
	return all
}
