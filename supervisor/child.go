package supervisor

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/link"
)

// state is where a child is in its life. The package doc has the diagram.
type state uint8

const (
	gone     state = iota // there is no actor: it has not started, or has ended
	starting              // setup runs
	up                    // it works
	failed                // it has suspended itself
	quiet                 // nothing of it runs; it keeps its queue
	stopping              // the stop event is set
)

func (s state) String() string {
	return name(s, "gone", "starting", "up", "failed", "quiet", "stopping")
}

// process is what a supervisor does with a child's actor.
type process = link.Child

// child is one child. Owned by the loop.
type child struct {
	core *core
	spec *Child // constant, and for those of a Dynamic the same; its Name does not count
	name string
	seq  uint64  // its place among its siblings
	proc process // nil: it was never spawned

	// What is shown to everybody: written with the node's mu held.
	pid      *actor.PID
	kind     Kind
	node     *node     // of a supervisor, once its setup has begun
	since    time.Time // it is in its state
	lastErr  error
	restarts int
	state    state

	cameUp bool // the last start has succeeded, whatever came then
	wasUp  bool // one of its starts has
	late   bool // … or has not ended in time: its setup may still run

	due  bool // it has ended or failed, and nobody has dealt with that; see setDue
	held bool // it is down and has to come up; see setHeld

	hasAccount, isForgotten bool // what has to come before it is gone
	removed                 bool // it is gone for good, and no child any more
	detached                bool // nobody waits for it any more
	hurried                 bool // its grace was ended …

	cutAt   time.Duration // … then
	begun   time.Duration // the last start
	changed bell          // state, or what a wait depends on
	lock    lock          // of what goes on with it, if children are independent
	failure *link.Failure // why it is failed
	retries retries
	account *ChildReport // of its actors so far; nil: none has ended
}

// set is some of the children. Whoever looks for one of a few must not look at
// all: there may be thousands, and as many looks.
type set map[*child]struct{}

func (s set) put(k *child, in bool) {
	if in {
		s[k] = struct{}{}
	} else {
		delete(s, k)
	}
}

// one is any of them, or nil.
func (s set) one() *child {
	for k := range s {
		return k
	}
	return nil
}

func (k *child) setDue(due bool) {
	if k.due != due {
		k.due = due
		k.core.due.put(k, due)
	}
}

func (k *child) setHeld(held bool) {
	if k.held != held {
		k.held = held
		k.core.held.put(k, held)
		k.weigh()
	}
}

// weigh keeps the list of Significant children that have not ended: one that is
// held has not started yet, or is about to again.
func (k *child) weigh() {
	if k.spec.Significant {
		k.core.decisive.put(k, !k.removed && (k.state != gone || k.held))
	}
}

func (c *core) addChild(name string, spec *Child) *child {
	c.added++
	k := &child{core: c, spec: spec, name: name, seq: c.added, kind: KindPlain, since: time.Now()}
	k.setHeld(true)
	n := c.node
	n.mu.Lock()
	defer n.mu.Unlock()
	c.kids[name] = k
	return k
}

// forget drops a child that is gone for good; its account stays.
func (c *core) forget(k *child) {
	if k.removed {
		return
	}
	k.removed = true
	k.setDue(false)
	k.setHeld(false)
	k.weigh()
	k.changed.raise()
	c.past.add(k.report())
	n := c.node
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(c.kids, k.name)
}

func (k *child) at() At { return At{k.core.node.pid.Id, k.name} }

// grace is its Shutdown with its default.
func (k *child) grace() time.Duration { return k.spec.graceOf(k.kind == KindSupervisor) }

// unwinding is how long it may take to end once its grace is over.
func (k *child) unwinding() time.Duration {
	if _, ok := k.proc.(*plain); ok {
		return unwind
	}
	return 2*k.proc.StopGrace() + time.Second // tasks, then hooks
}

func (k *child) become(s state) {
	c, now := k.core, time.Now()
	if s == stopping {
		c.leaving++
	} else if k.state == stopping {
		c.leaving--
	}
	k.show(func() { k.state, k.since = s, now })
	k.weigh()
	k.changed.raise()
	if c.leaving == 0 {
		c.gone.raise()
	}
}

// show changes what everybody may see of the child.
func (k *child) show(change func()) {
	mu := &k.core.node.mu
	mu.Lock()
	change()
	mu.Unlock()
}

// info is the child as it is. With the node's mu held.
func (k *child) info() ChildInfo {
	i := ChildInfo{
		Name: k.name, PID: k.pid, Kind: k.kind, State: k.state.String(),
		Since: k.since, Restarts: k.restarts, Err: k.lastErr,
	}
	if k.state == gone {
		i.PID = nil
	}
	return i
}

// ready: setup has succeeded. The event is told here and not by who waits for
// it: the child's failure may be the next message.
func (k *child) ready() {
	if k.state != starting {
		return
	}
	again := k.wasUp
	k.cameUp, k.wasUp = true, true
	if again {
		k.show(func() { k.restarts++ })
	}
	k.become(up)
	k.retries.readyAt = k.since
	if took := k.core.now() - k.begun; again {
		emit(k.core.out, ChildRestarted{k.at(), k.restarts, took})
	} else {
		emit(k.core.out, ChildStarted{k.at(), k.pid, took})
	}
}

// quieted: nothing of it runs.
func (k *child) quieted() {
	if k.state == up || k.state == starting || k.state == failed {
		k.become(quiet)
	}
}

// terminated: the engine has forgotten it.
func (k *child) terminated(t *actors.Task) {
	if !k.detached {
		k.isForgotten = true
		k.accounted(t)
	}
}

// accounted takes its final account, if there is one. If there is not its
// mailbox will tell.
func (k *child) accounted(t *actors.Task) {
	if !k.hasAccount {
		if e, final := k.proc.Final(); final {
			k.hasAccount = true
			k.settle(e)
		}
	}
	k.maybeGone(t)
}

// maybeGone is the end of the child's actor, once all has been heard of it.
func (k *child) maybeGone(t *actors.Task) {
	if !k.hasAccount || !k.isForgotten || k.state == gone {
		return
	}
	was := k.state
	k.endsAs(was)
	if was == up && !k.core.stopping { // nobody had asked
		k.core.ownEnd(t, k)
	}
}

// endsAs is the step from a state to gone.
func (k *child) endsAs(was state) {
	since := k.since
	k.become(gone)
	if took := k.since.Sub(since); was == stopping {
		emit(k.core.out, StopPhase{At: k.at(), Phase: "stopped", Took: took})
	}
}
