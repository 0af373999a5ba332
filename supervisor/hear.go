package supervisor

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/link"
)

var _ link.Supervisor = (*node)(nil)

// Adopt is the mailbox's: the child is being spawned, by us.
func (n *node) Adopt(p link.Child) link.Policy {
	k := n.core.Load().spawning
	if k == nil || k.name != n.nameOf(p.PID()) {
		return link.Policy{} // somebody else spawns under our name
	}
	k.proc = p
	if k.kind != KindSupervisor {
		k.show(func() { k.kind = KindWorker })
	}
	return link.Policy{Retries: k.spec.OnCrash.Retries, Restart: k.spec.Restart == Permanent}
}

// tell runs f on the loop for the child with this process. One that nobody
// waits for any more, because it was left behind, is not heard.
func (n *node) tell(p process, f func(t *actors.Task, k *child)) {
	n.core.Load().inbox.put(note{news: f, of: p})
}

// of is the child with this process, or nil.
func (c *core) of(p process) *child {
	k := c.kids[c.node.nameOf(p.PID())]
	if k == nil || k.proc != p || !k.life.State().HasActor() {
		return nil
	}
	return k
}

// Ready is the mailbox's.
func (n *node) Ready(p link.Child) {
	n.tell(p, func(t *actors.Task, k *child) { k.happen(t, life.ChildSetUp) })
}

// Failed is the mailbox's.
func (n *node) Failed(p link.Child, f *link.Failure) bool {
	c := n.core.Load()
	c.inbox.post(func(t *actors.Task) {
		switch k := c.of(p); {
		case k != nil:
			c.onFailure(t, k, f)
			return
		case f.Draining:
			c.tellLeftBehind(p.PID(), "it goes on", f)
		default: // suspended, it would stay so
			c.tellLeftBehind(p.PID(), "it stops", f)
			p.Stop(-1)
		}
	})
	_, ended := n.final()
	return !ended
}

// NotHandled is the mailbox's.
func (n *node) NotHandled(p link.Child, f *link.Failure) {
	c := n.core.Load()
	c.inbox.post(func(*actors.Task) {
		if k := c.kids[n.nameOf(p.PID())]; k != nil && k.proc == p { // also one that was left behind
			c.deadLetter(k, f)
		}
	})
}

// Quiet is the mailbox's.
func (n *node) Quiet(p link.Child) {
	n.tell(p, func(t *actors.Task, k *child) { k.happen(t, life.ChildQuiesced) })
}

// Stopped is the mailbox's.
func (n *node) Stopped(p link.Child) {
	n.tell(p, func(t *actors.Task, k *child) { k.terminated(t) })
}

// Failure is of a plain actor.
func (n *node) Failure(f *actor.Failure) {
	c := n.core.Load()
	c.inbox.post(func(t *actors.Task) {
		if k := c.kids[n.nameOf(f.Who)]; k != nil && k.life.State().HasActor() && f.Who.Equal(k.pid) {
			if p, ok := k.proc.(*plain); ok {
				if failure, now := p.failure(f); now {
					c.onFailure(t, k, &failure)
				} else {
					c.tellFailure(k, &failure)
				}
				return
			}
		}
		sendSystem(n.sys, f.Who, &actor.Stop{}) // as in Failed
	})
}

// Terminated is the mailbox's: the engine has forgotten the child.
func (n *node) Terminated(who *actor.PID) {
	n.core.Load().inbox.put(note{gone: who})
}
