// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/condition"
	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/oneline"
	"github.com/protoloop/protoloop/internal/supervision"
)

// childProcess is what a supervisor does with a child's actor.
type childProcess = supervision.Child

// child is one child. Owned by the loop.
type child struct {
	core *core
	spec *Child // constant, and for those of a Dynamic the same; its Name does not count
	name string
	seq  uint64 // its place among its siblings

	// What is shown to everybody: written with the node's mu held.
	process    childProcess // nil: it was never spawned
	life       life.Child   // written by setLife alone
	pid        *actor.PID
	kind       Kind
	node       *node  // of a supervisor, once its setup has begun
	startID    uint64 // see Ref.Start
	stateSince time.Time
	upCount    int // how often it has come up

	unnamed     bool                // the supervisor has chosen its name, and nobody knows it yet
	sameTime    bool                // it enters its next state as soon as it has entered this one
	startResult startResult         // of its last start …
	startedAt   time.Duration       // … and when that began
	upSince     time.Duration       // it came up last …
	wasUp       bool                // … since it has failed
	killedAt    time.Duration       // the end of its grace
	changed     condition.Condition // its life, or what else a wait depends on
	starter     *startWait          // waits for the end of its start, without a task
	operations  operationLock       // of what goes on with it, if children are independent
	account     *ChildReport        // of its actors so far; nil: none has ended
	failures    *childFailures      // nil: it has none; see failed
}

// childFailures is what few children have: those that have failed, or that were restarted. Without it a child has 224
// bytes, and with it 352 (bench: start/dynamic).
type childFailures struct {
	// What is shown to everybody: written with the node's mu held.
	waitsUntil time.Time // its backoff ends; zero: it has none
	lastErr    error

	restartTask  string               // the name of the task that restarts it; "": none has
	spawnErr     error                // Spawn has failed with it in the last start …
	restartCause error                // … and what led to that; nil: no failure
	restarter    *startWait           // is its starter in a restart; nil: none was without a task
	last         *supervision.Failure // nil: it has not failed since its last start
	delay        restartDelay
}

// noFailures are those of a child that has none. Nobody writes to it.
var noFailures childFailures

// failed is to look at.
func (k *child) failed() *childFailures {
	if k.failures == nil {
		return &noFailures
	}
	return k.failures
}

// noteFailed is to write to. It is the loop's, but what is shown to everybody is with the node's mu.
func (k *child) noteFailed() *childFailures {
	if k.failures == nil {
		f := new(childFailures)
		k.updateShown(func() { k.failures = f })
	}
	return k.failures
}

// startResult is what has become of a start.
type startResult uint8

const (
	startPending startResult = iota
	startedUp
	startedNot
)

// childSet is some of the children. To find one of a few takes no look at all of
// them: there may be thousands, and as many searches.
type childSet map[*child]struct{}

func (s childSet) setMember(k *child, in bool) {
	if in {
		s[k] = struct{}{}
	} else {
		delete(s, k)
	}
}

// anyMember is any of them, or nil.
func (s childSet) anyMember() *child {
	for k := range s {
		return k
	}
	return nil
}

func (c *core) registerChild(name string, spec *Child) *child {
	c.childCount++
	k := &child{core: c, spec: spec, name: name, seq: c.childCount, kind: KindPlain, stateSince: time.Now(), life: life.NewChild()}
	c.indexChild(k, notAdded)
	n := c.node
	n.mu.Lock()
	defer n.mu.Unlock()
	c.children[name] = k
	return k
}

func (k *child) eventPlace() At { return At{k.core.node.pid.Id, k.name} }

// shutdownGrace is its Shutdown with its default.
func (k *child) shutdownGrace() time.Duration { return k.spec.shutdownGrace(k.kind == KindSupervisor) }

// unwindLimit is how long it may take to end once its grace is over.
func (k *child) unwindLimit() time.Duration {
	if _, ok := k.process.(*plainProcess); ok {
		return plainStopGrace
	}
	return 2*min(k.process.StopGrace(), actors.Forever/4) + time.Second // tasks, then hooks
}

// handleEvent is the only way to change the life of a child: it looks up what the
// event leads to, and does what is to be done.
func (k *child) handleEvent(t *actors.Task, e life.ChildEvent) { k.handleEventBecause(t, e, nil) }

// handleEventBecause is handleEvent with the cause that tasks in flight are to have.
func (k *child) handleEventBecause(t *actors.Task, e life.ChildEvent, why error) {
	is, effects := k.life.On(e, k.eventFacts(e))
	since := k.stateSince
	if is != k.life || effects.Has(life.ChildEnter) {
		k.setLife(is, effects)
	}
	if effects.Has(life.ChildTellStopped) {
		emitEvent(k.core.events, StopPhase{At: k.eventPlace(), Phase: "stopped", Took: k.stateSince.Sub(since)})
	}
	k.runEffects(t, effects, why)
	k.lookAtStarter(t)
}

// eventFacts are those that an event is judged by.
func (k *child) eventFacts(e life.ChildEvent) life.ChildFacts {
	c := k.core
	f := life.ChildFacts{Stopping: c.isStopping()}
	switch e {
	case life.ChildCrashed:
		f.Drains = k.life.State() == life.ChildStopping && k.restartsToDrain()
	case life.ChildStopAsked:
		f.Forced = c.life.State().HasNoGrace()
		f.Drains = k.life.State().HasFailed() && c.cause == nil && k.restartsToDrain()
		switch {
		case k.spec.Abandon:
			f.Shutdown = life.ChildShutdownAbandon
		case k.shutdownGrace() == actors.NoGrace && k.kind != KindSupervisor: // whose children have their own grace: see enforceGrace
			f.Shutdown = life.ChildShutdownKill
		}
	}
	return f
}

// restartsToDrain reports whether the child, which has failed just before its stop event, is
// restarted for what it has accepted. A supervisor has nothing of its own to do.
func (k *child) restartsToDrain() bool {
	return k.kind != KindSupervisor && decideOnExit(k.spec.Restart, exitReasonOf(k.failed().last)) == decideRestart
}

// setLife takes the child to where it is now, and wakes whoever waits for that.
func (k *child) setLife(is life.Child, effects life.ChildEffects) {
	c, was := k.core, k.life
	var now time.Time
	if effects.Has(life.ChildEnter) {
		if now = k.stateSince; !k.sameTime {
			now = time.Now()
		}
		k.sameTime = false
	}
	mu := &c.node.mu
	mu.Lock()
	k.life = is
	if effects.Has(life.ChildEnter) {
		k.stateSince = now
		if is.State().HasFailed() {
			k.failures.lastErr = k.failures.last.Err
		}
	}
	if effects.Has(life.ChildStartUp) {
		k.upCount++
	}
	if effects.Has(life.ChildSpawn) || effects.Has(life.ChildRestart) {
		k.startedAt = now.Sub(c.startedAt)
		k.startID = c.node.registry.lastStart.Add(1)
	}
	mu.Unlock()
	if is.State().IsEnding() && !was.State().IsEnding() {
		c.endingCount++
	} else if was.State().IsEnding() && !is.State().IsEnding() {
		c.endingCount--
	}
	c.indexChild(k, was)
	k.changed.Broadcast()
	if c.endingCount == 0 {
		c.allEnded.Broadcast()
	}
}

// notAdded is in no set.
var notAdded life.Child

// indexChild puts a child into the sets that it belongs to.
func (c *core) indexChild(k *child, was life.Child) {
	if c.restartsTogether() {
		if is := k.life.Want().Decision(); is != was.Want().Decision() {
			c.undecided.setMember(k, is)
		}
		if is := k.life.Want().Start(); is != was.Want().Start() {
			c.toStart.setMember(k, is)
		}
	}
	if k.spec.Significant { // one that is to start has not ended
		c.significant.setMember(k, k.life.Want().Start() || k.life.State() != life.ChildGone && k.life.State() != life.ChildRemoved)
	}
}

// runEffects does what the life of a child asks for.
func (k *child) runEffects(t *actors.Task, effects life.ChildEffects, why error) {
	if effects.Has(life.ChildStartUp) {
		k.startResult = startedUp
		k.emitUp()
	}
	if effects.Has(life.ChildStartFailed) {
		k.startResult = startedNot
	}
	if effects.Has(life.ChildTellStopping) {
		emitEvent(k.core.events, StopPhase{At: k.eventPlace(), Phase: "stopping"})
	}
	if effects.Has(life.ChildSpawn) {
		k.spawnActor(t)
	}
	if effects.Has(life.ChildRestart) {
		k.process.Restart()
	}
	if effects.Has(life.ChildQuiesce) {
		k.process.Quiesce(why)
	}
	k.runStopEffects(t, effects)
	if effects.Has(life.ChildAskDecision) {
		k.core.startRecovery(t, k)
	}
}

// runStopEffects stops the child's actor, in the way that is asked for.
func (k *child) runStopEffects(t *actors.Task, effects life.ChildEffects) {
	switch {
	case effects.Has(life.ChildStopGraceful) && k.kind == KindSupervisor:
		k.process.Stop(actors.Forever) // its grace is that of its children: see enforceGrace
	case effects.Has(life.ChildStopGraceful):
		k.process.Stop(k.shutdownGrace())
	case effects.Has(life.ChildStopUnwaited):
		k.process.Stop(k.process.StopGrace())
		k.abandonActor(t, nil)
	case effects.Has(life.ChildEndGrace) && k.node != nil: // a supervisor that works ends that of its children
		k.killedAt = k.core.sinceStart()
		k.process.Stop(actors.Forever)
		k.node.endGrace()
	case effects.Has(life.ChildEndGrace), effects.Has(life.ChildStopNow):
		k.killedAt = k.core.sinceStart()
		k.process.Stop(actors.NoGrace)
	}
}

var errAbandoned = errors.New("supervisor: an actor did not end when it was told to")

// abandonActor has the engine and the supervisor forget a child that still ends, or
// never will.
func (k *child) abandonActor(t *actors.Task, left *supervision.Abandoned) {
	if p, ok := k.process.(*plainProcess); ok {
		p.abandoned.Store(true)
	}
	e := k.process.Account()
	if left != nil {
		e.Abandoned = append(e.Abandoned, *left)
		k.core.tellFailure(failure.AbandonedTask, k.pid, left.Name, errAbandoned)
	}
	k.addAccount(e)
	k.handleEvent(t, life.ChildAbandoned)
	sendSystem(k.core.node.sys, k.core.node.pid, &actor.Terminated{Who: k.pid})
}

// ChildInfo is a child as it was at one moment: values only.
type ChildInfo struct {
	Name string
	PID  *actor.PID // nil while there is no actor
	Kind Kind
	// State is "gone", "starting", "up", "failed", "quiesced" or "stopping". Of one
	// that is quiesced nothing runs until its restart; it keeps its queue. One that is
	// stopping, whoever has said so, takes nothing new; a plain actor without an
	// EventLoop that ends by itself is up until it is gone.
	State    string
	Since    time.Time   // it is in that state
	Restarts int         // so far
	Err      error       // what it failed of last; nil: it never has
	Children []ChildInfo // of a supervisor

	// Ref names it as it is now, for [RestartChild], [StopChild] and [EndGrace].
	Ref Ref
	// What its Child says.
	Restart     Restart
	Shutdown    actors.Grace // with its default
	Significant bool
	Abandon     bool
	// BackoffLeft is for how long it still waits for its restart; 0: it does not.
	BackoffLeft time.Duration
	// GraceLeft is what is left of the grace of one that its supervisor stops:
	// actors.Forever if that has no end. 0: it is over, or nobody stops it.
	GraceLeft time.Duration
}

// String is the child on one line: "store: up, worker, 2 restarts, last of: no disk".
// Those of a supervisor follow in brackets.
func (i ChildInfo) String() string {
	s := fmt.Sprintf("%s: %s, %s", oneline.Name(i.Name), i.State, i.Kind)
	if i.Restarts > 0 {
		s += fmt.Sprintf(", %d restarts", i.Restarts)
	}
	if i.Err != nil {
		s += fmt.Sprintf(", last of: %v", i.Err)
	}
	for n, child := range i.Children {
		sep := "; "
		if n == 0 {
			sep = " ["
		}
		s += sep + child.String()
	}
	if len(i.Children) > 0 {
		s += "]"
	}
	return s
}

// childInfo returns the child as it is. With the node's mu held.
func (k *child) childInfo(now time.Time) ChildInfo {
	i := ChildInfo{
		Name: k.name, PID: k.pid, Kind: k.kind, State: k.life.State().Shown(),
		Since: k.stateSince, Restarts: k.restartCount(), Err: k.failed().lastErr,
		Ref:     Ref{k.core.node.pid.Id, k.name, k.startID},
		Restart: k.spec.Restart, Shutdown: k.shutdownGrace(), Significant: k.spec.Significant, Abandon: k.spec.Abandon,
		GraceLeft: k.graceLeft(now),
	}
	if until := k.failed().waitsUntil; !until.IsZero() {
		i.BackoffLeft = max(until.Sub(now), 0)
	}
	if i.State == life.ChildGone.Shown() {
		i.PID = nil
	}
	return i
}

// restartCount is how often it has come up again. On the loop, or with the node's mu
// held.
func (k *child) restartCount() int { return max(k.upCount-1, 0) }

// updateShown changes what everybody may see of the child.
func (k *child) updateShown(change func()) {
	mu := &k.core.node.mu
	mu.Lock()
	change()
	mu.Unlock()
}

// emitUp emits the event that the child is up. Whoever waits for its start would be
// late: the child's failure may be the next message.
func (k *child) emitUp() {
	k.upSince, k.wasUp = k.stateSince.Sub(k.core.startedAt), true
	if took := k.upSince - k.startedAt; k.upCount > 1 {
		emitEvent(k.core.events, ChildRestarted{k.eventPlace(), k.restartCount(), took})
		k.core.tellFailure(failure.WorkerRestart, k.pid, "", cmp.Or(k.failed().restartCause, actors.ErrRestarted))
	} else {
		emitEvent(k.core.events, ChildStarted{k.eventPlace(), k.pid, took})
	}
	if k.failures != nil {
		k.failures.restartCause = nil
	}
}

// handleTerminated is called when the engine has forgotten the child. If its account is not final yet, its
// mailbox calls Stopped when it is.
func (k *child) handleTerminated(t *actors.Task) {
	if !k.life.State().HasActor() {
		return
	}
	if e, final := k.process.Final(); final {
		k.addAccount(e)
		k.handleEvent(t, life.ChildEnded)
	}
}

// forgetChild drops a child that is gone for good; its account stays.
func (c *core) forgetChild(t *actors.Task, k *child) {
	if k.life.State() == life.ChildRemoved {
		return
	}
	k.handleEvent(t, life.ChildForgotten)
	c.formerChildren.addReport(k.accountSoFar())
	n := c.node
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(c.children, k.name)
}
