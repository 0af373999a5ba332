package actors

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"
)

// ring is one walk along who waits for whom. What it finds to need self either
// waits for it or, in the end, for itself: it never ends by itself. There is a
// ring through self if the walk has come back to it.
//
// The other workers go on meanwhile: what is found counts only if it still
// holds when looked at again, and then it held at one moment, which is for
// ever.
type ring struct {
	self  *Task
	seen  map[*Task]bool // on the way, and found to need self
	free  map[*Task]bool // found not to, even if all on the way do
	trail []*Task        // those seen, in order
	// The same of combinations: one may be a member of many.
	seenDeps, freeDeps map[*deps]bool
	trailDeps          []*deps
	edges              []edge
	path               []*mailbox // the workers along the way to where the walk is
	found              []*mailbox // … to where it has come back to self
}

func newRing(self *Task) *ring {
	r := &ring{
		self: self, seen: map[*Task]bool{}, free: map[*Task]bool{},
		seenDeps: map[*deps]bool{}, freeDeps: map[*deps]bool{},
	}
	if self != nil {
		r.path = append(r.path, self.mb)
	}
	return r
}

// findRing returns a *DeadlockError if t, which awaits c, is in a ring. With
// the system's rings locked.
func (t *Task) findRing(c *core) error {
	for {
		r := newRing(t)
		if !r.waitsForSelf(t, c) || r.found == nil {
			return nil
		}
		if r.holds() {
			return &DeadlockError{Path: pathOf(r.found)}
		} // else something has moved, but there may be another ring
	}
}

// pathOf names workers that wait for each other, each once in a row.
func pathOf(ring []*mailbox) []*actor.PID {
	ring = slices.Compact(ring)
	if len(ring) > 1 && ring[len(ring)-1] == ring[0] {
		ring = ring[:len(ring)-1]
	}
	path := make([]*actor.PID, len(ring))
	for i, mb := range ring {
		// without the process that the mailbox's own leads to: errors are kept
		path[i] = actor.NewPID(mb.pid.Address, mb.pid.Id)
	}
	return path
}

// ringMark is a point of the walk to go back to.
type ringMark struct {
	trail, trailDeps, edges int
	found                   []*mailbox
}

func (r *ring) mark() ringMark {
	return ringMark{len(r.trail), len(r.trailDeps), len(r.edges), r.found}
}

// undo forgets what was found since, on a way that led nowhere.
func (r *ring) undo(m ringMark) {
	for _, t := range r.trail[m.trail:] {
		delete(r.seen, t)
	}
	for _, d := range r.trailDeps[m.trailDeps:] {
		delete(r.seenDeps, d)
	}
	r.trail, r.trailDeps, r.edges, r.found = r.trail[:m.trail], r.trailDeps[:m.trailDeps], r.edges[:m.edges], m.found
}

// edge is one thing that was seen: task awaits core, or task holds mb, or
// core, a member of a combination, is not done, or task is one of deps.
type edge struct {
	task *Task
	core *core
	mb   *mailbox
	deps *deps
}

func (r *ring) holds() bool {
	for _, e := range r.edges {
		switch {
		case e.core != nil && (e.core.done.Load() || e.task != nil && e.task.awaits.Load() != e.core),
			e.core != nil && e.core.owner != nil && e.core.owner.has(isPassedOn),
			e.mb != nil && e.mb.holder.Load() != e.task,
			e.deps != nil && !slices.Contains(e.deps.tasks(), e.task):
			return false
		}
	}
	return true
}

// waitsForSelf reports whether t awaits c, and that completes only after self
// has gone on.
func (r *ring) waitsForSelf(t *Task, c *core) bool {
	if c.done.Load() || t.awaits.Load() != c {
		return false
	}
	r.edges = append(r.edges, edge{task: t, core: c})
	return r.needsSelfToComplete(c)
}

// needsSelfToComplete is waitsForSelf for a future that nobody need await.
func (r *ring) needsSelfToComplete(c *core) bool {
	if d := c.deps(); d != nil {
		return d.needSelf(r)
	}
	return c.owner != nil && !c.owner.has(isPassedOn) && r.needsSelf(c.owner)
}

// needsSelf reports whether work w ends only after self has gone on. One that
// has ended without an answer has left that to somebody whom nobody knows.
func (r *ring) needsSelf(w *Task) bool {
	switch {
	case w == r.self:
		if r.found == nil {
			r.found = slices.Clone(r.path)
		}
		return true
	case r.seen[w]:
		return true // on the way already: it waits for itself
	case w.attached == nil || w.lifetime >= carrier || w.lt.Ended():
		return false // it is worked on elsewhere
	case r.free[w]:
		return false
	}
	mark := r.mark()
	r.seen[w] = true
	r.trail = append(r.trail, w)
	r.path = append(r.path, w.mb)
	need := r.blocked(w, w.mb)
	r.path = r.path[:len(r.path)-1]
	if !need {
		r.undo(mark)
		r.free[w] = true
	}
	return need
}

// blocked looks at all that w waits for, not only until it has found
// something: self may be behind the rest. The awaits of a task that has been
// ended are over, or in a Cleanup, which has its end, too.
func (r *ring) blocked(w *Task, mb *mailbox) (need bool) {
	h := mb.holder.Load()
	switch {
	case h != nil && h != w.of():
		mark := r.mark()
		r.edges = append(r.edges, edge{task: h, mb: mb})
		if need = r.needsSelf(h); !need {
			r.undo(mark)
		}
	case w.lt.Fresh() && mb.opts.MaxInFlight > 0:
		return r.full(mb)
	}
	c := w.awaits.Load()
	if c == nil || w.ending() {
		return need
	}
	mark := r.mark()
	if r.waitsForSelf(w, c) {
		return true
	}
	r.undo(mark)
	return need
}

// full reports whether mb has as many tasks as may be, and none that can end.
func (r *ring) full(mb *mailbox) bool {
	tasks := mb.sparse().inFlight.full(mb.opts.MaxInFlight)
	for _, o := range tasks {
		if !r.needsSelf(o) {
			return false
		}
	}
	return len(tasks) > 0
}

// ending reports whether the awaits of t, which has begun, end: it has been
// ended, or what it is work of.
func (t *Task) ending() bool {
	if t.ended() != nil {
		return true
	}
	for p := t.parent(); p != nil; p = p.parent() {
		if p.canceled() && !p.has(isStashed) {
			return true
		}
	}
	return false
}
