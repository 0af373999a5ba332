// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/combine"
	"github.com/protoloop/protoloop/internal/ring"
)

// What package ring knows as nodes: a task that has not ended (waiter), a future
// that waits for others (deps), and the places of a worker with MaxInFlight or of
// a limited group (places), of which any that becomes free will do. A holder is an
// Exclusive task, setup, a task that has one of the places while none is free, and
// a task that waits for a Mutex: it may get it, and others are behind it.

// closesRing looks whether an await of c by t, which others can see by now,
// would never end because what it waits for waits, in the end, for t. Unless t
// is a holder, or a holder waits for it, nobody needs to know.
func (t *Task) closesRing(c *core) error {
	if !t.has(isProbed) && t.lifetime != child && t.mb.opts.MaxInFlight <= 0 {
		return nil // as for most: without a call
	}
	if t.has(isProbed) || t.hasLastPlace() || t.isInProbedGroup() {
		return t.lookForRing(c)
	}
	return nil
}

// hasLastPlace reports whether the task has one of some places, of which none is free.
func (t *Task) hasLastPlace() bool {
	p := t.placesOf()
	return p != nil && p.full()
}

// placesOf are those that the task has one of, or waits for; nil: it needs none.
func (t *Task) placesOf() *places {
	switch t.lifetime {
	case offered:
		if t.mb.opts.MaxInFlight > 0 {
			return &t.mb.sparse().inFlight
		}
	case child:
		if o := t.kin.origin.Load(); o == nil || o.lifetime != grouping {
		} else if _, ok := t.lt.Body.(groupMember); ok { // and not started by one
			return o.lt.Body.(*groupNode).group.places.Load()
		}
	}
	return nil
}

// isInProbedGroup reports whether a holder waits for a group that t is in. The
// holder may have looked before t was. It finds t from here on.
func (t *Task) isInProbedGroup() bool {
	if t.lifetime != child {
		return false
	}
	o := t.kin.origin.Load()
	if o == nil || o.lifetime != grouping {
		return false
	}
	t.joinTreeInTurn()
	for ; o != nil && o.lifetime == grouping; o = o.kin.origin.Load() {
		if o.lt.Body.(*groupNode).group.waits.probed.Load() {
			return true
		}
	}
	return false
}

func (t *Task) lookForRing(c *core) error {
	n := c.ringNode()
	if n == nil || !ring.Stuck((*waiter)(t), n) {
		return nil
	}
	return t.breakRing(c, n, func(error) { t.awaits.Store(nil) })
}

// breakRing ends the await of c by t if that is in a ring, by end.
func (t *Task) breakRing(c *core, n ring.Node, end func(error)) (err error) {
	self := (*waiter)(t)
	t.mb.sys.rings.Break(self, n, func() bool { return t.awaits.Load() == c && !c.done.Load() }, func(path []ring.Node) {
		err = &DeadlockError{Path: pidsOf(self, path)}
		end(err)
	})
	return err
}

// pidsOf names workers that wait for each other, each once in a row.
func pidsOf(self *waiter, path []ring.Node) []*actor.PID {
	mbs := []*mailbox{self.mb}
	for _, n := range path {
		if w, ok := n.(*waiter); ok {
			mbs = append(mbs, w.mb)
		}
	}
	mbs = slices.Compact(mbs)
	if len(mbs) > 1 && mbs[len(mbs)-1] == mbs[0] {
		mbs = mbs[:len(mbs)-1]
	}
	pids := make([]*actor.PID, len(mbs))
	for i, mb := range mbs {
		// without the process that the mailbox's own leads to: errors are kept
		pids[i] = actor.NewPID(mb.pid.Address, mb.pid.Id)
	}
	return pids
}

// memberFailed looks whether the failure of a member of c, an Any, has closed
// a ring: then the await of a task in it that waits for c ends. A ring that an
// await closes is found by that; but an await in which another member would
// still do finds none, and leaves its probe.
func (c *core) memberFailed() {
	d := c.deps()
	if d == nil || !d.probed.Load() || !ring.Stuck(nil, d) {
		return
	}
	for _, a := range c.lateAwaits() {
		a.endsInRing()
	}
}

// ringNode is what c waits for. nil: nobody knows, or anybody may complete it,
// or it is worked on elsewhere. Work that has ended without an answer has left
// that to somebody whom nobody knows.
func (c *core) ringNode() ring.Node {
	if d := c.deps(); d != nil {
		return d
	}
	o := c.owner.Load()
	if o == nil || o.has(isPassedOn) || !o.canWait() {
		return nil
	}
	return (*waiter)(o)
}

// canWait reports whether the task runs on a worker, or will.
func (t *Task) canWait() bool { return t.attached != nil && t.lifetime < carrier && !t.lt.Ended() }

// waiter is a task as a node. It waits for whoever holds it back and for what it
// awaits.
type waiter Task

const (
	waitsForHolder = iota // who holds its worker's other tasks back
	waitsForPlace         // any of those that have one, if it needs one
	waitsForFuture        // what it awaits
	waiterMembers
)

// Probe is package ring's, as what follows is.
func (w *waiter) Probe() {
	if t := (*Task)(w); !t.has(isProbed) {
		t.once.Or(isProbed)
	}
}

// Wait is that of a task.
func (w *waiter) Wait() ring.Wait {
	if w.lt.Ended() {
		return ring.Wait{}
	}
	return ring.Wait{ID: w.awaits.Load(), N: waiterMembers}
}

// Member is one reason to wait. The awaits of a task that has been ended are
// over, or in a Cleanup, which has its end, too.
func (w *waiter) Member(i int) (ring.Node, ring.Answer) {
	t, mb := (*Task)(w), w.mb
	switch i {
	case waitsForHolder:
		if h := mb.holder.Load(); h != nil && h != t.messageTask() && h.canWait() {
			return (*waiter)(h), ring.Follow
		}
	case waitsForPlace:
		if p := t.placesOf(); p != nil && t.lt.Fresh() && !p.has(t) { // else it is about to begin
			return p, ring.Follow
		}
	case waitsForFuture:
		if c := t.awaits.Load(); c != nil && !c.done.Load() && !t.awaitsEnd() {
			if n := c.ringNode(); n != nil {
				return n, ring.Follow
			}
		}
	}
	return nil, ring.Skip
}

// Prefer does nothing: a task waits for all of this.
func (w *waiter) Prefer(int) {}

// awaitsEnd reports whether the awaits of t, which has begun, end: it has been
// ended, or what it is work of.
func (t *Task) awaitsEnd() bool {
	if t.endCause() != nil {
		return true
	}
	for p := t.parent(); p != nil; p = p.parent() {
		if p.isCanceled() && !p.has(isStashed) {
			return true
		}
	}
	return false
}

// places are those of a worker with MaxInFlight, or of a limited group, with the tasks
// that have one. As a node they are who comes next: it waits for the end of any of these.
type places struct {
	most  int // constant once there are tasks
	mu    sync.Mutex
	tasks []*Task
	index map[*Task]int // of them
	count atomic.Int64  // of them
}

func (p *places) n() int { return int(p.count.Load()) }

// full reports whether the next one has to wait.
func (p *places) full() bool { return p.n() >= p.most }

func (p *places) add(t *Task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.index == nil {
		p.index = map[*Task]int{}
	}
	p.index[t] = len(p.tasks)
	p.tasks = append(p.tasks, t)
	p.count.Store(int64(len(p.tasks)))
}

// remove lets the last one have its place in the list. A search that goes on beside it
// may miss that; but then it finds that t has gone.
func (p *places) remove(t *Task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.index[t]
	if !ok {
		return
	}
	delete(p.index, t)
	end := len(p.tasks) - 1
	last := p.tasks[end]
	p.tasks[end] = nil
	if p.tasks = p.tasks[:end]; i < end {
		p.tasks[i], p.index[last] = last, i
	}
	p.count.Store(int64(end))
}

func (p *places) has(t *Task) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.index[t]
	return ok
}

// at returns one of them; nil: there are fewer than there are places.
func (p *places) at(i int) *Task {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.tasks) < p.most || i >= len(p.tasks) {
		return nil
	}
	return p.tasks[i]
}

// Probe does nothing: what becomes a part of it is a holder.
func (p *places) Probe() {}

// Wait is that of who comes next.
func (p *places) Wait() ring.Wait {
	if n := p.n(); n >= p.most {
		return ring.Wait{Any: true, N: n}
	}
	return ring.Wait{}
}

// Member is one that has a place.
func (p *places) Member(i int) (ring.Node, ring.Answer) {
	t := p.at(i)
	if t == nil || !t.canWait() {
		return nil, ring.Free
	}
	return (*waiter)(t), ring.Follow
}

// Prefer does nothing: they come and go.
func (p *places) Prefer(int) {}

// Probe is package ring's. The failure of a member looks for it, and so does who
// becomes part of a group.
func (d *deps) Probe() {
	if !d.probed.Load() {
		d.probed.Store(true)
	}
}

// Wait is that of the future.
func (d *deps) Wait() ring.Wait {
	if d.list != nil {
		var all []ring.Node
		for _, t := range d.list() {
			if t.canWait() {
				all = append(all, (*waiter)(t))
			}
		}
		return ring.Wait{List: all}
	}
	w := ring.Wait{N: len(d.cores), Any: d.by >= combine.OneValue}
	if w.Any {
		w.From = int(d.first.Load())
	}
	if d.by == combine.NextEnd {
		w.Skips = int(d.past.Load()) + 1
	}
	return w
}

// Member is one of the futures.
func (d *deps) Member(i int) (ring.Node, ring.Answer) {
	m := d.cores[i]
	if m.done.Load() {
		if d.completedBy(m) { // its callback is on the way
			return nil, ring.Free
		}
		return nil, ring.Skip
	}
	n := m.ringNode()
	switch {
	case n != nil:
		return n, ring.Follow
	case d.by >= combine.OneValue:
		return nil, ring.Free
	}
	return nil, ring.Skip
}

// Prefer makes the next search begin with member i: while that is free the
// others do not matter.
func (d *deps) Prefer(i int) {
	if d.by >= combine.OneValue && d.first.Load() != int32(i) {
		d.first.Store(int32(i))
	}
}
