package actors

import "slices"

// deps is what a future waits for that is not the result of one task's work.
type deps struct {
	cores []*core // members; constant
	any   bool    // one of them is enough; else all have to complete
	kept  bool    // a cancel does not reach them
	// tasks returns those that all have to go on first; any goroutine. It is
	// set instead of cores.
	tasks func() []*Task
}

// needSelf reports whether all this comes only after r's task has gone on.
func (d *deps) needSelf(r *ring) bool {
	start := r.mark()
	if d.tasks != nil {
		for _, w := range d.tasks() {
			r.edges = append(r.edges, edge{task: w, deps: d})
			if r.needsSelf(w) {
				return true
			}
			r.undo(start)
		}
		return false
	}
	found := false
	for _, m := range d.cores {
		if m.done.Load() {
			continue
		}
		before := r.mark()
		r.edges = append(r.edges, edge{core: m})
		switch need := r.needsSelfToComplete(m); {
		case need && !d.any:
			return true
		case need:
			found = true
		case d.any:
			r.undo(start)
			return false
		default:
			r.undo(before)
		}
	}
	return found
}

// combine lets each be called with each member of d that is done, on the
// goroutine that has completed it, until out is done. Then it takes its nodes
// back, or else a future that lives long would keep all that it was ever
// combined with. heed says that failures which come after that are no news.
func combine(out *core, d *deps, heed bool, each memberFunc) {
	out.deps = d
	nodes := make([]node, len(d.cores)+1) // one allocation for all, and one callback
	for i, c := range d.cores {
		nodes[i].seq, nodes[i].each = uint32(i), each
		if c.call(&nodes[i]); out.done.Load() {
			break
		}
	}
	over := &nodes[len(d.cores)]
	over.f = func() {
		for i, c := range d.cores {
			c.leave(&nodes[i], heed)
			if heed {
				out.heed(c)
			}
		}
	}
	out.call(over)
}

// leave is forget for good: with heed nobody waits for news of c any more.
func (c *core) leave(w *node, heed bool) {
	if c.done.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.linked.Load() {
		c.unlink(w)
	}
	c.known = c.known || heed
}

// heed counts the failure of member m as looked at, unless it is shown by c,
// which shares its note.
func (c *core) heed(m *core) {
	if m.done.Load() && m.note != nil && m.note != c.note {
		m.note.seen.Store(true)
	}
}

// failAs completes the future with err, which member m has led to; whoever
// looks at it has looked at m's failure. The members live as long as c, so m
// is not collected, and then found to be unseen, before c is.
func (c *core) failAs(m *core, err error) bool {
	c.mu.Lock()
	if c.done.Load() {
		c.mu.Unlock()
		return false
	}
	c.note = m.note
	c.settle(err)
	return true
}

// membersOf returns fs as the members of a combination, and a copy of fs: its
// owner may go on to use the slice.
func membersOf[T any](what string, fs []*Future[T]) (*deps, []*Future[T]) {
	cores := make([]*core, len(fs))
	for i, f := range fs {
		if f == nil {
			panic("actors: " + what + " called with a nil future")
		}
		cores[i] = &f.core
	}
	return &deps{cores: cores}, slices.Clone(fs)
}
