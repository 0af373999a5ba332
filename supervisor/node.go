package supervisor

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/link"
	"github.com/protoloop/protoloop/internal/loop"
)

// node is one supervisor actor for as long as it lives, through all its
// incarnations: what handles refer to and what the children's mailboxes tell.
type node struct {
	sys  *actor.ActorSystem
	pid  *actor.PID
	core atomic.Pointer[core] // of the incarnation that runs, or ran last

	started chan struct{} // closed when the first setup has ended …
	failed  error         // … with this
	done    chan struct{} // closed when the actor has ended …
	report  Report        // … with this account
	err     error         // … for this reason

	mu      sync.Mutex
	hadOne  bool // started is closed
	waiters []*actors.Promise[Report]

	unnamed atomic.Uint64 // children that were started without a name
}

func newNode(ctx actor.Context) *node {
	return &node{
		sys: ctx.ActorSystem(), pid: ctx.Self(),
		started: make(chan struct{}), done: make(chan struct{}),
	}
}

// parentOf is the supervisor that this actor is a child of, or nil.
func parentOf(ctx actor.Context) *node {
	up := ctx.Parent()
	if up == nil {
		return nil
	}
	p, _ := link.Of(ctx.ActorSystem(), up).(*node)
	return p
}

// begin makes c the node's incarnation.
func (n *node) begin(c *core) {
	parent := parentOf(c.ctx)
	c.node = n
	c.out = newOutlet(n, c.spec, parent)
	if old := n.core.Load(); old != nil {
		for _, r := range old.account().Children {
			c.past.add(r)
		}
	}
	n.core.Store(c)
	if parent != nil {
		parent.know(n)
	}
}

// expect notes that the child that is being spawned is a supervisor. On the
// loop.
func (n *node) expect(child *actor.PID) {
	if k := n.core.Load().spawning; k != nil && k.name == n.nameOf(child) {
		k.show(func() { k.kind = KindSupervisor })
	}
}

// know notes the node of a child that is a supervisor, which tells it in its
// setup.
func (n *node) know(inner *node) {
	c := n.core.Load()
	c.inbox.post(func(*actors.Task) {
		if k := c.kids[n.nameOf(inner.pid)]; k != nil && k.kind == KindSupervisor {
			k.show(func() { k.node = inner })
			k.changed.raise()
		}
	})
}

// nameOf is the name of a child by the id of its PID.
func (n *node) nameOf(pid *actor.PID) string { return strings.TrimPrefix(pid.GetId(), n.pid.Id+"/") }

// Over is the mailbox's: this actor has ended.
func (n *node) Over() {
	c := n.core.Load()
	for _, k := range c.kids { // of a setup that did not get to its end
		if k.proc != nil && k.life.State() != life.ChildGone {
			k.settle(k.proc.Account())
		}
	}
	c.happen(nil, life.SupervisorHasStopped)
	n.mu.Lock()
	n.report, n.err = c.account(), c.failure()
	n.mu.Unlock()
	n.begun(ErrStopping)
	close(n.done)
	n.mu.Lock()
	waiters := n.waiters
	n.waiters = nil
	n.mu.Unlock()
	for _, p := range waiters {
		go func() { // a callback that blocks must not hold up the loop, nor the others
			loop.ForgetLabels()
			p.Resolve(n.report)
		}()
	}
}

// final is the report of an actor that has ended. n may be nil.
func (n *node) final() (Report, bool) {
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

// why is the error it has ended with.
func (n *node) why() error {
	if _, ended := n.final(); ended {
		return n.err
	}
	return nil
}

// begun is the end of the first setup.
func (n *node) begun(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.hadOne {
		n.hadOne, n.failed = true, err
		close(n.started)
	}
}

// requestStop is stop with a future of its report.
func (n *node) requestStop() *actors.Future[Report] {
	p := actors.NewPromise[Report]()
	n.mu.Lock()
	if r, ended := n.final(); ended {
		p.Resolve(r)
	} else {
		n.waiters = append(n.waiters, p)
	}
	n.mu.Unlock()
	n.stop()
	return p.Future()
}

func (n *node) stopAndWait(ctx context.Context) (Report, error) {
	notInTask(ctx, "Stop", "await RequestStop")
	n.stop()
	if r, ended := n.final(); ended { // it wins over a ctx that has ended
		return r, nil
	}
	select {
	case <-n.done:
		return n.report, nil
	case <-ctx.Done():
		return Report{Supervisor: n.pid.Id}, context.Cause(ctx)
	}
}

// stop sets the stop event. Any goroutine.
func (n *node) stop() {
	if _, ended := n.final(); !ended {
		actors.Stop(n.sys.Root, n.pid, NoLimit)
	}
}

// endGrace ends all grace periods of a stop, now and to come. Any goroutine.
func (n *node) endGrace() {
	c := n.core.Load()
	c.inbox.post(func(t *actors.Task) { c.happen(t, life.SupervisorGraceOver) })
}

// find returns what is known of a child by its path, and its node, if it is a
// supervisor.
func (n *node) find(path []string) (info ChildInfo, inner *node) {
	n.mu.Lock()
	if k := n.core.Load().kids[path[0]]; k != nil {
		info, inner = k.info(), k.node
	}
	n.mu.Unlock()
	switch {
	case len(path) == 1:
		return info, inner
	case inner == nil:
		return ChildInfo{}, nil
	}
	return inner.find(path[1:])
}

func (n *node) child(path string) *actor.PID {
	info, _ := n.find(strings.Split(path, "/"))
	return info.PID
}

// inner is the supervisor of that path, of a Dynamic or not; nil: there is
// none.
func (n *node) inner(path string, many bool) *node {
	_, inner := n.find(strings.Split(path, "/"))
	if inner == nil || inner.core.Load().many() != many {
		return nil
	}
	return inner
}

// children is the tree as it is.
func (n *node) children() []ChildInfo {
	n.mu.Lock()
	all := n.core.Load().ordered()
	out, inner := make([]ChildInfo, len(all)), make([]*node, len(all))
	for i, k := range all {
		out[i], inner[i] = k.info(), k.node
	}
	n.mu.Unlock()
	for i := range out {
		if inner[i] != nil {
			out[i].Children = inner[i].children()
		}
	}
	return out
}
