// SPDX-License-Identifier: Apache-2.0

package life

import (
	"fmt"
	"strings"

	"github.com/protoloop/protoloop/internal/life/table"
)

func word[T ~uint8](v T, words ...string) string { return words[v] }

// String is the phase as [WorkerTable] writes it.
func (p Phase) String() string {
	return word(p, "starting", "setup", "running", "unwinding", "hooks", "restarting", "released", "stopped", "over")
}

// State is where the worker is, as users see it.
func (w *Worker) State() string {
	if w.phase == PhaseHooks && w.end == EndQuiesced {
		return "quiesced"
	}
	return word(w.phase, "starting", "setup", "running", "unwinding", "stop hooks", "released", "released", "stopped", "stopped")
}

// String has all that the worker remembers, for the table.
func (w Worker) String() string {
	words := []string{
		w.phase.String(),
		word(w.mode, "", "draining"),
		word(w.want, "", "wants to resume", "wants to quiesce", "wants to restart", "wants to stop"),
		word(w.setup, "", "setup failed", "setup done"),
		word(w.end, "", "hooks called", "actor told", "quiesced"),
	}
	return strings.Join(notEmpty(words), ", ")
}

func notEmpty(words []string) (some []string) {
	for _, w := range words {
		if w != "" {
			some = append(some, w)
		}
	}
	return some
}

// String is the word for it in the table.
func (e WorkerEvent) String() string {
	return word(e, "NoEvent", "EngineStarted", "EngineFailed", "EngineStopped", "SetupSucceeded", "SetupFailed", "SpawnFailed",
		"TaskFailed", "StopAsked", "ForcedStopAsked", "RestartAsked", "QuiesceAsked", "Resumed", "LiveZero", "QueueZero", "GraceOver", "PendingZero")
}

var factWords = []string{"stopping", "hooks", "listener", "again"}

// String lists them, in their order.
func (f WorkerFacts) String() string { return bits(uint32(f), factWords) }

var effectWords = []string{"report failure", "begin", "finish", "cut off", "bound hooks", "drop queued", "end cleanups", "abandon offloads",
	"note tasks ended", "note hooks ended", "calm", "renew", "tell ready", "open", "reopen", "start setup", "hear kept", "run hooks",
	"tell actor", "tell quiesced", "escalate", "report in drain", "report in end", "stop itself", "engine restart", "engine stop",
	"let go", "tell stopped", "look if live"}

// String lists them, in their order.
func (do WorkerEffects) String() string { return bits(uint32(do), effectWords) }

func bits(v uint32, words []string) string {
	var all []string
	for i, w := range words {
		if v&(1<<i) != 0 {
			all = append(all, w)
		}
	}
	return strings.Join(all, ", ")
}

// WorkerMoment is an event with its facts.
type WorkerMoment struct {
	Event WorkerEvent
	Facts WorkerFacts
}

// String is the event, with its facts if it has any.
func (m WorkerMoment) String() string {
	if m.Facts == 0 {
		return m.Event.String()
	}
	return fmt.Sprintf("%v{%v}", m.Event, m.Facts)
}

// workerLabel is what a step means, for the diagram.
func workerLabel(r table.Row[Worker, WorkerMoment]) string {
	switch r.Event.Event {
	case EngineStarted:
		if r.To.phase == PhaseUnwinding {
			return "an end that was asked for before"
		}
		return "the engine says Started"
	case EngineFailed:
		return "the actor could not be made"
	case TaskFailed:
		return "a failure"
	case EngineStopped:
		return "the engine says Stopped"
	case SetupSucceeded:
		return "setup has succeeded"
	case ForcedStopAsked:
		return "a forced stop, or the end of the grace"
	case RestartAsked:
		return "a restart"
	case QuiesceAsked:
		return "a restart of its siblings that takes it along"
	case LiveZero:
		switch {
		case r.To.phase <= PhaseRunning:
			return "the supervisor says Resume, and the tasks have ended"
		case r.From.phase == PhaseHooks:
			return "the hooks have returned"
		case r.To.phase > PhaseHooks:
			return "the tasks have ended, and there are no hooks"
		}
		return "the tasks have ended, or were abandoned"
	case QueueZero:
		return "after the stop event all work is done"
	}
	return ""
}

// WorkerTable is the table of [Worker], for tests and diagrams.
func WorkerTable() *table.Table[Worker, WorkerMoment] {
	t := &table.Table[Worker, WorkerMoment]{
		Name: "life.Worker",
		On: func(w Worker, m WorkerMoment) (Worker, string, bool) {
			if !w.canHear(m.Event) {
				return w, "", false
			}
			do := w.On(m.Event, m.Facts)
			return w, do.String(), true
		},
		State: Worker.String,
		Event: WorkerMoment.String,
		Node:  func(w Worker) string { return w.State() },
		Label: workerLabel,
		Ends:  func(w Worker) bool { return w.phase == PhaseOver },
	}
	for e := EngineStarted; e <= PendingZero; e++ {
		facts := []WorkerFacts{0}
		switch e {
		case EngineFailed, TaskFailed:
			facts = []WorkerFacts{0, FactStopping}
		case LiveZero:
			facts = []WorkerFacts{0, FactHooks, FactListener, FactHooks | FactListener}
		case GraceOver:
			facts = []WorkerFacts{0, FactAgain}
		}
		for _, f := range facts {
			t.Events = append(t.Events, WorkerMoment{e, f})
		}
	}
	return t
}

// canHear reports whether the event can happen: the engine answers what it was
// told, setup ends where it has begun.
func (w Worker) canHear(e WorkerEvent) bool {
	switch e {
	case EngineStarted:
		return w.phase == PhaseStarting || w.phase == PhaseRestarting
	case EngineFailed:
		return w.phase == PhaseRestarting
	case EngineStopped:
		return w.phase == PhaseReleased
	case SetupSucceeded, SetupFailed:
		return (w.phase == PhaseSetup || w.phase == PhaseUnwinding) && w.setup != SetupDone && w.end == EndNone
	case SpawnFailed:
		return (w.phase == PhaseSetup || w.phase == PhaseUnwinding) && w.setup == SetupNone && w.end == EndNone
	case TaskFailed, LiveZero:
		return w.phase != PhaseStarting && w.phase < PhaseStopped
	case QueueZero:
		return w.phase == PhaseRunning && w.mode == Draining
	case PendingZero:
		return w.phase == PhaseStopped
	}
	return w.phase < PhaseStopped
}
