package supervisor

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/link"
)

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
	life    life.Child // written by happen alone
	pid     *actor.PID
	kind    Kind
	node    *node     // of a supervisor, once its setup has begun
	since   time.Time // it is in its state
	lastErr error
	ups     int // how often it has come up

	answer  answer        // of its last start …
	noActor error         // … which Spawn has failed with
	begun   time.Duration // the last start
	cutAt   time.Duration // its grace has ended
	changed bell          // life, or what else a wait depends on
	lock    lock          // of what goes on with it, if children are independent
	failure *link.Failure // the last
	retries retries
	account *ChildReport // of its actors so far; nil: none has ended
}

// answer is what has become of a start.
type answer uint8

const (
	startPending answer = iota
	startUp
	startFailed
)

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

func (c *core) addChild(name string, spec *Child) *child {
	c.added++
	k := &child{core: c, spec: spec, name: name, seq: c.added, kind: KindPlain, since: time.Now(), life: life.NewChild()}
	c.sort(k, notAdded)
	n := c.node
	n.mu.Lock()
	defer n.mu.Unlock()
	c.kids[name] = k
	return k
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

// happen is the only way to change the life of a child: an event goes in, and what
// is to be done is done.
func (k *child) happen(t *actors.Task, e life.ChildEvent) { k.happenBecause(t, e, nil) }

// happenBecause is happen with the reason for what then is in flight.
func (k *child) happenBecause(t *actors.Task, e life.ChildEvent, why error) {
	is, effects := k.life.On(e, k.facts(e))
	since := k.since
	if is != k.life || effects.Has(life.ChildEnter) {
		k.move(is, effects)
	}
	if effects.Has(life.ChildTellStopped) {
		emit(k.core.out, StopPhase{At: k.at(), Phase: "stopped", Took: k.since.Sub(since)})
	}
	k.carryOut(t, effects, why)
}

// facts are those that an event is judged by.
func (k *child) facts(e life.ChildEvent) life.ChildFacts {
	c := k.core
	f := life.ChildFacts{Stopping: c.isStopping()}
	switch e {
	case life.ChildCrashed:
		f.Drains = k.life.State() == life.ChildStopping && k.drains()
	case life.ChildStopAsked:
		f.Forced = c.life.State().HasNoGrace()
		f.Drains = k.life.State().HasFailed() && c.cause == nil && k.drains()
		switch grace := k.grace(); {
		case grace == Abandon:
			f.Shutdown = life.ChildShutdownAbandon
		case grace == BrutalKill && k.kind != KindSupervisor: // whose children have to hear of it: see press
			f.Shutdown = life.ChildShutdownKill
		}
	}
	return f
}

// drains reports whether the child, which has failed just before its stop event, is
// restarted for what it has accepted. A supervisor has nothing of its own to do.
func (k *child) drains() bool {
	return k.kind != KindSupervisor && decide(k.spec.Restart, exitOf(k.failure)) == restart
}

// move takes the child to where it is now, and wakes who waits for that.
func (k *child) move(is life.Child, effects life.ChildEffects) {
	c, was, now := k.core, k.life, time.Now()
	mu := &c.node.mu
	mu.Lock()
	k.life = is
	if effects.Has(life.ChildEnter) {
		k.since = now
		if is.State().HasFailed() {
			k.lastErr = k.failure.Err
		}
	}
	if effects.Has(life.ChildStartUp) {
		k.ups++
	}
	mu.Unlock()
	if is.State().IsEnding() && !was.State().IsEnding() {
		c.leaving++
	} else if was.State().IsEnding() && !is.State().IsEnding() {
		c.leaving--
	}
	c.sort(k, was)
	k.changed.raise()
	if c.leaving == 0 {
		c.gone.raise()
	}
}

// notAdded is in no set.
var notAdded life.Child

// sort puts a child into the sets that it belongs to.
func (c *core) sort(k *child, was life.Child) {
	if is := k.life.Want().Decision(); is != was.Want().Decision() {
		c.due.put(k, is)
	}
	if is := k.life.Want().Start(); is != was.Want().Start() {
		c.held.put(k, is)
	}
	if k.spec.Significant { // one that is held has not started yet, or is about to again
		c.decisive.put(k, k.life.Want().Start() || k.life.State() != life.ChildGone && k.life.State() != life.ChildRemoved)
	}
}

// carryOut does what the life of a child asks for.
func (k *child) carryOut(t *actors.Task, effects life.ChildEffects, why error) {
	if effects.Has(life.ChildStartUp) {
		k.answer = startUp
		k.tellUp()
	}
	if effects.Has(life.ChildStartFailed) {
		k.answer = startFailed
	}
	if effects.Has(life.ChildTellStopping) {
		emit(k.core.out, StopPhase{At: k.at(), Phase: "stopping"})
	}
	if effects.Has(life.ChildSpawn) {
		k.spawn(t)
	}
	if effects.Has(life.ChildRestart) {
		k.proc.Restart()
	}
	if effects.Has(life.ChildQuiesce) {
		k.proc.Quiesce(why)
	}
	k.carryOutStop(t, effects)
	if effects.Has(life.ChildAskDecision) {
		k.core.askDecision(t, k)
	}
}

// carryOutStop does what is to be done to the child's actor for its end.
func (k *child) carryOutStop(t *actors.Task, effects life.ChildEffects) {
	switch {
	case effects.Has(life.ChildStopGraceful) && k.kind == KindSupervisor:
		k.proc.Stop(NoLimit) // its grace is that of its children; see press
	case effects.Has(life.ChildStopGraceful):
		k.proc.Stop(k.grace())
	case effects.Has(life.ChildStopUnwaited):
		k.proc.Stop(k.proc.StopGrace())
		k.leave(t, nil)
	case effects.Has(life.ChildEndGrace) && k.node != nil: // a supervisor that works ends that of its children
		k.cutAt = k.core.now()
		k.proc.Stop(NoLimit)
		k.node.endGrace()
	case effects.Has(life.ChildEndGrace), effects.Has(life.ChildStopNow):
		k.cutAt = k.core.now()
		k.proc.Stop(-1)
	}
}

// leave lets the engine and us forget a child that still ends, or never will.
func (k *child) leave(t *actors.Task, left *link.Abandoned) {
	if p, ok := k.proc.(*plain); ok {
		p.alone.Store(true)
	}
	e := k.proc.Account()
	if left != nil {
		e.Abandoned = append(e.Abandoned, *left)
	}
	k.settle(e)
	k.happen(t, life.ChildLeftBehind)
	sendSystem(k.core.node.sys, k.core.node.pid, &actor.Terminated{Who: k.pid})
}

// info is the child as it is. With the node's mu held.
func (k *child) info() ChildInfo {
	i := ChildInfo{
		Name: k.name, PID: k.pid, Kind: k.kind, State: k.life.State().Shown(),
		Since: k.since, Restarts: k.restarts(), Err: k.lastErr,
	}
	if i.State == life.ChildGone.Shown() {
		i.PID = nil
	}
	return i
}

// restarts is how often it has come up again. On the loop, or with the node's mu held.
func (k *child) restarts() int { return max(k.ups-1, 0) }

// show changes what everybody may see of the child.
func (k *child) show(change func()) {
	mu := &k.core.node.mu
	mu.Lock()
	change()
	mu.Unlock()
}

// tellUp: setup has succeeded. The event is told here and not by who waits for it:
// the child's failure may be the next message.
func (k *child) tellUp() {
	k.retries.readyAt = k.since
	if took := k.core.now() - k.begun; k.ups > 1 {
		emit(k.core.out, ChildRestarted{k.at(), k.restarts(), took})
	} else {
		emit(k.core.out, ChildStarted{k.at(), k.pid, took})
	}
}

// terminated: the engine has forgotten it. If its account is not final yet its
// mailbox will tell.
func (k *child) terminated(t *actors.Task) {
	if !k.life.State().HasActor() {
		return
	}
	if e, final := k.proc.Final(); final {
		k.settle(e)
		k.happen(t, life.ChildEnded)
	}
}

// forget drops a child that is gone for good; its account stays.
func (c *core) forget(t *actors.Task, k *child) {
	if k.life.State() == life.ChildRemoved {
		return
	}
	k.happen(t, life.ChildForgotten)
	c.past.add(k.report())
	n := c.node
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(c.kids, k.name)
}
