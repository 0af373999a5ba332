// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"cmp"
	"slices"
	"sync/atomic"
)

// deps is what a future waits for that is not the result of one task's work.
type deps struct {
	cores []*core // members; constant
	by    by      // which ends of members complete it
	kept  bool    // a cancel does not reach them
	late  bool    // an Any is part of it: see lateAwait
	// list returns tasks that all have to go on first; any goroutine. It is
	// set instead of cores.
	list func() []*Task

	each  memberFunc           // called with a member that is done
	out   atomic.Pointer[core] // the future
	await *lateAwait           // whose deps these are, if they are one's
	past  atomic.Int32         // ends that are past: see nextEnd
	first atomic.Int32         // the member that a search for a ring asks first

	probed atomic.Bool // a holder waits for it: see closesRing
}

// memberFunc is called with a member of a combination that is done, and its
// index. It returns the callbacks that are to be called if that completes the
// combination, and calls none itself: a chain of combinations is deeper than a
// stack.
type memberFunc func(c *core, i int) callbacks

// by says what completes a combination.
type by uint8

const (
	allValues by = iota // a value of each member, or the first failure
	allEnds             // the end of each member
	oneValue            // the first value, or the failure of each member
	oneEnd              // the first end
	nextEnd             // the first end after those that are past
)

// completedBy reports whether member m, which is done, is enough.
func (d *deps) completedBy(m *core) bool {
	switch d.by {
	case allValues:
		return m.failedWith() != nil
	case oneValue:
		return m.failedWith() == nil
	default:
		return d.by == oneEnd
	}
}

// combine lets each be called with each member of d that is done, on the
// goroutine that has completed it, until out is done. Then it takes its nodes
// back, or else a future that lives long would keep all that it was ever
// combined with. heed says that failures which come after that are no news.
func combine(out *core, d *deps, heed bool, each memberFunc) {
	out.more().deps, d.each = d, each
	d.out.Store(out)
	nodes := make([]node, len(d.cores)+1) // one allocation for all, and one callback
	for i := range d.cores {
		if d.follow(&nodes[i], i); out.done.Load() {
			break
		}
	}
	over := &nodes[len(d.cores)]
	over.prompt = true
	over.f = func() {
		for i, c := range d.cores {
			c.stopFollowing(&nodes[i], heed)
			if heed {
				out.lookAtMember(c)
			}
		}
	}
	out.addCallback(over)
}

// follow lets w tell of the end of member i.
func (d *deps) follow(w *node, i int) {
	c := d.cores[i]
	w.seq, w.of = uint32(i), d
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
	if w.linked {
		c.unlinkWaiter(w)
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

// failMember is failAs for a failure that is no news if c was done before.
func (c *core) failMember(m *core, err error) callbacks {
	calls, ok := c.failAs(m, err)
	if !ok {
		c.lookAtMember(m)
	}
	return calls
}

// membersOf returns fs as the members of a combination, and a copy of fs: its
// owner may go on to use the slice.
func membersOf[T any](what string, fs []*Future[T]) (*deps, []*Future[T]) {
	return &deps{cores: coresOf(what, fs)}, slices.Clone(fs)
}

// coresOf is fs without their type.
func coresOf[T any](what string, fs []*Future[T]) []*core {
	cores := make([]*core, len(fs))
	for i, f := range fs {
		if f == nil {
			panic("actors: " + what + " called with a nil future")
		}
		cores[i] = &f.core
	}
	return cores
}
