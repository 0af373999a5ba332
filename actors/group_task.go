// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"slices"

	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/loop"
)

// groupTask is a member of a group. One that has failed is kept until Wait.
type groupTask[T any] struct {
	submission[T]
	membership
}

// membership is what a group knows of a member. Whoever has the turn writes it.
type membership struct {
	group  *Group
	err    error // why it has failed
	began  bool  // its function was called
	noted  bool  // the group has noted how it has ended
	scoped bool  // it is that of a Scope: the end of its time is its own affair
}

// groupMember is a groupTask without its T.
type groupMember interface {
	body
	member() *membership
}

func (m *membership) member() *membership { return m }

// newGroupTask makes a member that runs fn, a submittedErr or a submitted[T].
func newGroupTask[T any](g *Group, fn any) *groupTask[T] {
	m := &groupTask[T]{membership: membership{group: g}}
	m.msg = fn
	m.markEarly(isFunction)
	m.lt.Body = m
	m.fut.ownWithin(&m.Task)
	m.attached, m.lifetime = g.t.attached, child
	return m
}

// Run is the loop's.
func (m *groupTask[T]) Run(*loop.Task) {
	t := &m.Task
	if !t.beginTurn() {
		return
	}
	m.began = true
	defer func() {
		if p := recover(); p != nil {
			m.err = newPanicError(p)
			t.noteOutcome(t.completeRequest(failedAnswer(m.err, 0), teller{turn: t}), m.err)
		}
		if !t.lt.Lost() {
			m.group.passPlaceOn(m)
		}
	}()
	m.err = ErrGoexit // unless fn returns
	var v T
	var err error
	if fn, ok := t.msg.(submitted[T]); ok { // see submission.Run
		v, err = fn(t)
	} else {
		err = t.msg.(submittedErr)(t)
	}
	if err != nil {
		err = returned(err)
		t.endIfExpired(err)
	}
	m.err = err
	t.noteOutcome(m.fut.completeFunction(&m.msg, v, err), err)
}

// Done is the loop's: the task has ended.
func (m *groupTask[T]) Done(lt *loop.Task, how loop.How) {
	if how == loop.Exited && m.how == life.HowNone { // as Run does at a panic: the group tells of it
		t := &m.Task
		t.noteOutcome(t.completeRequest(failedAnswer(ErrGoexit, answerRan), teller{elsewhere: true}), ErrGoexit)
	}
	m.work.Done(lt, how)
	g := m.group
	if how == loop.Lost { // fn goes on, and may write to m
		g.memberEnded(&groupTask[T]{})
		g.dropQueued()
		return
	}
	g.memberEnded(m)
	m.group = nil // whoever keeps the future does not keep the group
}

// groupNode stands for a group in the tree of tasks: between its task and the
// members, whom it passes cancel and budget on to. It never runs. It is there
// only while it has kids, so that a group that nobody waits for leaves nothing
// behind; a group that fills up again gets another one.
type groupNode struct {
	work
	group *Group
}

func (n *groupNode) label() string     { return "group" }
func (n *groupNode) future() completer { return nil }

// Run is never called.
func (n *groupNode) Run(*loop.Task) {}

func newGroupNode(g *Group) *groupNode {
	n := &groupNode{group: g}
	n.attached, n.lifetime, n.inc = g.t.attached, grouping, g.t.inc
	n.lt.Body = n
	n.markEarly(isEnded)
	n.kin = new(kinship)
	if g.apart {
		n.detachFrom(g.t)
		n.holdOrigin()
		return n
	}
	n.kin.setOrigin(g.t.asOrigin())
	n.holdOrigin()
	g.t.adoptKid(&n.Task)
	return n
}

// takeKid makes kid one of its kids, if it is still there.
func (n *groupNode) takeKid(kid *Task) bool {
	mu := n.familyLock()
	mu.Lock()
	defer mu.Unlock()
	if n.has(hasLeftTree) {
		return false
	}
	kid.placeBelow(&n.Task)
	kid.kin.setOrigin(&n.Task)
	kid.markEarly(isJoined)
	n.linkKidsFirst(kid, kid)
	return true
}

// listUnfinished are the tasks that have been started in the group, or in groups
// within it, and have not returned. Any goroutine.
func (n *groupNode) listUnfinished() []*Task {
	type place struct{ task, parent *Task }
	for {
		var tasks []*Task
		seen := []place{{&n.Task, n.parent()}}
		for i := 0; i < len(seen); i++ {
			for _, k := range seen[i].task.listKids() {
				if k.lifetime != child && k.lifetime != grouping || !n.includesTask(k) {
					continue
				}
				seen = append(seen, place{k, seen[i].task})
				if k.lifetime == child && !k.lt.Ended() {
					tasks = append(tasks, k)
				}
			}
		}
		// One that has ended meanwhile may have left its kids to its parent, whom
		// they were not listed with.
		if !slices.ContainsFunc(seen, func(s place) bool { return s.task.parent() != s.parent }) {
			return tasks
		}
	}
}

// includesTask reports whether t, a child of Start, is a member, or work that a
// member has started. Work that somebody has started whom a member has sent
// something is not.
func (n *groupNode) includesTask(t *Task) bool {
	for o := t.kin.origin.Load(); o != nil && o.lifetime == grouping; o = o.kin.origin.Load() {
		if o == &n.Task {
			return true
		}
	}
	return false
}

// noteEndInGroups tells the groups that a child has ended in.
func (t *Task) noteEndInGroups() {
	for o := t.kin.origin.Load(); o != nil && o.lifetime == grouping; o = o.kin.origin.Load() {
		o.lt.Body.(*groupNode).group.taskEnded()
	}
}

// awaitEnded is for a task that has been ended and has to wait all the same,
// until c is done or its turn is taken away.
func (t *Task) awaitEnded(c *core) {
	top := t.coroutineTask()
	top.awaits.Store(c)
	u := newCleanup(t, nil)
	t.mb.sparse().cleanups.remove(u) // it is not given up
	t.mb.enterAgain(u)
	_ = u.suspend(c, 0)
	u.noteEnded()
	t.mb.enterAgain(t)
	top.awaits.Store(nil)
}
