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
	visits             []visit    // … and whose answers it has to find
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
			e.core != nil && e.core.isPassedOn(),
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
	return r.awaits(t, c) && r.needsSelfToComplete(c)
}

// awaits reports whether t awaits c, which is not done, and notes it.
func (r *ring) awaits(t *Task, c *core) bool {
	if c.done.Load() || t.awaits.Load() != c {
		return false
	}
	r.edges = append(r.edges, edge{task: t, core: c})
	return true
}

// visit is something on the way of the walk whose answer depends on those of
// others. The way is a list of visits, and no call within a call: it may be
// longer than a stack is deep.
type visit struct {
	task *Task // what it is of: work …
	deps *deps // … or a combination

	stage  visitStage
	tasks  []*Task  // what is left to ask of a list of tasks
	next   int      // … or how many members were asked
	from   int      // … the first of them; constant, though others change deps.first
	done   int32    // … and were done already
	need   bool     // the answer, as far as it is known
	start  ringMark // where it has begun
	before ringMark // where the last question has
}

// visitStage is what a visit of a task asks, or has asked.
type visitStage uint8

const (
	visitHolder visitStage = iota // who holds its worker's other tasks back
	visitFull                     // all that are in flight, if no more may be
	visitAwaits                   // what it awaits
	visitOver
)

// needsSelfToComplete is waitsForSelf for a future that nobody need await.
func (r *ring) needsSelfToComplete(c *core) bool {
	need, known := r.askCore(c)
	for len(r.visits) > 0 {
		v := &r.visits[len(r.visits)-1]
		over := known && v.hear(r, need)
		if !over {
			need, known, over = v.ask(r)
		}
		if over {
			need, known = r.leave(), true
		}
	}
	return need
}

// isPassedOn reports whether somebody else than the future's task may complete it.
func (c *core) isPassedOn() bool {
	o := c.owner.Load()
	return o != nil && o.has(isPassedOn)
}

// askCore reports whether c completes only after self has gone on, or begins a
// visit whose answer that is.
func (r *ring) askCore(c *core) (need, known bool) {
	switch d, o := c.deps(), c.owner.Load(); {
	case d == nil && (o == nil || o.has(isPassedOn)):
		return false, true
	case d == nil:
		return r.askTask(o)
	case d.tasks != nil:
		r.visits = append(r.visits, visit{deps: d, tasks: d.tasks()})
		return false, false
	case r.seenDeps[d]:
		return true, true // as with a task that is on the way
	case r.freeDeps[d]:
		return false, true
	default:
		r.visits = append(r.visits, visit{deps: d, start: r.mark(), from: int(d.first.Load())})
		r.seenDeps[d] = true
		r.trailDeps = append(r.trailDeps, d)
		return false, false
	}
}

// askTask is the same of work w. One that has ended without an answer has left
// that to somebody whom nobody knows.
func (r *ring) askTask(w *Task) (need, known bool) {
	switch {
	case w == r.self:
		if r.found == nil {
			r.found = slices.Clone(r.path)
		}
		return true, true
	case r.seen[w]:
		return true, true // on the way already: it waits for itself
	case w.attached == nil || w.lifetime >= carrier || w.lt.Ended():
		return false, true // it is worked on elsewhere
	case r.free[w]:
		return false, true
	}
	r.visits = append(r.visits, visit{task: w, start: r.mark()})
	r.seen[w] = true
	r.trail = append(r.trail, w)
	r.path = append(r.path, w.mb)
	return false, false
}

// leave ends the last visit, and returns its answer.
func (r *ring) leave() (need bool) {
	v := r.visits[len(r.visits)-1]
	r.visits = r.visits[:len(r.visits)-1]
	switch {
	case v.task != nil:
		r.path = r.path[:len(r.path)-1]
		if !v.need {
			r.undo(v.start)
			r.free[v.task] = true
		}
	case v.deps.tasks == nil && !v.need:
		r.undo(v.start)
		r.freeDeps[v.deps] = true
	}
	return v.need
}

// ask asks what comes next, and returns the answer if that is known at once.
// Nothing may be left to ask.
func (v *visit) ask(r *ring) (need, known, over bool) {
	switch {
	case v.task != nil:
		return v.askWhy(r)
	case v.deps.tasks != nil:
		if len(v.tasks) == 0 {
			return false, false, true
		}
		w := v.tasks[0]
		v.tasks = v.tasks[1:]
		v.before = r.mark()
		r.edges = append(r.edges, edge{task: w, deps: v.deps})
		need, known = r.askTask(w)
		return need, known, false
	}
	return v.askMember(r)
}

// hear takes the answer to what was asked last. It reports whether that settles
// it.
func (v *visit) hear(r *ring, need bool) (over bool) {
	switch {
	case v.task != nil && v.stage == visitFull: // one that can go on will do
		v.need = need
		return !need
	case need:
		v.need = true
		return v.stage == visitOver
	case v.deps != nil && v.deps.tasks == nil && v.deps.by >= oneValue:
		d := v.deps
		d.first.Store(int32(v.member()))
		v.need = false
		return true
	default:
		r.undo(v.before)
		return v.stage == visitOver
	}
}

// askWhy looks at all that a task waits for, not only until something is found:
// self may be behind the rest. The awaits of a task that has been ended are over,
// or in a Cleanup, which has its end, too.
func (v *visit) askWhy(r *ring) (need, known, over bool) {
	w := v.task
	mb := w.mb
	if v.stage == visitHolder {
		v.stage = visitAwaits
		if h := mb.holder.Load(); h != nil && h != w.of() {
			v.before = r.mark()
			r.edges = append(r.edges, edge{task: h, mb: mb})
			need, known = r.askTask(h)
			return need, known, false
		}
		if w.lt.Fresh() && mb.opts.MaxInFlight > 0 {
			v.stage = visitFull
			v.tasks = mb.sparse().inFlight.full(mb.opts.MaxInFlight)
		}
	}
	if v.stage == visitFull {
		if len(v.tasks) == 0 {
			return false, false, true
		}
		o := v.tasks[0]
		v.tasks = v.tasks[1:]
		need, known = r.askTask(o)
		return need, known, false
	}
	v.stage = visitOver
	v.before = r.mark()
	c := w.awaits.Load()
	if c == nil || w.ending() || !r.awaits(w, c) {
		return false, false, true
	}
	need, known = r.askCore(c)
	return need, known, false
}

// member is the index of the member that was asked last. Where one is enough, the
// one that was found to be free of self's task is asked first the next time:
// while that is so the others do not matter.
func (v *visit) member() int {
	d := v.deps
	if d.by < oneValue {
		return v.next - 1
	}
	return (v.from + v.next - 1) % len(d.cores)
}

// askMember asks the members of a combination that are not done.
func (v *visit) askMember(r *ring) (need, known, over bool) {
	d := v.deps
	past := d.past.Load()
	for v.next < len(d.cores) {
		v.next++
		m := d.cores[v.member()]
		if m.done.Load() {
			if v.done++; d.completedBy(m) { // its callback is on the way
				v.need = false
				return false, false, true
			}
			continue
		}
		v.before = r.mark()
		r.edges = append(r.edges, edge{core: m})
		need, known = r.askCore(m)
		return need, known, false
	}
	if d.by == nextEnd && v.done > past {
		v.need = false
	}
	return false, false, true
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
