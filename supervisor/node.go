package supervisor

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/link"
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

	mu     sync.Mutex
	infos  map[string]*entry // the children, by name
	order  []string
	hadOne bool

	waiters []*actors.Promise[Report]

	unnamed atomic.Uint64 // children that were started without a name
}

// entry is what everybody may know of a child.
type entry struct {
	info  ChildInfo
	inner *node // of a supervisor
}

func newNode(ctx actor.Context) *node {
	return &node{
		sys: ctx.ActorSystem(), pid: ctx.Self(), infos: map[string]*entry{},
		started: make(chan struct{}), done: make(chan struct{}),
	}
}

var _ link.Supervisor = (*node)(nil)

// Adopt is the mailbox's: the child is being spawned, by us.
func (n *node) Adopt(p link.Child) link.Policy {
	c := n.core.Load()
	k := c.spawning
	if k == nil || k.id() != p.PID().Id {
		return link.Policy{} // somebody else spawns under our name
	}
	k.proc, k.kind = p, KindWorker
	return link.Policy{Retries: k.spec.OnCrash.Retries, Restart: k.spec.Restart == Permanent}
}

// tell runs f on the loop for the child with this process.
func (n *node) tell(p process, f func(t *actors.Task, k *child)) {
	c := n.core.Load()
	c.inbox.post(func(t *actors.Task) {
		if k := c.byPID[p.PID().Id]; k != nil && k.proc == p {
			f(t, k)
		}
	})
}

// Ready is the mailbox's.
func (n *node) Ready(p link.Child) {
	n.tell(p, func(_ *actors.Task, k *child) { k.ready() })
}

// Failed is the mailbox's.
func (n *node) Failed(p link.Child, f link.Failure) {
	n.tell(p, func(t *actors.Task, k *child) { k.core.onFailure(t, k, f) })
}

// Quiet is the mailbox's.
func (n *node) Quiet(p link.Child) {
	n.tell(p, func(_ *actors.Task, k *child) { k.quieted() })
}

// Stopped is the mailbox's.
func (n *node) Stopped(p link.Child, e link.Ended) {
	n.tell(p, func(t *actors.Task, k *child) { k.accounted(t, e) })
}

// Failure is of a plain actor.
func (n *node) Failure(f *actor.Failure) {
	c := n.core.Load()
	c.inbox.post(func(t *actors.Task) {
		if k := c.byPID[f.Who.GetId()]; k != nil {
			if p, ok := k.proc.(*plain); ok {
				c.onFailure(t, k, p.failure(f))
			}
		}
	})
}

// Terminated is the mailbox's: the engine has forgotten the child.
func (n *node) Terminated(who *actor.PID) {
	c := n.core.Load()
	c.inbox.post(func(t *actors.Task) {
		if k := c.byPID[who.GetId()]; k != nil && k.pid == who { // not a former actor of that name
			k.terminated(t)
		}
	})
}

// Over is the mailbox's: this actor has ended.
func (n *node) Over() {
	c := n.core.Load()
	n.mu.Lock()
	n.report, n.err = c.account(), c.cause
	n.mu.Unlock()
	n.begun(c.cause)
	close(n.done)
	n.mu.Lock()
	waiters := n.waiters
	n.waiters = nil
	n.mu.Unlock()
	for _, p := range waiters {
		p.Resolve(n.report)
	}
}

// requestStop is stop with a future of its report.
func (n *node) requestStop() *actors.Future[Report] {
	p := actors.NewPromise[Report]()
	n.mu.Lock()
	select {
	case <-n.done:
		p.Resolve(n.report)
	default:
		n.waiters = append(n.waiters, p)
	}
	n.mu.Unlock()
	n.stop()
	return p.Future()
}

func (n *node) stopAndWait(ctx context.Context) (Report, error) {
	n.stop()
	return n.wait(ctx)
}

// why is the error it has ended with.
func (n *node) why() error {
	select {
	case <-n.done:
		return n.err
	default:
		return nil
	}
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

// wait blocks until the actor has ended.
func (n *node) wait(ctx context.Context) (Report, error) {
	select {
	case <-n.done:
		return n.report, nil
	default:
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
	select {
	case <-n.done:
	default:
		actors.Stop(n.sys.Root, n.pid, NoLimit)
	}
}

// endGrace ends all grace periods of a stop, now and to come. Any goroutine.
func (n *node) endGrace() {
	c := n.core.Load()
	c.inbox.post(func(t *actors.Task) { c.hurryUp() })
}

// find returns what is known of a child by its path.
func (n *node) find(path []string) (entry, bool) {
	n.mu.Lock()
	var found entry
	e := n.infos[path[0]]
	if e != nil {
		found = *e
	}
	n.mu.Unlock()
	switch {
	case e == nil, len(path) == 1:
		return found, e != nil
	case found.inner == nil:
		return entry{}, false
	}
	return found.inner.find(path[1:])
}

func (n *node) child(path string) *actor.PID {
	e, _ := n.find(strings.Split(path, "/"))
	return e.info.PID
}

// inner is the supervisor of that path, of a Dynamic or not; nil: there is
// none.
func (n *node) inner(path string, many bool) *node {
	e, _ := n.find(strings.Split(path, "/"))
	if e.inner == nil || e.inner.core.Load().many() != many {
		return nil
	}
	return e.inner
}
