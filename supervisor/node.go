// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/internal/supervision"
)

// node is one supervisor actor for as long as it lives, through all its
// incarnations: what handles refer to, and what the children's mailboxes call.
type node struct {
	sys      *actor.ActorSystem
	registry *registry // of the system
	pid      *actor.PID
	parent   *node // the supervisor that it is a child of, or nil; set before anybody else knows of it
	// firstStart is the startID of the first incarnation: see Ref.Start. As parent.
	firstStart uint64
	// prefix is what the ids of its children's PIDs begin with: the id of its own, and a slash.
	prefix string
	core   atomic.Pointer[core] // of the incarnation that runs, or ran last

	started      chan struct{} // closed when the first setup has ended …
	startFailure error         // … with this
	done         chan struct{} // closed when the actor has ended …
	report       Report        // … with this account
	err          error         // … for this reason

	mu          sync.Mutex
	restarts    restartRing
	hasStarted  bool // started is closed
	stopWaiters []*actors.Promise[Report]

	unnamed    atomic.Uint64 // children that were started without a name
	startCalls sync.Pool     // of startCalls that nobody uses
}

func newNode(ctx actor.Context) *node {
	return &node{
		sys: ctx.ActorSystem(), registry: registryOf(ctx.ActorSystem()), pid: ctx.Self(), prefix: ctx.Self().Id + "/",
		started: make(chan struct{}), done: make(chan struct{}),
	}
}

// parentOf is the supervisor that this actor is a child of, or nil.
func parentOf(ctx actor.Context) *node {
	up := ctx.Parent()
	if up == nil {
		return nil
	}
	if a := supervision.ActorAt(ctx.ActorSystem(), up); a != nil {
		p, _ := a.Supervisor().(*node)
		return p
	}
	return nil
}

// beginIncarnation makes c the node's incarnation.
func (n *node) beginIncarnation(c *core) {
	parent := parentOf(c.ctx)
	c.node, c.startID = n, n.registry.lastStart.Add(1)
	c.events = newEventSink(n, c.spec, parent)
	if old := n.core.Load(); old != nil {
		old.handleEvent(nil, life.SupervisorHasStopped) // whoever still waits for it would wait for ever
		for _, r := range old.finalReport().Children {
			c.formerChildren.addReport(r)
		}
	}
	first := n.core.Swap(c) == nil
	if first {
		n.parent, n.firstStart = parent, c.startID
		n.registry.addNode(n)
	}
	if parent != nil {
		parent.learnInnerNode(n)
	}
}

// expectSupervisor notes that the child that is being spawned is a supervisor. On the
// loop.
func (n *node) expectSupervisor(child *actor.PID) {
	if k := n.core.Load().spawning; k != nil && k.name == n.childName(child) {
		k.updateShown(func() { k.kind = KindSupervisor })
	}
}

// learnInnerNode notes the node of a child that is a supervisor, which calls it in its
// setup.
func (n *node) learnInnerNode(inner *node) {
	c := n.core.Load()
	c.queue.postFunc(func(*actors.Task) {
		if k := c.children[n.childName(inner.pid)]; k != nil && k.kind == KindSupervisor {
			k.updateShown(func() { k.node = inner })
			k.changed.Broadcast()
		}
	})
}

// childName is the name of a child by the id of its PID.
func (n *node) childName(pid *actor.PID) string { return strings.TrimPrefix(pid.GetId(), n.prefix) }

// childID is the id of the PID of a child by its name.
func (n *node) childID(name string) string { return n.prefix + name }

// SupervisorEnded is the mailbox's: this actor has ended.
func (n *node) SupervisorEnded() {
	c := n.core.Load()
	for _, k := range c.children { // of a setup that did not get to its end
		if k.process != nil && k.life.State() != life.ChildGone {
			k.addAccount(k.process.Account())
		}
	}
	c.handleEvent(nil, life.SupervisorHasStopped)
	n.mu.Lock()
	n.report, n.err = c.finalReport(), c.failureCause()
	n.mu.Unlock()
	n.registry.removeNode(n)
	n.setupEnded(errStopping)
	close(n.done)
	n.mu.Lock()
	waiters := n.stopWaiters
	n.stopWaiters = nil
	n.mu.Unlock()
	for _, p := range waiters {
		go func() { // a callback that blocks must not hold up the loop, nor the others
			loop.ForgetLabels()
			p.Resolve(n.report)
		}()
	}
}

// finalReport is the report of an actor that has ended. n may be nil.
func (n *node) finalReport() (Report, bool) {
	if n == nil {
		return Report{}, false
	}
	select {
	case <-n.done:
		return n.report, true
	default:
		return Report{}, false
	}
}

// endError is the error it has ended with.
func (n *node) endError() error {
	if _, ended := n.finalReport(); ended {
		return n.err
	}
	return nil
}

// setupEnded is the end of the first setup.
func (n *node) setupEnded(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.hasStarted {
		n.hasStarted, n.startFailure = true, err
		close(n.started)
	}
}

// requestStop is stop with a future of its report.
func (n *node) requestStop() *actors.Future[Report] {
	p := new(actors.Promise[Report])
	n.mu.Lock()
	if r, ended := n.finalReport(); ended {
		p.Resolve(r)
	} else {
		n.stopWaiters = append(n.stopWaiters, p)
	}
	n.mu.Unlock()
	n.setStopEvent()
	return p.Future()
}

func (n *node) stopAndWait(ctx context.Context) (Report, error) {
	notInTask(ctx, "Stop", "await RequestStop")
	n.setStopEvent()
	if r, ended := n.finalReport(); ended { // it wins over a ctx that has ended
		return r, nil
	}
	select {
	case <-n.done:
		return n.report, nil
	case <-ctx.Done():
		return Report{Supervisor: n.pid.Id}, context.Cause(ctx)
	}
}

// setStopEvent sets the stop event. Any goroutine.
func (n *node) setStopEvent() {
	if _, ended := n.finalReport(); !ended {
		actors.RequestStop(n.sys.Root, n.pid, actors.Forever)
	}
}

// endGrace ends all grace periods of a stop, now and to come. Any goroutine.
func (n *node) endGrace() {
	c := n.core.Load()
	c.queue.postFunc(func(t *actors.Task) { c.handleEvent(t, life.SupervisorGraceOver) })
}

// findChild returns what is known of a child by its path, and its node, if it is a
// supervisor.
func (n *node) findChild(path []string) (info ChildInfo, inner *node) {
	n.mu.Lock()
	if k := n.core.Load().children[path[0]]; k != nil {
		info, inner = k.childInfo(time.Now()), k.node
	}
	n.mu.Unlock()
	switch {
	case len(path) == 1:
		return info, inner
	case inner == nil:
		return ChildInfo{}, nil
	}
	return inner.findChild(path[1:])
}

func (n *node) childPID(path string) *actor.PID {
	info, _ := n.findChild(strings.Split(path, "/"))
	return info.PID
}

// innerNode is the supervisor of that path, of a Dynamic or not; nil: there is
// none.
func (n *node) innerNode(path string, many bool) *node {
	_, inner := n.findChild(strings.Split(path, "/"))
	if inner == nil || inner.core.Load().isDynamic() != many {
		return nil
	}
	return inner
}

// childInfos is the tree as it is.
func (n *node) childInfos() []ChildInfo {
	type shownChild struct {
		k     *child
		inner *node
		info  ChildInfo
	}
	var all []shownChild
	now := time.Now()
	n.eachChild(n.core.Load(), func(k *child) {
		if k.life.State() != life.ChildRemoved {
			all = append(all, shownChild{k, k.node, k.childInfo(now)})
		}
	})
	slices.SortFunc(all, func(a, b shownChild) int { return cmp.Compare(a.k.seq, b.k.seq) })
	out := make([]ChildInfo, len(all))
	for i, s := range all {
		out[i] = s.info
		if s.inner != nil {
			out[i].Children = s.inner.childInfos()
		}
	}
	return out
}
