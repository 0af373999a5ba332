// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/protoloop/protoloop/internal/loop"
)

// Group is a set of tasks that end together: none of them, nor anything that
// they [Start], outlives [Group.Wait]. The first failure cancels the rest
// (asyncio.TaskGroup, trio's nursery, errgroup).
//
//	g := t.NewGroup()
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

	node       *groupNode             // the parent of the members that are there
	live       int                    // members
	places     atomic.Pointer[places] // of a limited group
	queue      []groupMember          // those that wait for one, in order
	passes     bool                   // somebody gives free places to them
	apart      bool                   // of a Scope that is Detached
	outlived   bool                   // what members have started was waited for when they had ended
	stragglers int                    // or fewer: tasks that members have started, and that have not returned
	idle       *Future[None]          // completes when one of the two has come to zero
	waits      deps                   // of idle
	cause      error                  // why the members were cancelled
	failed     []groupMember          // in order
	over       bool
	err        error // then: Wait's
}

// NewGroup returns an empty group of the task.
func (t *Task) NewGroup() *Group {
	if t == nil {
		panic("actors: NewGroup called with a nil Task")
	}
	t.checkCurrent("NewGroup")
	return newGroup(t)
}

func newGroup(t *Task) *Group {
	g := &Group{t: t}
	g.waits.list = func() []*Task {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.listUnfinished()
	}
	return g
}

// SetLimit lets at most n members run at a time. Further ones wait for their turn, in
// the order in which they were added: [Group.Go] does not wait for them, as that of
// errgroup does. A member has its place until its function returns. One whose future is
// cancelled while it waits never starts, and its [Timeout] begins when it is added. If all
// that have a place await members that have none, the last of these awaits returns a
// [*DeadlockError]. An n of 0 or less is no limit. SetLimit panics when the group has members.
func (g *Group) SetLimit(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.live > 0 {
		panic(fmt.Sprintf("actors: Group.SetLimit called while the group has %d members", g.live))
	}
	g.places.Store(nil)
	if n > 0 {
		g.places.Store(&places{most: n})
	}
}

// Go starts fn as a member: at once, in the caller's turn, up to its first
// await, as [Start] does, unless it has to wait for its turn: see [Group.SetLimit]. The
// caller is the group's task, a member, or another task of the same worker. It must not
// have locked its thread: see [Start].
//
// An error that fn returns, a panic in it, and the end of its [Timeout], if it
// has one, are its failure. Once the group has failed or has been cancelled fn
// is not started. After the group's Wait has returned, Go panics. The future is the
// member's own: it is for whoever awaits or cancels that one. For a member with a value
// see [Group.Member].
func (g *Group) Go(fn func(t *Task) error, opts ...CallOption) *Future[None] {
	if fn == nil {
		panic("actors: Group.Go called with a nil function")
	}
	checkMemberOptions(opts)
	m := newGroupTask[None](g, submittedErr(fn))
	g.addMember(g.findCaller(), m, opts)
	return &m.fut
}

// Member is an option of [Start] that makes what it starts a member of the group, as
// [Group.Go] does, with a future of its own type. The task that calls Start is the
// group's, a member, or another one of the same worker.
func (g *Group) Member() CallOption { return CallOption{set: setMember, group: g} }

// startInGroup is start with the option Member.
func startInGroup[T any](t *Task, g *Group, fn any, opts []CallOption) *Future[T] {
	if t.mb != g.t.mb {
		panic(misplaced("Group.Member", "is of a group of another worker"))
	}
	checkMemberOptions(opts)
	m := newGroupTask[T](g, fn)
	g.addMember(t, m, opts)
	return &m.fut
}

// addMember makes m, which nobody else knows yet, a member, and starts it, now or when
// there is a place.
func (g *Group) addMember(caller *Task, m groupMember, opts []CallOption) {
	t := m.task()
	t.makeContextRoom(opts)
	n := g.enlistMember(t)
	switch bound := t.bindCall(&n.Task, opts, 0); {
	case !bound:
	case g.places.Load() != nil:
		t.putInClock() // it may wait for long
		g.mu.Lock()
		g.queue = append(g.queue, m)
		g.mu.Unlock()
		g.startQueued(caller)
	default:
		g.startMember(caller, m)
	}
	caller.mb.enterAgain(caller)
}

// startMember starts a member in the turn of caller.
func (g *Group) startMember(caller *Task, m groupMember) {
	t := m.task()
	if !caller.loopTask().Start(&t.lt) {
		t.cancel(caller.abandonedError())
		if t.lt.Fresh() { // else whoever took the turn has ended it with the others
			t.endUnbegun(true)
		}
	}
}

// passPlaceOn is called by a member whose function has returned, in its turn.
func (g *Group) passPlaceOn(member groupMember) {
	p := g.places.Load()
	if p == nil {
		return
	}
	g.mu.Lock()
	failed := g.noteMemberEnd(member)
	p.remove(member.task())
	g.mu.Unlock()
	if failed { // first: the next one does not begin then
		g.cancelMembers(because(ErrCanceled, member.member().err))
	}
	g.startQueued(member.task())
}

// startQueued gives free places to those that wait for one, in the turn of caller. One
// call does it at a time: a member that returns in its first step leaves the next to
// whoever has started it, so that a long queue of such nests no deeper.
func (g *Group) startQueued(caller *Task) {
	g.mu.Lock()
	if g.passes {
		g.mu.Unlock()
		return
	}
	g.passes = true
	for p := g.places.Load(); len(g.queue) > 0 && !p.full(); {
		m := g.queue[0]
		g.queue[0] = nil
		g.queue = g.queue[1:]
		if t := m.task(); t.endCause() == nil { // else it never has one
			p.add(t)
		}
		g.mu.Unlock()
		g.startMember(caller, m)
		g.mu.Lock()
	}
	g.passes = false
	g.mu.Unlock()
}

// dropQueued ends those that wait for a place, because who might have passed on its own
// was abandoned. On the loop.
func (g *Group) dropQueued() {
	g.mu.Lock()
	queue := g.queue
	g.queue = nil
	g.mu.Unlock()
	for _, m := range queue {
		t := m.task()
		t.cancel(t.mb.inc.Load().endCause())
		t.endUnbegun(true)
	}
}

// findCaller is the task that calls: the group's own, or the one whose turn it is.
func (g *Group) findCaller() *Task {
	own := g.t.coroutineTask()
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

// enlistMember makes t a member.
func (g *Group) enlistMember(t *Task) *groupNode {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		panic("actors: Group.Go called after Wait has returned")
	}
	g.live++
	if g.node != nil && g.node.takeKid(t) {
		return g.node
	}
	g.node = newGroupNode(g)
	g.node.takeKid(t)
	if g.cause != nil {
		g.node.scope().cause.Store(&endNote{why: g.cause})
	}
	return g.node
}

// Cancel cancels the members: their awaits and contexts end with
// [ErrCanceled]. It does not wait for them; Wait still does, and then returns
// nil unless one has failed. Any goroutine.
func (g *Group) Cancel() { g.cancelMembers(ErrCanceled) }

// CancelCause is Cancel with a reason, which the members' errors wrap beside
// [ErrCanceled] (context.WithCancelCause). A nil err is none.
func (g *Group) CancelCause(err error) { g.cancelMembers(because(ErrCanceled, err)) }

func (g *Group) cancelMembers(cause error) {
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
	g.t.checkCurrent("Group.Wait")
	g.mu.Lock()
	over, err := g.over, g.err
	g.mu.Unlock()
	if over {
		return err
	}
	ended := g.waitForAll("Group.Wait")
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	var errs []error
	if ended != nil {
		errs = append(errs, ended)
	}
	for _, m := range g.failed {
		m.future().base().lookAtResult()
		errs = append(errs, m.member().err)
	}
	g.failed, g.node = nil, nil
	if len(errs) == 1 {
		g.err = errs[0]
	} else {
		g.err = errors.Join(errs...)
	}
	return g.err
}

// waitForAll waits until nothing is left. It returns the reason if the task has
// been ended, unless the group is apart from it. All that it waits for is of this loop,
// and so ends in any case: it returns, or its turn is taken away.
func (g *Group) waitForAll(what string) (ended error) {
	for c := g.futureIfBusy(); c != nil && !g.t.loopTask().Lost(); c = g.futureIfBusy() {
		if ended == nil {
			if ended = g.t.awaitCore(c, what); ended == nil {
				continue
			}
			if !g.apart || isRing(ended) {
				g.cancelMembers(because(ErrCanceled, ended)) // for a ring; else they have been told
			}
		}
		g.t.awaitEnded(c)
	}
	if ended == nil {
		ended = g.t.endCause()
	}
	if g.apart && !isRing(ended) {
		return nil
	}
	return ended
}

// isRing reports whether an await has failed because it would close a ring.
func isRing(err error) bool {
	_, ring := err.(*DeadlockError)
	return ring
}

// futureIfBusy returns what completes when it may be that nobody is left; nil: nobody
// is.
func (g *Group) futureIfBusy() *core {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.live == 0 {
		if g.stragglers = len(g.listUnfinished()); g.stragglers == 0 {
			return nil
		}
		g.outlived = true
	}
	g.idle = &Future[None]{}
	g.idle.more().deps = &g.waits
	return &g.idle.core
}

// listUnfinished are the tasks that have to return before Wait does. With mu held.
func (g *Group) listUnfinished() []*Task {
	if g.node == nil {
		return nil
	}
	return g.node.listUnfinished()
}

// memberEnded counts a member that has ended, and cancels the others if it has failed.
func (g *Group) memberEnded(member groupMember) {
	g.mu.Lock()
	failed := g.noteMemberEnd(member)
	if p := g.places.Load(); p != nil {
		p.remove(member.task()) // one that was ended before it could begin; startQueued goes on
	}
	g.live--
	g.wakeAt(g.live)
	if failed {
		g.cancelMembers(because(ErrCanceled, member.member().err))
	}
}

// noteMemberEnd notes how a member has ended, once, and reports whether it has failed. With mu
// held.
func (g *Group) noteMemberEnd(member groupMember) (failed bool) {
	m := member.member()
	if m.noted {
		return false
	}
	m.noted = true
	cause := g.cause
	if cause == nil && !g.apart {
		cause = g.t.endCause()
	}
	if fut := member.future().base(); m.err == nil && !m.scoped && cause == nil && fut.done.Load() {
		m.err = fut.failedWith() // its own Timeout has run out
	}
	if m.err == nil || cause != nil && saysOnlyEnd(m.err, cause) {
		return false
	}
	g.failed = append(g.failed, member)
	return true
}

// taskEnded counts a task that is a member, or of a member.
func (g *Group) taskEnded() {
	g.mu.Lock()
	if g.live > 0 {
		g.mu.Unlock()
		return
	}
	g.stragglers--
	g.wakeAt(g.stragglers)
}

// wakeAt wakes Wait if left is zero, to look again. It unlocks mu.
func (g *Group) wakeAt(left int) {
	var idle *Future[None]
	if left <= 0 {
		idle, g.idle = g.idle, nil
	}
	g.mu.Unlock()
	if idle != nil {
		idle.resolve(None{}, nil)
	}
}
