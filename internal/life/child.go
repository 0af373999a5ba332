// SPDX-License-Identifier: Apache-2.0

package life

// Child is the life of a supervisor's child: where it is, and what the supervisor
// still has to do about it. On is the only writer. The zero value is a child that
// has not been added; see NewChild.
//
// One Child lives through all actors of its name: a restart of the actor, the next
// actor after the end of one, and those whose Spawn has failed.
//
// What leads from one state to another (generated from life.Child by go generate):
//
//	gone       → spawning    its start
//	           → removed     it is removed
//	spawning   → gone        Spawn fails
//	           → starting    it is spawned
//	starting   → gone        it ends
//	                         it does not end, and is abandoned
//	           → up          setup succeeds
//	           → overdue     setup takes longer than StartTimeout
//	           → failed      it fails
//	           → quiesced    nothing of it runs any more, for a restart
//	           → stopping    its stop
//	           → killing     its stop
//	up         → gone        it ends by itself, or somebody else stops it
//	                         it does not end, and is abandoned
//	           → failed      it fails
//	           → quiesced    nothing of it runs any more, for a restart
//	           → stopping    its stop
//	           → killing     its stop
//	           → leaving     its stop event is set, by itself or somebody else
//	overdue    → gone        it ends
//	                         it does not end, and is abandoned
//	           → starting    its restart
//	           → failed      it fails
//	           → quiesced    nothing of it runs any more, for a restart
//	           → killing     its stop
//	           → recovering  its stop, before anybody has dealt with its failure
//	failed     → gone        it ends
//	                         it does not end, and is abandoned
//	           → starting    its restart
//	           → quiesced    nothing of it runs any more, for a restart
//	           → killing     its stop
//	           → recovering  its stop, before anybody has dealt with its failure
//	quiesced   → gone        it ends
//	                         it does not end, and is abandoned
//	           → starting    its restart
//	           → killing     its stop
//	stopping   → gone        it ends
//	                         it does not end, and is abandoned
//	           → killing     it fails
//	                         its grace is over
//	                         its supervisor is cut off
//	           → recovering  it fails, and its Restart says so
//	killing    → gone        it ends
//	                         it does not end, and is abandoned
//	leaving    → gone        it ends
//	                         it does not end, and is abandoned
//	           → failed      it fails
//	           → quiesced    nothing of it runs any more, for a restart
//	           → stopping    its stop
//	           → killing     its stop
//	recovering → gone        it ends
//	                         it does not end, and is abandoned
//	           → stopping    setup succeeds
//	           → killing     it fails
//	                         its grace is over
//	                         its supervisor is cut off
type Child struct {
	state ChildState
	want  ChildWant
}

// State is where the child is.
func (c Child) State() ChildState { return c.state }

// Want is what is still to be done about it.
func (c Child) Want() ChildWant { return c.want }

// NewChild is a child that is to be started for the first time.
func NewChild() Child { return Child{ChildGone, ChildWantStart} }

// ChildState is where a child is in its life. The order has no meaning.
type ChildState uint8

const (
	ChildGone       ChildState = iota // no actor: it was never started, has ended, or was abandoned
	ChildSpawning                     // the engine's Spawn runs, and the user's producer in it
	ChildStarting                     // setup runs
	ChildUp                           // it works
	ChildLeaving                      // … and takes nothing new: it ends by itself, or somebody else stops it
	ChildFailed                       // it has suspended itself
	ChildOverdue                      // setup has not ended in time, and may still run
	ChildQuiesced                     // nothing of it runs; it keeps its queue
	ChildStopping                     // the stop event is set, and its grace lasts
	ChildRecovering                   // so they are, and setup runs, for what it has accepted
	ChildKilling                      // its grace is over
	ChildRemoved                      // it is no child any more
)

// String is the word that tables, logs and diagrams have for it.
func (s ChildState) String() string {
	return word(s, "gone", "spawning", "starting", "up", "leaving", "failed", "overdue", "quiesced", "stopping", "recovering", "killing", "removed")
}

// Shown is the state as users see it, who need not know all of them.
func (s ChildState) Shown() string {
	switch s {
	case ChildSpawning, ChildRemoved: // there is no actor that has a PID
		s = ChildGone
	case ChildOverdue:
		s = ChildFailed
	case ChildLeaving, ChildRecovering, ChildKilling:
		s = ChildStopping
	}
	return s.String()
}

// HasActor reports whether there is an actor that the supervisor waits for. One that
// was abandoned does not count.
func (s ChildState) HasActor() bool {
	return s != ChildGone && s != ChildSpawning && s != ChildRemoved
}

// HasComeUp reports whether it works, be it for the rest of what it has accepted.
func (s ChildState) HasComeUp() bool { return s == ChildUp || s == ChildLeaving }

// HasFailed reports whether the last that was heard of it is a failure.
func (s ChildState) HasFailed() bool { return s == ChildFailed || s == ChildOverdue }

// IsEnding reports whether it was told to stop and has not ended.
func (s ChildState) IsEnding() bool {
	return s == ChildStopping || s == ChildRecovering || s == ChildKilling
}

// ChildWant is what its supervisor still has to do about a child.
type ChildWant uint8

const (
	ChildWantNothing ChildWant = iota // nothing is to be done
	// ChildWantStart: it is down, or about to be, and comes up together with others.
	ChildWantStart
	// ChildWantDecision: it has failed or ended by itself, and nobody has asked the
	// restart table yet.
	ChildWantDecision
	// ChildWantBoth: it ended by itself on its way down. If the decision is for it, it
	// comes up with the others.
	ChildWantBoth
)

// Start reports whether it is to come up.
func (w ChildWant) Start() bool { return w == ChildWantStart || w == ChildWantBoth }

// Decision reports whether it has to be decided on.
func (w ChildWant) Decision() bool { return w >= ChildWantDecision }

func childWant(decision, start bool) ChildWant {
	switch {
	case decision && start:
		return ChildWantBoth
	case decision:
		return ChildWantDecision
	case start:
		return ChildWantStart
	}
	return ChildWantNothing
}

// ChildEvent is what happens to a child.
type ChildEvent uint8

const (
	ChildStartAsked    ChildEvent = iota // an operation starts it, or its next incarnation
	ChildSpawned                         // Spawn has returned an actor
	ChildSpawnFailed                     // Spawn has returned none
	ChildSetUp                           // setup has succeeded
	ChildLeaves                          // its stop event is set, and not by its supervisor
	ChildStartTimedOut                   // setup has not ended in time
	ChildCrashed                         // it has failed, and suspended itself; not one that drains and goes on
	ChildEnded                           // the engine has forgotten it, and its account is final
	ChildDecisionDue                     // what was asked of it has failed: that counts as a failure of its own
	ChildDecided                         // the restart table has been asked
	ChildRestartDue                      // it restarts with its group, once that is down
	ChildLetGo                           // it is not to come up
	ChildQuiesceAsked                    // what is in flight ends; the queue stays
	ChildHasQuiesced                     // nothing of it runs
	ChildQuiesceOver                     // nobody waits for that any more, whatever has come of it
	ChildStopAsked                       // it is to end
	ChildGraceOver                       // … and has had its time for that
	ChildCutOff                          // … or its supervisor has none left
	ChildAbandoned                       // it does not end, and nobody waits for it any more
	ChildForgotten                       // it is taken off the list
	childEvents
)

// ChildFacts is what On looks at besides.
type ChildFacts struct {
	Stopping bool          // of crashed, ended: the supervisor stops, and decides on nobody
	Drains   bool          // of crashed, stop asked: after a restart it could go on with what it has accepted
	Forced   bool          // of stop asked: there is no grace any more
	Shutdown ChildShutdown // of stop asked
}

// ChildShutdown is how a child is stopped.
type ChildShutdown uint8

const (
	ChildShutdownGrace   ChildShutdown = iota // it has some time
	ChildShutdownKill                         // it has none
	ChildShutdownAbandon                      // it has some, and nobody waits for it
	childShutdowns
)

// ChildEffects is what is to be done, in the order of the constants.
type ChildEffects uint16

const (
	ChildEnter        ChildEffects = 1 << iota // it has come into its state, or again
	ChildStartUp                               // the start is answered: it has come up
	ChildStartFailed                           // the start is answered: it has not
	ChildTellStopping                          // its stop begins
	ChildTellStopped                           // its stop has ended
	ChildSpawn                                 // make an actor
	ChildRestart                               // have its actor begin anew
	ChildQuiesce                               // have its actor end what is in flight
	ChildStopGraceful                          // stop its actor, which has the grace
	ChildEndGrace                              // stop its actor now, which may have children whose grace ends, too
	ChildStopNow                               // stop its actor now, which is suspended
	ChildStopUnwaited                          // stop its actor, which has its own grace
	ChildAbandon                               // wait no more for it
	ChildAskDecision                           // have somebody decide on it
)

// Has reports whether one is among them.
func (do ChildEffects) Has(one ChildEffects) bool { return do&one != 0 }

// On is the child after an event, and what is to be done. What cannot happen in a
// state changes nothing.
func (c Child) On(e ChildEvent, f ChildFacts) (Child, ChildEffects) {
	switch e {
	case ChildStartAsked:
		return c.onStartAsked()
	case ChildSpawned:
		if c.state == ChildSpawning {
			return c.enter(ChildStarting)
		}
	case ChildSpawnFailed:
		if c.state == ChildSpawning {
			return c.enter(ChildGone)
		}
	case ChildSetUp:
		switch c.state {
		case ChildStarting:
			return c.enter(ChildUp)
		case ChildRecovering:
			c.state = ChildStopping
		}
	case ChildLeaves:
		if c.state == ChildUp { // one that starts says so again when it has come up
			return c.enter(ChildLeaving)
		}
	case ChildStartTimedOut:
		if c.state == ChildStarting {
			return c.enter(ChildOverdue)
		}
	case ChildCrashed:
		return c.onCrashed(f)
	case ChildEnded:
		if c.state.HasActor() {
			return c.goneFrom(c.state.HasComeUp() && !f.Stopping) // nobody had asked
		}
	case ChildDecisionDue:
		if c.state.HasFailed() {
			return c.decisionDue()
		}
	case ChildDecided, ChildQuiesceOver:
		return c.decided(), 0
	case ChildRestartDue:
		if c.state != ChildRemoved {
			return Child{c.state, childWant(c.want.Decision(), true)}, 0
		}
	case ChildLetGo:
		return Child{c.state, childWant(c.want.Decision(), false)}, 0
	case ChildQuiesceAsked:
		switch c.state {
		case ChildStarting, ChildUp, ChildLeaving, ChildFailed, ChildOverdue:
			return c, ChildQuiesce
		}
	case ChildHasQuiesced:
		switch c.state {
		case ChildStarting, ChildUp, ChildLeaving, ChildFailed, ChildOverdue:
			return c.enter(ChildQuiesced)
		}
	case ChildStopAsked:
		return c.decided().onStopAsked(f, c.want.Decision())
	case ChildGraceOver:
		if c.state == ChildStopping || c.state == ChildRecovering {
			return c.kill(ChildEndGrace)
		}
	case ChildCutOff:
		if c.state.IsEnding() {
			return c.kill(ChildStopNow)
		}
	case ChildAbandoned:
		if c.state.HasActor() {
			return c.goneFrom(false)
		}
	case ChildForgotten:
		if c.state == ChildGone {
			return Child{ChildRemoved, ChildWantNothing}, ChildEnter
		}
	}
	return c, 0
}

// onStartAsked answers at once a start that cannot be: its caller waits.
func (c Child) onStartAsked() (Child, ChildEffects) {
	switch c.state {
	case ChildGone:
		return Child{ChildSpawning, ChildWantNothing}, ChildEnter | ChildSpawn
	case ChildSpawning: // it will be answered
		return c, 0
	case ChildLeaving, ChildStopping, ChildRecovering, ChildKilling, ChildRemoved:
		return c, ChildStartFailed
	}
	// Of one that starts nobody waits any more for the start before this one.
	return Child{ChildStarting, ChildWantNothing}, ChildEnter | ChildRestart
}

func (c Child) onCrashed(f ChildFacts) (Child, ChildEffects) {
	switch c.state {
	case ChildStopping:
		if f.Drains {
			c.state = ChildRecovering
			return c, ChildRestart
		}
		return c.kill(ChildStopNow) // suspended, it would not come to its end
	case ChildRecovering, ChildKilling: // one whose setup fails would do so again and again
		return c.kill(ChildStopNow)
	case ChildUp, ChildLeaving:
		if !f.Stopping {
			failed, effects := c.enter(ChildFailed)
			decide, more := failed.decisionDue()
			return decide, effects | more
		}
		return c.enter(ChildFailed)
	case ChildStarting, ChildFailed, ChildOverdue:
		return c.enter(ChildFailed)
	}
	return c, 0 // it has failed on its way to where it is
}

// onStopAsked: undecided says that it has failed, and that nobody has dealt with
// that.
func (c Child) onStopAsked(f ChildFacts, undecided bool) (Child, ChildEffects) {
	to, also := ChildStopping, ChildEffects(0)
	switch c.state {
	case ChildGone, ChildSpawning, ChildStopping, ChildRecovering, ChildKilling, ChildRemoved:
		return c, 0
	case ChildQuiesced: // it waits for its restart, and cannot go on
		return c.stop(ChildKilling, ChildStopNow)
	case ChildFailed, ChildOverdue: // so does it, unless the failure is younger than the restart
		if !undecided || !f.Drains || f.Forced || f.Shutdown == ChildShutdownKill {
			return c.stop(ChildKilling, ChildStopNow)
		}
		to, also = ChildRecovering, ChildRestart
	}
	switch {
	case f.Shutdown == ChildShutdownAbandon:
		return c.stop(to, also|ChildStopUnwaited|ChildAbandon)
	case f.Forced, f.Shutdown == ChildShutdownKill:
		return c.stop(ChildKilling, ChildEndGrace)
	}
	return c.stop(to, also|ChildStopGraceful)
}

// stop is the way into the stop, at its begin.
func (c Child) stop(to ChildState, how ChildEffects) (Child, ChildEffects) {
	c, effects := c.enter(to)
	return c, effects | ChildTellStopping | how
}

// kill ends the grace of one that was told to stop. Its stop goes on.
func (c Child) kill(how ChildEffects) (Child, ChildEffects) {
	c.state = ChildKilling
	return c, how
}

// goneFrom is the end of the child's actor; undecided: whether it comes up again is
// to be decided.
func (c Child) goneFrom(undecided bool) (Child, ChildEffects) {
	wasEnding := c.state.IsEnding()
	c, effects := c.enter(ChildGone)
	if wasEnding {
		effects |= ChildTellStopped
	}
	if undecided {
		decide, more := c.decisionDue()
		return decide, effects | more
	}
	return c, effects
}

// enter is the step to another state, or anew into the same. A start that nobody has
// answered is answered by it.
func (c Child) enter(to ChildState) (Child, ChildEffects) {
	effects := ChildEnter
	switch {
	case c.state == ChildStarting && to == ChildUp:
		effects |= ChildStartUp
	case c.state == ChildStarting, c.state == ChildSpawning && to != ChildStarting:
		effects |= ChildStartFailed
	}
	c.state = to
	return c, effects
}

func (c Child) decided() Child { return Child{c.state, childWant(false, c.want.Start())} }

func (c Child) decisionDue() (Child, ChildEffects) {
	return Child{c.state, childWant(true, c.want.Start())}, ChildAskDecision
}
