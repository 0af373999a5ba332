package actors

import (
	"cmp"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/messages"
)

// phase is where a worker is in its life. The arrows say what may come next.
//
//	starting ─▶ setup ─▶ running ─▶ unwinding ─▶ hooks ─▶ released ─┬▶ starting
//	              └───────────────────▲                             └▶ stopped
type phase uint8

const (
	phaseStarting  phase = iota // the engine has not said Started yet
	phaseSetup                  // setup runs; messages wait
	phaseRunning                // messages are handled; also while it stops gracefully
	phaseUnwinding              // every await fails; waiting for the tasks to end
	phaseHooks                  // OnStop hooks run
	phaseReleased               // the engine restarts or stops the actor, once its children have stopped
	phaseStopped                // gone; what arrives is failed
)

func (p phase) String() string {
	return [...]string{"starting", "setup", "running", "unwinding", "stop hooks", "released", "stopped"}[p]
}

// lifecycle is the mailbox's view of its actor's life. The engine's messages
// Restart and Stop reach the engine only when no task is live.
type lifecycle struct {
	phase phase
	ready *Future[struct{}] // of Spawn; see sparse.failed

	incarnation uint64
	setupRan    bool // this incarnation's setup has begun
	setupOK     bool // … and has succeeded
	draining    bool // the stop event is set: end when nothing is left to do
	wantStop    bool
	wantRestart bool
	hold        bool  // the supervisor will say when to go on
	quiet       bool  // … and has been told that nothing is left to do
	reason      error // why the incarnation ends

	// Suspension is counted: the engine's Resume of an earlier restart must
	// not resume a mailbox that has failed again since.
	failures, seen, resolved uint32

	inFrame             bool // the engine handles a lifecycle message
	sawStarted, sawStop bool // what it told the actor meanwhile
	hooksRun, endTold   bool // what runHooks has begun
	forced              bool // the time to unwind has been over once
	restarting          bool // the engine has been told to
	told                bool // tellStopped has been called
}

// control messages of our own
type (
	softStop  struct{} // the stop event has been set
	hardStop  struct{} // the grace is over, or there was none
	force     struct{} // the time to unwind is over
	earlyStop struct {
		m   *messages.Stop
		env *actor.MessageEnvelope
	}
	settled struct{} // the last offloaded function has returned
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
		mb.life.seen++
	case *actor.ResumeMailbox:
		mb.life.resolved = mb.life.seen
		mb.advance()
	case *actor.Restart:
		mb.cut(ErrRestarted) // unless it has failed already: a sibling has
		mb.life.wantRestart, mb.life.hold = true, false
		mb.advance()
	case quiesce:
		if mb.gate.Load() == gateOpen { // else it is about to be gone
			mb.cut(because(ErrRestarted, m.cause))
			mb.life.hold = true
			mb.advance()
		}
	case *actor.Terminated:
		mb.terminated(m)
	case *actor.Failure:
		if s := mb.supervises.Load(); s != nil {
			(*s).Failure(m)
			return
		}
		mb.frame(m)
	case *actor.Started, *actor.Watch, *actor.Unwatch:
		mb.frame(m)
	case softStop:
		mb.life.draining = true
		mb.advance()
		mb.account()
		mb.armSoft()
	case settled:
		mb.advance()
		mb.account()
	case hardStop:
		mb.cut(ErrStopped)
		mb.life.wantStop = true
		if mb.life.phase == phaseHooks {
			mb.giveUpAfter(mb.opts.StopGrace)
		}
		mb.advance()
	case earlyStop:
		mb.stopMessage(m.m, m.env)
	case *search:
		m.onLoop()
	case force:
		mb.forced()
	default:
		// The engine's continuation of a ReenterAfter on its raw context, or
		// something newer: user code, so it gets a turn.
		mb.loop.Go(&mb.newInternal("continuation", func(*Task) { mb.invoker().InvokeSystemMessage(m) }).lt)
	}
}

// Settled is the loop's: nothing is live.
func (mb *mailbox) Settled() { mb.advance() }

// frame lets the engine handle one of its messages. User code does not run
// meanwhile: the shield keeps what the engine tells the actor.
func (mb *mailbox) frame(m any) {
	l := &mb.life
	var panicked any
	func() {
		l.inFrame = true
		defer func() {
			panicked = recover()
			l.inFrame = false
		}()
		mb.invoker().InvokeSystemMessage(m)
	}()
	if panicked != nil { // a producer or a supervisor strategy of the user's
		err := newPanicError(panicked)
		mb.logger().Error("actors: panic while the engine handled a lifecycle message", "message", typeOf(m), "panic", err.Value, "stack", string(err.Stack))
		if _, ok := m.(*actor.Restart); ok {
			l.phase = phaseRunning
			mb.failed(nil, err, mb.gate.Load() != gateOpen)
		}
	}
	if l.sawStop {
		l.sawStop = false
		mb.stopped()
		return
	}
	if l.sawStarted {
		l.sawStarted = false
		mb.startIncarnation()
	}
}

// framed is what the engine tells the actor within a frame.
func (mb *mailbox) framed(c actor.ReceiverContext, m any) {
	switch m := m.(type) {
	case *actor.Started:
		// Once: at a restart tasks that were abandoned may still read it.
		if ctx, ok := c.(actor.Context); ok && mb.life.incarnation == 0 {
			mb.view.actorContext = ctx
		}
		mb.life.sawStarted = true
	case *actor.Stopped:
		mb.deliverStopped(m)
		mb.life.sawStop = true
	}
}

// startIncarnation begins a life: setup first.
func (mb *mailbox) startIncarnation() {
	l := &mb.life
	l.incarnation++
	l.phase, l.reason = phaseSetup, nil
	l.setupRan, l.setupOK, l.hooksRun, l.endTold = false, false, false, false
	l.wantRestart, l.quiet, l.forced = false, false, false
	mb.calm()
	if s := mb.rare.Load(); s != nil {
		s.idle.set(0) // the former incarnation's
	}
	mb.inc.Store(mb.newIncarnation(l.incarnation))
	mb.loop.Hold(true)
	if l.wantStop { // while the engine restarted the actor
		mb.cut(ErrStopped)
		mb.advance()
		return
	}
	if l.hold {
		mb.cut(ErrRestarted)
		mb.advance()
		return
	}
	mb.loop.Go(&mb.newSetup().lt)
}

// setupDone is the end of setup, which has made w; nil if the actor is a plain
// one.
func (mb *mailbox) setupDone(t *Task, w *Worker) {
	l := &mb.life
	if err := t.failure(); err != nil {
		if l.ready != nil && !l.ready.Done() {
			mb.sparse().failed = err
			l.wantStop = true // Spawn returns the error; there is nobody to restart it for
			t.fails(nil)
			mb.requestHardStop()
		}
		return
	}
	l.setupOK = true
	if l.ready != nil {
		l.ready.resolve(struct{}{}, nil)
	}
	if l.phase != phaseSetup { // stopped meanwhile
		return
	}
	if mb.super != nil {
		mb.super.Ready(supervised{mb})
	}
	l.phase = phaseRunning
	for _, s := range slices.Backward(mb.takeStash()) {
		mb.loop.PushFront(&s.again.lt)
	}
	mb.loop.Hold(false)
	if w != nil {
		for _, b := range w.background {
			b.begin(mb)
		}
	}
}

// cut ends the incarnation: futures of tasks in flight fail, their awaits do
// from now on, and nothing new starts.
func (mb *mailbox) cut(cause error) {
	l := &mb.life
	if l.phase >= phaseUnwinding || l.phase == phaseStarting {
		return
	}
	l.phase = phaseUnwinding
	l.reason = cause
	mb.ending().reached(stageCut)
	mb.loop.Hold(true)
	mb.loop.ReleaseExclusive()
	mb.inc.Load().finish(cause)
	var later callbacks
	mb.loop.EachLive(func(lt *loop.Task) {
		// But not what a Cleanup that runs has started: that ends with the Cleanup.
		if u, ok := lt.Body.(body); ok && u.task().ended() != nil {
			u.task().cutOff(cause, &later)
		}
	})
	later.callElsewhere()
	if s := mb.rare.Load(); s != nil {
		s.cleanups.end(cause, true)
	}
	if mb.loop.Live() > 0 || mb.offloaded.n() > 0 {
		mb.giveUpAfter(mb.opts.StopGrace)
	}
}

// advance goes on with what is wanted when nothing is in the way.
func (mb *mailbox) advance() {
	l := &mb.life
	if l.wantStop && l.phase >= phaseUnwinding && l.phase < phaseStopped {
		mb.dropQueued(ErrStopping)
	}
	if mb.loop.Live() > 0 || mb.offloaded.n() > 0 && l.phase != phaseReleased {
		return
	}
	switch l.phase {
	case phaseRunning:
		if l.draining && mb.loop.Queued() == 0 {
			l.wantStop = true
			l.phase = phaseUnwinding
			l.reason = ErrStopped
			mb.ending().reached(stageCut)
			mb.loop.Hold(true)
			mb.inc.Load().finish(ErrStopped)
			mb.advance()
		}
	case phaseUnwinding:
		switch {
		case l.wantStop || l.wantRestart || l.hold:
			mb.runHooks()
		case !l.suspended(): // the supervisor says: go on
			mb.resume()
			mb.hearKept()
		}
	case phaseHooks:
		mb.runHooks()
	case phaseReleased:
		if l.wantStop && l.restarting {
			l.restarting = false
			mb.frame(engineStop)
		}
	}
}

// release hands the actor to the engine, to be restarted or stopped.
func (mb *mailbox) release() {
	l := &mb.life
	mb.calm()
	mb.tasksHaveEnded().reached(stageRelease)
	l.phase = phaseReleased
	if l.wantStop {
		mb.frame(engineStop)
		return
	}
	l.restarting = true
	l.wantRestart = false
	mb.frame(engineRestart)
}

// tasksHaveEnded notes when, if nobody has yet.
func (mb *mailbox) tasksHaveEnded() *ending {
	e := mb.ending()
	if l := &mb.life; !l.hooksRun && !l.endTold && !l.quiet {
		e.reached(stageHooks)
	}
	return e
}

// stopped is the end: the engine has taken the actor out of its registry.
func (mb *mailbox) stopped() {
	l := &mb.life
	l.phase = phaseStopped
	mb.gate.Store(gateStopped)
	if s := mb.rare.Load(); s != nil {
		s.idle.stop()
	}
	mb.budgets.stop(mb)
	mb.loop.DropAll(func(lt *loop.Task) {
		var later callbacks
		mb.drop(lt.Body.(body).task(), ErrStopping, &later)
		mb.account()
		later.callElsewhere()
	})
	var later callbacks
	for _, s := range mb.takeStash() {
		mb.drop(s.again, ErrStopping, &later)
	}
	later.callElsewhere()
	mb.inc.Load().finish(ErrStopped)
	if l.ready != nil {
		err := because(ErrStopped, l.reason)
		if s := mb.rare.Load(); s != nil {
			err = cmp.Or(s.failed, err)
		}
		l.ready.fail(err)
	}
	if mb.opts.MaxInFlight > 0 {
		mb.sys.exclusive.Add(-1)
	}
	mb.sys.remove(mb)
	mb.loop.End()
	mb.ending().reached(stageOver)
	mb.account()
}

// account tells the final account when all that was accepted has ended: a
// sender that found the gate open may still be about to post.
func (mb *mailbox) account() {
	if mb.life.phase == phaseStopped && mb.pending() == 0 {
		mb.tellStopped()
	}
}

// dropQueued fails everything that has not started, the stash first: it came
// before the queue.
func (mb *mailbox) dropQueued(err error) {
	var later callbacks
	for _, s := range mb.takeStash() {
		mb.drop(s.again, err, &later)
	}
	mb.loop.DropQueued(func(lt *loop.Task) { mb.drop(lt.Body.(body).task(), err, &later) })
	later.callElsewhere()
}
