// SPDX-License-Identifier: Apache-2.0

package life

// Worker is where a worker is in its life, and where it is going. The zero value is
// one that the engine has yet to start. On is the only method that changes it.
//
// The engine's messages Restart and Stop, and the end of the last child, reach the
// engine only in the phases from Restarting on: no task is live then.
type Worker struct {
	phase Phase
	want  Want
	mode  Mode
	setup Setup
	end   End
}

// Phase is what the worker does.
func (w *Worker) Phase() Phase { return w.phase }

// Want is what is to follow the incarnation that there is.
func (w *Worker) Want() Want { return w.want }

// Setup is how far the setup of the incarnation has come.
func (w *Worker) Setup() Setup { return w.setup }

// Serves reports whether messages are handled, and the stop event has not been
// heard.
func (w *Worker) Serves() bool { return w.phase == PhaseRunning && w.mode == Serving }

// Drains reports whether messages are handled, and no new ones come from outside.
func (w *Worker) Drains() bool { return w.phase == PhaseRunning && w.mode == Draining }

// Phase is what a worker does. The arrows, generated from life.Worker by go generate:
//
//	starting   → setup       the engine says Started
//	           → unwinding   an end that was asked for before
//	setup      → running     setup has succeeded
//	           → unwinding   a failure
//	                         a forced stop, or the end of the grace
//	                         a restart
//	                         a restart of its siblings that takes it along
//	running    → unwinding   a failure
//	                         a forced stop, or the end of the grace
//	                         a restart
//	                         a restart of its siblings that takes it along
//	                         after the stop event all work is done
//	unwinding  → setup       the supervisor says Resume, and the tasks have ended
//	           → running     the supervisor says Resume, and the tasks have ended
//	           → released    the tasks have ended, and there are no hooks
//	           → quiesced    the tasks have ended, or were abandoned
//	           → stop hooks  the tasks have ended, or were abandoned
//	released   → setup       the engine says Started
//	           → unwinding   an end that was asked for before
//	                         the actor could not be made
//	           → stopped     the engine says Stopped
//	quiesced   → released    the hooks have returned
//	stop hooks → released    the hooks have returned
//	           → quiesced    the hooks have returned
type Phase uint8

// The phases of a worker, in order.
const (
	PhaseStarting   Phase = iota // the engine has not said Started yet
	PhaseSetup                   // setup runs; messages wait
	PhaseRunning                 // messages are handled; also while it drains
	PhaseUnwinding               // every await fails; waiting for the tasks to end
	PhaseHooks                   // what comes after the tasks: see End
	PhaseRestarting              // the engine restarts the actor, once its children have stopped
	PhaseReleased                // the engine stops the actor, once its children have stopped
	PhaseStopped                 // gone; what arrives is failed
	PhaseOver                    // … and nothing arrives any more: the account is final
)

// Want is what is to follow the incarnation that there is. Of WantQuiesce and
// WantRestart the last that was asked for counts: both are the supervisor's word.
// WantStop is final.
type Want uint8

// What a worker may want.
const (
	WantNothing Want = iota // to go on; in PhaseUnwinding: the supervisor has not decided
	WantResume              // the supervisor has: to go on with the state as it is
	WantQuiesce             // to be held, without tasks, with its queue
	WantRestart             // another incarnation
	WantStop                // the end
)

// Mode is whether the stop event has been heard.
type Mode uint8

// The modes of a worker.
const (
	Serving  Mode = iota
	Draining      // nothing new comes from outside: stop when nothing is left to do
)

// Setup is how far the setup of an incarnation has come.
type Setup uint8

// How far a setup can have come.
const (
	SetupNone Setup = iota // it has not ended, and may not have begun
	SetupRan               // it has failed or was abandoned
	SetupDone              // it has succeeded
)

// End is how far the end of an incarnation has come, once its tasks have ended.
type End uint8

// How far an end can have come.
const (
	EndNone     End = iota
	EndHooks        // the OnStop hooks run, or have run
	EndTold         // the actor is told, or was: Stopping or Restarting
	EndQuiesced     // the supervisor was told that nothing is left
)

// WorkerEvent is what happens to a worker.
type WorkerEvent uint8

// What can happen to a worker.
const (
	NoEvent WorkerEvent = iota

	// From the engine.
	EngineStarted // an incarnation is there
	EngineFailed  // … is not: making its actor panicked
	EngineStopped // the actor is not registered any more

	// From setup.
	SetupSucceeded
	SetupFailed // or was abandoned; TaskFailed says so if somebody has to decide
	SpawnFailed // the same, and there is nobody to restart it for: Spawn will return the error

	// From tasks.
	TaskFailed // one whose failure is the worker's

	// From outside: the engine, the supervisor, the user.
	StopAsked       // the stop event
	ForcedStopAsked // the grace is over, or there was none
	RestartAsked
	QuiesceAsked
	Resumed // the supervisor's decision about the last failure

	// From the loop.
	LiveZero    // no task is live, no offloaded function runs
	QueueZero   // … and nothing is queued
	GraceOver   // the time to unwind is over
	PendingZero // all that was accepted is counted
)

// WorkerFacts are what On has to know of the moment of an event.
type WorkerFacts uint8

// What there is to know.
const (
	FactStopping WorkerFacts = 1 << iota // TaskFailed, EngineFailed: the stop event is set, be it heard or not
	FactHooks                            // LiveZero: there are OnStop hooks
	FactListener                         // LiveZero: the actor, or the user's middleware, hears lifecycle messages
	FactAgain                            // GraceOver: it was over before, and things ended then have had a moment
)

// WorkerEffects are what is to be done, in the order of their constants.
type WorkerEffects uint32

// What there is to do.
const (
	DoReportFailure   WorkerEffects = 1 << iota // log it, if nobody else does
	DoBegin                                     // an incarnation begins: hold the queue
	DoFinish                                    // it ends, and its awaits fail: hold the queue
	DoCutOff                                    // tasks in flight end
	DoBoundHooks                                // what runs after the tasks has StopGrace
	DoDropQueued                                // what has not started fails
	DoEndCleanups                               // Cleanups end, too
	DoAbandonOffloads                           // offloaded functions are waited for no longer
	DoNoteTasksEnded                            // for the report
	DoNoteHooksEnded                            // for the report
	DoCalm                                      // do not look for stuck turns any more
	DoRenew                                     // the incarnation that has failed is to go on as another
	DoTellReady                                 // tell the supervisor
	DoOpen                                      // let the queue go on, the stash first, and begin what runs in the background
	DoReopen                                    // let the queue go on, and begin again what was cut off in the background
	DoStartSetup                                // run setup
	DoHearKept                                  // deliver ends of other actors that were kept back
	DoRunHooks                                  // run the OnStop hooks
	DoTellActor                                 // deliver Stopping or Restarting
	DoTellQuiesced                              // tell the supervisor that nothing is left
	DoEscalate                                  // ask who decides about a failure
	DoReportInDrain                             // tell of a failure that nobody has to decide about
	DoReportInEnd                               // … and that comes when the worker ends anyway
	DoStopItself                                // ask for a forced stop
	DoEngineRestart                             // let the engine restart the actor
	DoEngineStop                                // let the engine stop the actor
	DoLetGo                                     // fail what is left and comes, and leave the system's tables
	DoTellStopped                               // tell whoever waits for the end
	DoLookIfLive                                // see to LiveZero or QueueZero if it is so
)

// On is told what happens, and returns what is to be done.
func (w *Worker) On(e WorkerEvent, f WorkerFacts) (do WorkerEffects) {
	if w.phase >= PhaseStopped && e != PendingZero {
		return 0
	}
	switch e {
	case EngineStarted:
		if w.phase != PhaseStarting && w.phase != PhaseRestarting {
			return 0
		}
		w.phase, w.setup, w.end = PhaseSetup, SetupNone, EndNone
		if w.want != WantNothing { // it has been told to end before it began
			return DoBegin | w.cut() | w.drop() | DoLookIfLive
		}
		return DoBegin | DoStartSetup

	case EngineFailed: // the former incarnation is what there is; it has had its end
		if w.phase != PhaseRestarting {
			return 0
		}
		w.phase, w.end = PhaseRunning, min(w.end, EndTold)
		return w.fail(f)

	case EngineStopped:
		if w.phase != PhaseReleased {
			return 0
		}
		*w = Worker{phase: PhaseStopped}
		return DoLetGo

	case SetupSucceeded:
		w.setup = SetupDone
		if w.phase != PhaseSetup { // it has been told to end meanwhile
			return 0
		}
		w.phase = PhaseRunning
		return DoTellReady | DoOpen

	case SetupFailed:
		w.setup = SetupRan
		return 0

	case SpawnFailed:
		w.setup = SetupRan
		w.wants(WantStop)
		return DoStopItself

	case TaskFailed:
		switch {
		case w.phase != PhaseSetup && w.phase != PhaseRunning:
			return DoReportInEnd
		case w.phase == PhaseRunning && f&FactStopping != 0:
			return DoReportInDrain
		}
		return DoReportFailure | w.fail(f)

	case StopAsked:
		w.mode = Draining
		return DoLookIfLive

	case ForcedStopAsked:
		w.wants(WantStop)
		if w.phase == PhaseHooks {
			do = DoBoundHooks
		}
		return do | w.cut() | w.drop() | DoLookIfLive

	case RestartAsked:
		if w.phase == PhaseStarting || w.phase == PhaseRestarting { // it is about to begin
			w.wants(WantNothing)
			return 0
		}
		w.wants(WantRestart)
		return w.cut() | w.drop() | DoLookIfLive

	case QuiesceAsked:
		w.wants(WantQuiesce)
		return w.cut() | w.drop() | DoLookIfLive

	case Resumed:
		if w.phase != PhaseUnwinding || w.want != WantNothing {
			return 0
		}
		w.want = WantResume
		return DoLookIfLive

	case GraceOver:
		if w.phase != PhaseUnwinding && w.phase != PhaseHooks {
			return 0
		}
		if f&FactAgain != 0 {
			do = DoAbandonOffloads
		}
		return do | DoEndCleanups | w.drop() | DoLookIfLive

	case LiveZero, QueueZero:
		return w.drop() | w.goOn(e, f)

	case PendingZero:
		if w.phase != PhaseStopped {
			return 0
		}
		w.phase = PhaseOver
		return DoTellStopped
	}
	return 0
}

// goOn is what comes next when nothing is in the way.
func (w *Worker) goOn(e WorkerEvent, f WorkerFacts) WorkerEffects {
	switch w.phase {
	case PhaseRunning:
		if w.mode != Draining || e != QueueZero {
			return 0
		}
		w.phase, w.want = PhaseUnwinding, WantStop
		return DoFinish | DoDropQueued | DoLookIfLive

	case PhaseUnwinding:
		switch w.want {
		case WantNothing:
			return 0
		case WantResume:
			w.want = WantNothing
			if w.setup != SetupDone {
				w.phase, w.setup, w.end = PhaseSetup, SetupNone, EndNone
				return DoCalm | DoRenew | DoStartSetup | DoHearKept
			}
			w.phase = PhaseRunning
			return DoCalm | DoRenew | DoReopen | DoHearKept | DoLookIfLive
		}
		return w.endNext(f)

	case PhaseHooks:
		return w.endNext(f)

	case PhaseRestarting:
		if w.want == WantStop {
			w.phase = PhaseReleased
			return DoEngineStop
		}
	}
	return 0
}

// endNext is the next step of the end of an incarnation whose tasks have ended.
func (w *Worker) endNext(f WorkerFacts) (do WorkerEffects) {
	if w.end == EndNone {
		do = DoNoteTasksEnded
	}
	switch {
	case w.setup == SetupDone && w.end < EndHooks && f&FactHooks != 0:
		w.phase, w.end = PhaseHooks, EndHooks
		return do | DoRunHooks

	case w.setup != SetupNone && w.end < EndTold && f&FactListener != 0:
		w.phase, w.end = PhaseHooks, EndTold
		return do | DoTellActor

	case w.want == WantQuiesce && w.end == EndQuiesced:
		return 0

	case w.want == WantQuiesce:
		w.phase, w.end = PhaseHooks, EndQuiesced
		return do | DoCalm | DoTellQuiesced

	case w.want == WantStop:
		w.phase = PhaseReleased
		return do | DoCalm | DoNoteHooksEnded | DoEngineStop
	}
	w.phase, w.want = PhaseRestarting, WantNothing
	return do | DoCalm | DoEngineRestart
}

// fail ends an incarnation that has failed. One that fails while the worker is
// stopping leaves none that could drain.
func (w *Worker) fail(f WorkerFacts) WorkerEffects {
	if f&FactStopping != 0 {
		w.wants(WantStop)
		return w.cut() | w.drop() | DoLookIfLive
	}
	return w.cut() | DoEscalate | DoLookIfLive
}

// cut ends the incarnation, if there is one that has not been told to end.
func (w *Worker) cut() WorkerEffects {
	if w.phase != PhaseSetup && w.phase != PhaseRunning {
		return 0
	}
	w.phase = PhaseUnwinding
	return DoFinish | DoCutOff
}

// wants notes what is to come: nothing takes the end back.
func (w *Worker) wants(then Want) {
	if w.want != WantStop {
		w.want = then
	}
}

// drop fails what is queued, which no incarnation will see.
func (w *Worker) drop() WorkerEffects {
	if w.want == WantStop && w.phase >= PhaseUnwinding && w.phase <= PhaseReleased {
		return DoDropQueued
	}
	return 0
}
