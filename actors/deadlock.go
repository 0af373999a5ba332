package actors

import (
	"slices"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// holdLoop makes the task the only one of its worker until it ends.
func (t *Task) holdLoop() {
	if t.lt.HoldLoop() {
		t.exclusive = true
		t.mb.holder.Store(t)
		t.mb.sys.exclusive.Add(1)
	}
}

// released is called when a task has ended.
func (t *Task) released() {
	if t.exclusive {
		t.exclusive = false
		t.mb.holder.Store(nil)
		t.mb.sys.exclusive.Add(-1)
	}
	if t.mb.opts.MaxInFlight > 0 {
		t.mb.inFlight.remove(t)
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

// list returns them if there are as many as may be.
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
// An await makes its edge known before it looks, and looks are made one after
// the other; so the one that closes a ring sees all of it. The other workers
// go on meanwhile: what is found counts only if it still holds when looked at
// again, and then it held at one moment, which is for ever.
func (t *Task) closesRing(c *core) error {
	if t.mb.sys.exclusive.Load() == 0 {
		return nil
	}
	t.mb.sys.rings.Lock()
	defer t.mb.sys.rings.Unlock()
	top := t.top()
	r := ring{self: top, seen: map[*Task]bool{}, free: map[*Task]bool{}}
	if !r.waitsForSelf(top, c) || !r.holds() {
		return nil
	}
	top.awaits.Store(nil) // before anybody else looks: the ring is none any more
	path := []*actor.PID{top.mb.pid}
	for _, mb := range r.path {
		if mb.pid != path[len(path)-1] {
			path = append(path, mb.pid)
		}
	}
	if len(path) > 1 && path[len(path)-1] == path[0] {
		path = path[:len(path)-1]
	}
	for i, pid := range path {
		path[i] = actor.NewPID(pid.Address, pid.Id) // without the process that the mailbox's own leads to: errors are kept
	}
	return &DeadlockError{Path: path}
}

// ring is one walk along who waits for whom.
type ring struct {
	self  *Task
	seen  map[*Task]bool // on the way, and found to need self
	free  map[*Task]bool // found not to, even if all on the way do
	trail []*Task        // those seen, in order
	edges []edge
	path  []*mailbox // the workers along the way
}

// ringMark is a point of the walk to go back to.
type ringMark struct{ trail, edges, path int }

func (r *ring) mark() ringMark { return ringMark{len(r.trail), len(r.edges), len(r.path)} }

// undo forgets what was found since, on a way that led nowhere.
func (r *ring) undo(m ringMark) {
	for _, t := range r.trail[m.trail:] {
		delete(r.seen, t)
	}
	r.trail, r.edges, r.path = r.trail[:m.trail], r.edges[:m.edges], r.path[:m.path]
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
			e.mb != nil && e.mb.holder.Load() != e.task,
			e.deps != nil && !slices.Contains(e.deps.tasks(), e.task):
			return false
		}
	}
	return true
}

// waitsForSelf reports whether c, which t awaits, completes only after self
// has gone on.
func (r *ring) waitsForSelf(t *Task, c *core) bool {
	if c.done.Load() {
		return false
	}
	r.edges = append(r.edges, edge{task: t, core: c})
	return r.needsSelfToComplete(c)
}

// needsSelfToComplete is waitsForSelf for a future that nobody need await.
func (r *ring) needsSelfToComplete(c *core) bool {
	if c.deps != nil {
		return c.deps.needSelf(r)
	}
	return c.owner != nil && r.needsSelf(c.owner)
}

// needsSelf reports whether work w ends only after self has gone on.
func (r *ring) needsSelf(w *Task) bool {
	if w == r.self {
		return true
	}
	if r.seen[w] {
		return true // on the way already: it waits for itself
	}
	if w.attached == nil || w.lifetime >= carrier {
		return false // it is worked on elsewhere
	}
	if r.free[w] {
		return false
	}
	mb, mark := w.mb, r.mark()
	r.seen[w] = true
	r.trail = append(r.trail, w)
	r.path = append(r.path, mb)
	if r.blocked(w, mb) {
		return true
	}
	r.undo(mark)
	r.free[w] = true
	return false
}

func (r *ring) blocked(w *Task, mb *mailbox) bool {
	h := mb.holder.Load()
	held := h != nil && h.head() != w.head()
	switch {
	case held:
		mark := r.mark()
		r.edges = append(r.edges, edge{task: h, mb: mb})
		if r.needsSelf(h) {
			return true
		}
		r.undo(mark)
	case w.lt.Fresh() && mb.opts.MaxInFlight > 0:
		tasks := mb.inFlight.full(mb.opts.MaxInFlight)
		for _, o := range tasks {
			if !r.needsSelf(o) {
				return false
			}
		}
		return len(tasks) > 0
	}
	if w.cause.Load() != nil {
		return false // its awaits end
	}
	c := w.awaits.Load()
	return c != nil && r.waitsForSelf(w, c)
}
