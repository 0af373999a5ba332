// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"cmp"
	"sync/atomic"

	"github.com/protoloop/protoloop/internal/combine"
)

// deps is what a future waits for that is not the result of one task's work.
type deps struct {
	cores []*core    // members; constant
	by    combine.By // which ends of members complete it
	kept  bool       // a cancel does not reach them
	late  bool       // an Any is part of it: see lateAwait
	// list returns tasks that all have to go on first; any goroutine. It is
	// set instead of cores.
	list func() []*Task

	follower follower             // whose deps these are
	out      atomic.Pointer[core] // the future
	past     atomic.Int32         // ends that are past: see combine.NextEnd
	left     atomic.Int32         // members that a combination still waits for
	first    atomic.Int32         // the member that a search for a ring asks first

	probed atomic.Bool // a holder waits for it: see closesRing
}

// follower is told of the ends of members.
type follower interface {
	// memberEnded is called with a member that is done, and its index, on the goroutine
	// that has completed it. It returns the callbacks that are to be called if that
	// completes the future whose member it is, and calls none itself: a chain of
	// combinations is deeper than a stack.
	memberEnded(m *core, i int) callbacks
}

// completedBy reports whether member m, which is done, is enough.
func (d *deps) completedBy(m *core) bool {
	switch d.by {
	case combine.AllValues:
		return m.failedWith() != nil
	case combine.OneValue:
		return m.failedWith() == nil
	default:
		return d.by == combine.OneEnd
	}
}

// name says what kind of future it is, for logs.
func (d *deps) name() string {
	if d.list != nil {
		return "group"
	}
	if f, ok := d.follower.(interface{ label() string }); ok {
		return f.label()
	}
	return "combination"
}

// follow lets w tell of the end of member i.
func (d *deps) follow(w *node, i int) {
	c := d.cores[i]
	w.Seq, w.to = uint32(i), d
	c.addCallback(w)
	cd := c.deps()
	d.late = d.late || cd != nil && cd.late
}

// stopFollowing is forget for good: with heed nobody waits for news of c any more.
func (c *core) stopFollowing(w *node, heed bool) {
	if c.done.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.Linked {
		c.unlinkWaiter(&w.Waiter)
	}
	c.known = c.known || heed
}

// lookAtMember counts the failure of member m as looked at, unless it is shown by c,
// which shares its note.
func (c *core) lookAtMember(m *core) {
	if !m.done.Load() {
		return
	}
	if n := m.seldom().note; n != nil && n != c.seldom().note {
		n.seen.Store(true)
	}
}

// failAs completes the future with err, which member m has led to; whoever
// looks at it has looked at m's failure. It keeps the future that has the note,
// so that this is not collected, and then found to be unseen, before c is.
func (c *core) failAs(m *core, err error) (calls callbacks, ok bool) {
	c.mu.Lock()
	if c.done.Load() {
		c.mu.Unlock()
		return callbacks{}, false
	}
	// The comparison is of one of our errors: see toldToCreator.
	if x := m.seldom(); x.note != nil && (x.note != toldToCreator || err == x.err) {
		c.more().note, c.more().noted = x.note, cmp.Or(x.noted, m)
	}
	return c.publishResult(err), true
}

// failOfAll completes the future with err, which has the failures of all members. news
// says that somebody has to look at it.
func (c *core) failOfAll(err error, news bool) (calls callbacks) {
	c.mu.Lock()
	if c.done.Load() {
		c.mu.Unlock()
		return callbacks{}
	}
	c.known = c.known || !news
	return c.publishResult(err)
}

// failMember is failAs for a failure that is no news if c was done before.
func (c *core) failMember(m *core, err error) callbacks {
	calls, ok := c.failAs(m, err)
	if !ok {
		c.lookAtMember(m)
	}
	return calls
}
