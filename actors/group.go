// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"errors"
	"sync"

	"github.com/protoloop/protoloop/internal/loop"
)

// Group is a set of tasks that end together: none of them, nor anything that
// they [Start], outlives [Group.Wait]. The first failure cancels the rest
// (asyncio.TaskGroup, trio's nursery, errgroup).
//
//	g := actors.NewGroup(t)
//	g.Go(fetch)
//	g.Go(store)
//	return g.Wait()
//
// Its members are work of the task that has made the group: they end with it
// and have its budget. What is not waited for goes on after the task's
// return, as with Start; where a function may return early, have it
//
//	defer func() { g.Cancel(); g.Wait() }()
type Group struct {
	t  *Task
	mu sync.Mutex // for what is left of abandoned tasks

	node   *groupNode    // the parent of the members that are there
	live   int           // members
	rest   int           // or fewer: tasks that members have left behind
	idle   *Future[None] // completes when one of the two has come to zero
	waits  deps          // of idle
	cause  error         // why the members were cancelled
	failed []*groupTask  // in order
	over   bool
	err    error // then: Wait's
}

// NewGroup returns an empty group of task t.
func NewGroup(t *Task) *Group {
	if t == nil {
		panic("actors: NewGroup called with a nil Task")
	}
	t.current("NewGroup")
	g := &Group{t: t}
	g.waits.list = func() []*Task {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.unfinished()
	}
	return g
}

// Go starts fn as a member: at once, in the caller's turn, up to its first
// await, as [Start] does. The caller is the group's task, a member, or another
// task of the same worker. It must not have locked its thread: see [Start].
//
// An error that fn returns, a panic in it, and the end of its [Timeout], if it
// has one, are its failure. Once the group has failed or has been cancelled fn
// is not started. After the group's Wait has returned, Go panics.
func (g *Group) Go(fn func(t *Task) error, opts ...CallOption) {
	if fn == nil {
		panic("actors: Group.Go called with a nil function")
	}
	checkOptions(opts)
	caller := g.caller()
	m := newGroupTask(g, fn)
	n := g.enlist(m)
	if m.bind(&n.Task, opts, 0) && !caller.coroutine().Start(&m.lt) {
		m.Task.cancel(caller.lostError())
		if m.lt.Fresh() { // else whoever took the turn has ended it with the others
			m.neverBegins(true)
		}
	}
	caller.mb.enterAgain(caller)
}

// caller is the task that calls: the group's own, or the one whose turn it is.
func (g *Group) caller() *Task {
	own := g.t.top()
	if own.lt.Running() && !own.lt.Nesting() || own.lt.Lost() || own.once.Load()&isOffLoop != 0 {
		return g.t
	}
	var cur *Task
	g.t.mb.loop.Look(func(lt *loop.Task) {
		if b, ok := lt.Body.(body); ok {
			cur = b.task()
		}
	})
	if cur == nil {
		panic("actors: Group.Go called outside of a task of the group's worker")
	}
	return cur
}

// enlist makes m a member.
func (g *Group) enlist(m *groupTask) *groupNode {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		panic("actors: Group.Go called after Wait has returned")
	}
	g.live++
	if g.node != nil && g.node.take(&m.Task) {
		return g.node
	}
	g.node = newGroupNode(g)
	g.node.take(&m.Task)
	if g.cause != nil {
		g.node.scope().cause.Store(&g.cause)
	}
	return g.node
}

// Cancel cancels the members: their awaits and contexts end with
// [ErrCanceled]. It does not wait for them; Wait still does, and then returns
// nil unless one has failed. Any goroutine.
func (g *Group) Cancel() { g.cancel(ErrCanceled) }

func (g *Group) cancel(cause error) {
	g.mu.Lock()
	if g.cause == nil {
		g.cause = cause
	}
	n := g.node
	g.mu.Unlock()
	if n != nil {
		n.Task.cancel(cause)
	}
}

// Wait waits until all members, and all that they have started, have returned;
// what they have submitted, requested or offloaded is not waited for, though
// it ends with them if the group is cancelled. It returns the failure of the
// member that failed first; those of others are joined to it, unless they say
// no more than that they were cancelled: an error that joins or wraps something
// else beside that does, and a panic.
//
// If the group's own task is ended meanwhile its members are, too, and Wait
// still waits for them. Then it returns the reason, and the failures joined to
// it. So it does if the waiting would close a ring: that cancels the group,
// and the reason is the [*DeadlockError].
//
// Only the task that has made the group may call Wait. A second call returns
// the same.
func (g *Group) Wait() error {
	g.t.current("Group.Wait")
	g.mu.Lock()
	over, err := g.over, g.err
	g.mu.Unlock()
	if over {
		return err
	}
	ended := g.drain()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	var errs []error
	if ended != nil {
		errs = append(errs, ended)
	}
	for _, m := range g.failed {
		m.fut.look()
		errs = append(errs, m.err)
	}
	g.failed, g.node = nil, nil
	if len(errs) == 1 {
		g.err = errs[0]
	} else {
		g.err = errors.Join(errs...)
	}
	return g.err
}

// drain waits until nothing is left. It returns the reason if the task has
// been ended. All that it waits for is of this loop, and so ends in any case:
// it returns, or its turn is taken away.
func (g *Group) drain() (ended error) {
	for c := g.busy(); c != nil && !g.t.coroutine().Lost(); c = g.busy() {
		if ended == nil {
			if ended = g.t.awaitCore(c, "Group.Wait"); ended == nil {
				continue
			}
			g.cancel(because(ErrCanceled, ended)) // for a ring; else they have been told
		}
		g.t.awaitEnded(c)
	}
	if ended == nil {
		ended = g.t.ended()
	}
	return ended
}

// busy returns what completes when it may be that nobody is left; nil: nobody
// is.
func (g *Group) busy() *core {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.live == 0 {
		if g.rest = len(g.unfinished()); g.rest == 0 {
			return nil
		}
	}
	g.idle = &Future[None]{}
	g.idle.more().deps = &g.waits
	return &g.idle.core
}

// unfinished are the tasks that have to return before Wait does. With mu held.
func (g *Group) unfinished() []*Task {
	if g.node == nil {
		return nil
	}
	return g.node.unfinished()
}

// end counts a member that has ended, and cancels the others if it has failed.
func (g *Group) end(m *groupTask) {
	g.mu.Lock()
	cause := g.cause
	if cause == nil {
		cause = g.t.ended()
	}
	if m.err == nil && cause == nil && m.fut.done.Load() {
		m.err = m.fut.failed() // its own Timeout has run out
	}
	failed := m.err != nil && (cause == nil || !saysOnly(m.err, endsBy(cause)...))
	if failed {
		g.failed = append(g.failed, m)
	}
	g.live--
	g.wakeAt(g.live)
	if failed {
		g.cancel(because(ErrCanceled, m.err))
	}
}

// taskEnded counts a task that is a member, or of a member.
func (g *Group) taskEnded() {
	g.mu.Lock()
	if g.live > 0 {
		g.mu.Unlock()
		return
	}
	g.rest--
	g.wakeAt(g.rest)
}

// wakeAt wakes Wait if left is zero, to look again. It unlocks mu.
func (g *Group) wakeAt(left int) {
	var idle *Future[None]
	if left <= 0 {
		idle, g.idle = g.idle, nil
	}
	g.mu.Unlock()
	if idle != nil {
		idle.resolve(struct{}{}, nil)
	}
}
