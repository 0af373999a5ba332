// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/messages"
)

// lifecycle tracks the life of the mailbox's actor. Where it is in that only the table
// of package life decides: this file tells it what happens, and does what it says.
// Owned by the loop, but for frame: a task that was abandoned in the user's middleware
// may read it.
type lifecycle struct {
	life.Worker
	frame       atomic.Uint32 // what the engine is doing; see frameOpen
	unsuspended int32         // failures that a plain parent was told of, whose SuspendMailbox has not come yet; see Control
	ready       *Future[None] // of Spawn, until the first setup has succeeded; see sparse.failed
	incarnation uint64
	reason      error // why the incarnation ends
}

// what the engine does, in lifecycle.frame
const (
	frameNone    uint32 = iota
	frameOpen           // it handles a lifecycle message
	frameStarted        // … and has told the actor that it has started
	frameStopped        // … or stopped
)

// occurrence is what happens to a worker, and what its effects need to know.
type occurrence struct {
	event life.WorkerEvent
	facts life.WorkerFacts
	err   error // what has led to it, or nil
	task  *Task // that has failed, or nil
}

// control messages of our own
type (
	stopEventSet struct{} // the stop event has been set
	forcedStop   struct{} // the grace is over, or there was none
	force        struct { // the time to unwind is over
		again bool // … and was before
	}
	earlyStop struct {
		m   *messages.Stop
		env *actor.MessageEnvelope
	}
	pendingMayBeZero struct{}                       // something has ended outside of the loop
	leaveWalk        struct{ walk *loop.Suspended } // a snapshot does without the rest of the tasks
)

// What the engine is told; constant.
var (
	engineStop    = &actor.Stop{}
	engineRestart = &actor.Restart{}
)

// Control is the loop's: a system message, or one of ours.
func (mb *mailbox) Control(m any) {
	switch m := m.(type) {
	case *actor.SuspendMailbox:
		mb.life.unsuspended--
	case *actor.ResumeMailbox:
		// That of an earlier restart must not resume a mailbox that has failed
		// again since.
		if mb.life.unsuspended <= 0 {
			mb.handleOccurrence(occurrence{event: life.Resumed})
		}
	case *actor.Restart:
		mb.handleOccurrence(occurrence{event: life.RestartAsked})
	case quiesce:
		if mb.gate.Load() == gateOpen { // else it is about to be gone
			mb.handleOccurrence(occurrence{event: life.QuiesceAsked, err: m.cause})
		}
	case *actor.Terminated:
		mb.terminated(m)
	case *actor.Failure:
		if s := mb.Supervisor(); s != nil {
			s.PlainFailed(m)
			return
		}
		mb.handleOccurrence(mb.runFrame(m))
	case *actor.Started:
		if !mb.hearsLifecycle() {
			mb.handleOccurrence(occurrence{event: life.EngineStarted})
			return
		}
		mb.handleOccurrence(mb.runFrame(m))
	case *actor.Watch, *actor.Unwatch:
		mb.handleOccurrence(mb.runFrame(m))
	case stopEventSet:
		mb.handleOccurrence(occurrence{event: life.StopAsked})
		mb.tellFinalAccount()
		mb.armGrace()
	case idleQuestion:
		mb.answerIdle()
	case delaysDue:
		mb.beginDelayed()
	case pendingMayBeZero:
		mb.handleOccurrence(mb.lookIfLive())
		mb.tellFinalAccount()
	case forcedStop:
		mb.handleOccurrence(occurrence{event: life.ForcedStopAsked})
	case earlyStop:
		mb.stopMessage(m.m, m.env)
	case *search:
		m.onLoop()
	case leaveWalk:
		m.walk.Leave()
	case force:
		var f life.WorkerFacts
		if m.again {
			f = life.FactAgain
		}
		mb.handleOccurrence(occurrence{event: life.GraceOver, facts: f})
	default:
		// The engine's continuation of a ReenterAfter on its raw context, or
		// something newer: user code, so it gets a turn.
		mb.loop.Go(&mb.newInternal("continuation", func(*Task) { mb.invoker().InvokeSystemMessage(m) }).lt)
	}
}

// AllEnded is the loop's: nothing is live.
func (mb *mailbox) AllEnded() {
	if !mb.life.Serves() {
		mb.handleOccurrence(mb.lookIfLive())
	}
}

// handleOccurrence tells the table what happens, and does what it says. What comes of that,
// be it by the engine in a frame of ours, is told afterwards, never meanwhile.
func (mb *mailbox) handleOccurrence(o occurrence) {
	for o.event != life.NoEvent {
		do := mb.life.On(o.event, o.facts)
		o = mb.carryOut(do, o)
		if do&life.DoLookIfLive != 0 && o.event == life.NoEvent {
			o = mb.lookIfLive()
		}
	}
}

// lookIfLive is LiveZero or QueueZero, if it is so.
func (mb *mailbox) lookIfLive() (o occurrence) {
	switch phase := mb.life.Phase(); {
	case mb.loop.Live() > 0, mb.offloaded.countFunctions() > 0 && phase < life.PhaseRestarting:
	case mb.life.Drains() && mb.loop.Queued() == 0 && mb.onTheWay(): // who is on the way wakes the loop
	case mb.life.Drains() && mb.loop.Queued() == 0:
		o.event = life.QueueZero
	default:
		o.event = life.LiveZero
		if phase != life.PhaseUnwinding && phase != life.PhaseHooks {
			break
		}
		if len(mb.stopHooks()) > 0 {
			o.facts |= life.FactHooks
		}
		if mb.hearsLifecycle() {
			o.facts |= life.FactListener
		}
	}
	return o
}

// carryOut does what is to be done because of o, in order, and returns what has
// happened by that.
func (mb *mailbox) carryOut(do life.WorkerEffects, o occurrence) (next occurrence) {
	l := &mb.life
	for ; do != 0; do &= do - 1 {
		switch do & -do {
		case life.DoReportFailure:
			mb.reportFailure(o.task, o.err)
		case life.DoBegin:
			mb.beginIncarnation()
		case life.DoFinish:
			mb.finishIncarnation(o.err)
		case life.DoCutOff:
			mb.cutOff()
		case life.DoBoundHooks:
			mb.giveUpAfter(mb.opts.StopGrace)
		case life.DoDropQueued:
			mb.dropQueued()
		case life.DoEndCleanups:
			if s := mb.rare.Load(); s != nil {
				s.cleanups.endCleanups(because(l.reason, ErrTimeout), false)
			}
		case life.DoAbandonOffloads:
			mb.abandonOffloads()
		case life.DoNoteTasksEnded:
			mb.ending().noteStage(stageHooks)
		case life.DoNoteHooksEnded:
			mb.ending().noteStage(stageRelease)
		case life.DoCalm:
			mb.disarmGiveUp()
		case life.DoRenew:
			mb.inc.Store(mb.newIncarnation(l.incarnation))
		case life.DoTellReady:
			mb.tellReady()
		case life.DoOpen:
			mb.openQueue()
		case life.DoReopen:
			mb.reopenQueue()
		case life.DoStartSetup:
			mb.loop.Go(&mb.newSetup().lt)
		case life.DoHearKept:
			mb.tellKept()
		case life.DoRunHooks:
			mb.startHooks()
		case life.DoTellActor:
			mb.tellActor()
		case life.DoTellQuiesced:
			mb.super.ChildQuiesced(supervised{mb})
		case life.DoEscalate:
			next = mb.escalate(o.task, o.err)
		case life.DoReportInDrain:
			mb.reportInDrain(o.task, o.err)
		case life.DoReportInEnd:
			mb.reportInEnd(o.task, o.err)
		case life.DoStopItself:
			mb.requestForcedStop()
		case life.DoEngineRestart:
			mb.restoreProps()
			next = mb.runFrame(engineRestart)
		case life.DoEngineStop:
			mb.dropProps()
			next = mb.runFrame(engineStop)
		case life.DoLetGo:
			mb.letGo()
			next = mb.lookIfPending()
		case life.DoTellStopped:
			mb.tellStopped()
		}
	}
	return next
}

// runFrame lets the engine handle one of its messages, and returns what it has
// said. User code does not run meanwhile: the shield keeps what the engine tells
// the actor.
func (mb *mailbox) runFrame(m any) (said occurrence) {
	l := &mb.life
	var panicked *PanicError
	var saw uint32
	func() {
		l.frame.Store(frameOpen)
		defer func() {
			if v := recover(); v != nil {
				panicked = newPanicError(v)
			}
			saw = l.frame.Swap(frameNone)
		}()
		mb.invoker().InvokeSystemMessage(m)
	}()
	switch saw {
	case frameStarted:
		said.event = life.EngineStarted
	case frameStopped:
		said.event = life.EngineStopped
	}
	if panicked != nil { // a producer or a supervisor strategy of the user's
		mb.logger().Error("actors: panic while the engine handled a lifecycle message", "message", typeOf(m), "panic", panicked.Value, "stack", string(panicked.Stack))
		mb.tellPanic("what the engine calls for "+typeOf(m), panicked)
		switch m.(type) {
		case *actor.Restart, *actor.Terminated: // of the last child
			if l.Phase() == life.PhaseRestarting {
				return occurrence{event: life.EngineFailed, facts: mb.whetherStopping(), err: panicked}
			}
		}
	}
	return said
}

// watcher is where the engine sends the end of mb to somebody who watches it. One that
// is gone makes it a dead letter, whose subscribers would be called within the frame.
type watcher struct{ mb *mailbox }

// SendSystemMessage is called in a frame.
func (w watcher) SendSystemMessage(pid *actor.PID, m any) {
	s := w.mb.sys
	if p, ok := s.as.ProcessRegistry.Get(pid); ok {
		p.SendSystemMessage(pid, m)
		return
	}
	s.queueCall(func() { s.as.DeadLetter.SendSystemMessage(pid, m) })
}

// SendUserMessage is never called: nobody else has this PID.
func (w watcher) SendUserMessage(pid *actor.PID, m any) { w.mb.sys.send(pid, m) }

// Stop is never called, either.
func (w watcher) Stop(pid *actor.PID) { w.mb.sys.as.Root.Stop(pid) }

// whetherStopping is looked at once for each failure: it may become so at any
// moment.
func (mb *mailbox) whetherStopping() life.WorkerFacts {
	if mb.gate.Load() != gateOpen {
		return life.FactStopping
	}
	return 0
}

// framed is what the engine tells the actor within a frame.
func (mb *mailbox) framed(c actor.ReceiverContext, m any) {
	switch m := m.(type) {
	case *actor.Started:
		// Once: at a restart tasks that were abandoned may still read it.
		if ctx, ok := c.(actor.Context); ok && mb.life.incarnation == 0 {
			mb.view.actorContext = ctx
		}
		mb.life.frame.Store(frameStarted)
	case *actor.Stopped:
		mb.deliverStopped(m)
		mb.life.frame.Store(frameStopped)
	}
}

// beginIncarnation begins one. What is queued waits for its setup.
func (mb *mailbox) beginIncarnation() {
	l := &mb.life
	if l.incarnation > 0 {
		mb.kind.restarts.Add(1)
	}
	if l.incarnation > 0 && mb.super == nil { // else that tells of it
		mb.tellFailure(failure.WorkerRestart, "", cmp.Or(l.reason, ErrRestarted))
	}
	l.incarnation++
	l.reason = nil
	mb.disarmGiveUp()
	if s := mb.rare.Load(); s != nil {
		s.idle.set(0) // the former incarnation's
		s.spawner.Store(nil)
	}
	mb.inc.Store(mb.newIncarnation(l.incarnation))
	mb.loop.Hold(true)
}

// openQueue is the end of a setup that has succeeded.
func (mb *mailbox) openQueue() {
	for _, s := range slices.Backward(mb.takeStash()) {
		mb.loop.PushFront(&s.again.lt)
	}
	mb.loop.Hold(false)
	for _, b := range mb.backgroundParts() {
		b.begin(mb)
	}
	mb.sys.idlers.watchIdle(mb)
}

// reopenQueue goes on after a failure with the state as it is. Backgrounds and the
// Main, which live as long as the worker, begin anew; one that has failed itself
// does not, or it might fail for ever.
func (mb *mailbox) reopenQueue() {
	mb.loop.Hold(false)
	for _, b := range mb.backgroundParts() {
		if b.cut {
			b.begin(mb)
		}
	}
}

// finishIncarnation lets its awaits fail from now on, and nothing new start.
func (mb *mailbox) finishIncarnation(err error) {
	l := &mb.life
	l.reason = ErrRestarted
	if err == nil && l.Want() == life.WantStop {
		l.reason = ErrStopped
	}
	l.reason = because(l.reason, err)
	mb.ending().noteStage(stageCut)
	mb.loop.Hold(true)
	mb.loop.ReleaseExclusive()
	mb.inc.Load().endIncarnation(l.reason)
	mb.endDelayed(l.reason)
}

// endWithIncarnation fails the futures of tasks in flight.
func (mb *mailbox) cutOff() {
	cause := mb.life.reason
	if mb.loop.Live() > 0 {
		var later callbacks
		mb.loop.EachLive(func(lt *loop.Task) {
			// But not what a Cleanup that runs has started: that ends with the Cleanup.
			if u, ok := lt.Body.(body); ok && u.task().endCause() != nil {
				u.task().endWithIncarnation(cause, &later)
			}
		})
		later.callElsewhere()
	}
	if s := mb.rare.Load(); s != nil {
		s.cleanups.endCleanups(cause, true)
	}
	if mb.loop.Live() > 0 || mb.offloaded.countFunctions() > 0 {
		mb.giveUpAfter(mb.opts.StopGrace)
	}
}

// letGo is the end: the engine has taken the actor out of its registry.
func (mb *mailbox) letGo() {
	l := &mb.life
	mb.gate.Store(gateStopped)
	if s := mb.rare.Load(); s != nil {
		s.idle.stop()
	}
	mb.budgets.stop(mb)
	mb.sys.idlers.forgetIdle(mb)
	mb.loop.DropAll(func(lt *loop.Task) {
		var later callbacks
		mb.dropTask(lt.Body.(body).task(), &later)
		later.callElsewhere()
		if mb.pending() == 0 { // it has come late
			mb.loop.PostControl(pendingMayBeZero{})
		}
	})
	mb.dropStash()
	mb.inc.Load().endIncarnation(ErrStopped)
	if l.ready != nil {
		err := because(ErrStopped, l.reason)
		if s := mb.rare.Load(); s != nil {
			err = cmp.Or(s.failed, err)
		}
		l.ready.fail(err)
	}
	mb.sys.remove(mb)
	mb.loop.End()
	mb.ending().noteStage(stageOver)
}

// tellFinalAccount tells the final account when all that was accepted has ended: a
// sender that found the gate open may still be about to post.
func (mb *mailbox) tellFinalAccount() { mb.handleOccurrence(mb.lookIfPending()) }

// lookIfPending is PendingZero, if it is so.
func (mb *mailbox) lookIfPending() (o occurrence) {
	if mb.life.Phase() == life.PhaseStopped && mb.pending() == 0 {
		o.event = life.PendingZero
	}
	return o
}

// dropQueued fails everything that has not started, the stash first: it came
// before the queue.
func (mb *mailbox) dropQueued() {
	mb.dropStash()
	if mb.loop.Queued() == 0 {
		return
	}
	var later callbacks
	mb.loop.DropQueued(func(lt *loop.Task) { mb.dropTask(lt.Body.(body).task(), &later) })
	later.callElsewhere()
}

// dropStash fails what is stashed.
func (mb *mailbox) dropStash() {
	stash := mb.takeStash()
	if len(stash) == 0 {
		return
	}
	var later callbacks
	for _, s := range stash {
		mb.dropTask(s.again, &later)
	}
	later.callElsewhere()
}
