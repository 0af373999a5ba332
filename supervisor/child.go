package supervisor

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/link"
)

// state is where a child is in its life. The package doc has the diagram.
type state int

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
	spec Child
	seq  uint64 // its place among its siblings
	pid  *actor.PID
	proc process // nil: it was never spawned
	kind Kind
	node *node // of a supervisor, once its setup has begun

	state   state
	since   time.Time // it is in its state
	changed bell      // state, or what a wait depends on
	lock    lock      // of what goes on with it, if children are independent

	begun  time.Time // the last start
	cameUp bool      // … has succeeded, whatever came then
	wasUp  bool      // one of its starts has
	late   bool      // … or has not ended in time: its setup may still run

	due      bool          // it has ended or failed, and nobody has dealt with that
	held     bool          // it is down and has to come up
	failure  *link.Failure // why it is failed
	lastErr  error
	retries  retries
	restarts int

	hasAccount, isForgotten bool      // what has to come before it is gone
	hurried                 bool      // its grace was ended …
	cutAt                   time.Time // … then
	detached                bool      // nobody waits for it any more
	account                 ChildReport
}

func (c *core) addChild(spec Child) *child {
	c.added++
	k := &child{core: c, spec: spec, seq: c.added, kind: KindPlain, since: time.Now(), held: true}
	k.account = ChildReport{Name: spec.Name, Counted: true}
	c.kids[spec.Name] = k
	n := c.node
	n.mu.Lock()
	defer n.mu.Unlock()
	n.infos[spec.Name] = &entry{seq: k.seq, info: ChildInfo{Name: spec.Name, Kind: KindPlain, State: gone.String(), Since: k.since}}
	return k
}

// forget drops a child that is gone for good; its account stays.
func (c *core) forget(k *child) {
	if !c.has(k) {
		return
	}
	delete(c.kids, k.spec.Name)
	c.past.add(k.report())
	n := c.node
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.infos, k.spec.Name)
}

func (k *child) at() At { return At{k.core.node.pid.Id, k.spec.Name} }

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
	k.state, k.since = s, time.Now()
	k.publish()
	k.changed.raise()
}

// publish lets everybody see the child as it is now.
func (k *child) publish() {
	n := k.core.node
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.infos[k.spec.Name]
	if e == nil || e.seq != k.seq { // removed
		return
	}
	e.inner = k.node
	e.info = ChildInfo{
		Name: k.spec.Name, PID: k.pid, Kind: k.kind, State: k.state.String(),
		Since: k.since, Restarts: k.restarts, Err: k.lastErr,
	}
	if k.state == gone {
		e.info.PID = nil
	}
}

// ready: setup has succeeded. The event is told here and not by who waits for
// it: the child's failure may be the next message.
func (k *child) ready() {
	if k.state != starting {
		return
	}
	now := time.Now()
	again := k.wasUp
	k.cameUp, k.wasUp, k.retries.readyAt = true, true, now
	if again {
		k.restarts++
		k.account.Restarts++
	}
	k.become(up)
	if again {
		k.core.out.emit(ChildRestarted{k.at(), k.restarts, now.Sub(k.begun)})
	} else {
		k.core.out.emit(ChildStarted{k.at(), k.pid, now.Sub(k.begun)})
	}
}

// quieted: nothing of it runs.
func (k *child) quieted() {
	if k.state == up || k.state == starting || k.state == failed {
		k.become(quiet)
	}
}

// accounted: its mailbox has told the final account.
func (k *child) accounted(t *actors.Task, e link.Ended) {
	if k.detached || k.hasAccount {
		return
	}
	k.hasAccount = true
	k.settle(e)
	k.maybeGone(t)
}

// terminated: the engine has forgotten it.
func (k *child) terminated(t *actors.Task) {
	if k.detached {
		return
	}
	k.isForgotten = true
	if p, ok := k.proc.(*plain); ok && !k.hasAccount {
		k.hasAccount = true
		k.settle(p.Account())
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
	took := time.Since(k.since)
	k.become(gone)
	if was == stopping {
		k.core.out.emit(StopPhase{At: k.at(), Phase: "stopped", Took: took})
	}
}
