package actors

import (
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
	top.awaits.Store(c)
	r := ring{self: top, seen: map[*Task]bool{}}
	if !r.waitsForSelf(top, c) || !r.holds() {
		return nil
	}
	top.awaits.Store(nil)
	path := []*actor.PID{top.mb.pid}
	for _, mb := range r.path {
		if mb.pid != path[len(path)-1] {
			path = append(path, mb.pid)
		}
	}
	if len(path) > 1 && path[len(path)-1] == path[0] {
		path = path[:len(path)-1]
	}
	return &DeadlockError{Path: path}
}

// ring is one walk along who waits for whom.
type ring struct {
	self  *Task
	seen  map[*Task]bool
	edges []edge
	path  []*mailbox // the workers along the way
}

// edge is one thing that was seen: task awaits core, or task holds mb.
type edge struct {
	task *Task
	core *core
	mb   *mailbox
}

func (r *ring) holds() bool {
	for _, e := range r.edges {
		if e.core != nil && (e.task.awaits.Load() != e.core || e.core.done.Load()) {
			return false
		}
		if e.mb != nil && e.mb.holder.Load() != e.task {
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
	if c.deps != nil { // All: one that does not complete is enough
		for _, d := range *c.deps {
			if d.owner != nil && !d.done.Load() && r.needsSelf(d.owner) {
				return true
			}
		}
		return false
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
	mb := w.mb
	r.seen[w] = true
	depth := len(r.path)
	r.path = append(r.path, mb)
	if r.blocked(w, mb) {
		return true
	}
	r.path = r.path[:depth]
	delete(r.seen, w)
	return false
}

func (r *ring) blocked(w *Task, mb *mailbox) bool {
	h := mb.holder.Load()
	held := h != nil && h.head() != w.head()
	switch {
	case held:
		r.edges = append(r.edges, edge{task: h, mb: mb})
		if r.needsSelf(h) {
			return true
		}
	case w.lt.Fresh() && mb.opts.MaxInFlight > 0:
		tasks := mb.inFlight.full(mb.opts.MaxInFlight)
		for _, o := range tasks {
			if !r.needsSelf(o) {
				return false
			}
		}
		return len(tasks) > 0
	}
	if !w.lt.Suspended() {
		return false
	}
	c := w.awaits.Load()
	return c != nil && r.waitsForSelf(w, c)
}
