// SPDX-License-Identifier: Apache-2.0

// Package inspect looks into an actor system from outside: what its workers are doing at
// a moment, and what goes wrong in it.
//
// [System] is a snapshot of all workers, their tasks, and what each awaits of whom; printed,
// it is a table for somebody in an incident (asyncio.all_tasks, Erlang's observer).
// [Blocked] is the same of those workers that a turn holds up, for health probes.
// [OnFailure] tells a function of yours what otherwise is only logged, for an alarm or a
// metric.
//
// Nothing here takes a turn of a worker, or waits for one.
package inspect

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/snapshot"
)

// Snapshot is workers of an actor system at about one moment: values only.
type Snapshot struct {
	At      time.Time
	Workers []Worker // by PID
}

// Worker is a worker, or a plain actor on an EventLoop.
type Worker struct {
	PID *actor.PID
	// State is "starting", "setup", "running", "stopping" (the stop event is
	// set and work goes on), "unwinding", "stop hooks" or "released"; "busy" if
	// the loop was between two turns at each look: then Tasks is empty and
	// Incarnation 0.
	State       string
	Incarnation uint64 // 1 is the first
	Queued      int64  // messages and submissions that have not started
	// OldestWait is how long the first of them has been seen to wait: it is
	// looked for while the worker works, every half BlockedTurn.
	OldestWait   time.Duration
	Tasks        []Task // that have started and not ended: the running one first
	Exclusive    string // name of the Exclusive task that holds all others back
	BlockedTurns int64  // so far
	// Offloads is how many functions run for the worker outside of it, and
	// OffloadsWaiting how many have no place yet: of its MaxOffloads, or of a
	// Limiter.
	Offloads, OffloadsWaiting int
	// Delayed is how many functions of Task.After wait until they are due, and
	// NextDelayed when the next of them is; zero: none waits.
	Delayed     int
	NextDelayed time.Time
	Blocked     *Turn // that holds the worker up now; nil: none does
	Counts      actors.Counts
}

// Task is a task that has started and not ended.
type Task struct {
	Name string // as in logs and reports
	// State is "running", "awaiting" or "ready": what it awaits is there, and
	// its turn will come.
	State string
	// Awaits is the name of the future that it awaits: of its task, or
	// "promise", "futures.All"; empty if it sleeps, or awaits nothing.
	Awaits string
	// On is the worker that owes the awaited future; nil if none does.
	On *actor.PID
	// Age is how long ago it has first awaited something, to half a
	// BlockedTurn; 0: it has not, or BlockedTurn is off.
	Age    time.Duration
	Budget time.Duration // that is left; 0: no end
}

// Turn is a turn that lasts longer than BlockedTurn.
type Turn struct {
	Task  string    // its name
	Since time.Time // when the turn was first seen: it began at most half a BlockedTurn before
	Stack []byte    // nil if the turn ended before it was looked at
}

// System shows what the workers of an actor system are doing. It waits for
// none of them, also not for one that is blocked for good, and takes no turn
// of theirs. A turn that ends while its worker is looked at waits until that look has met
// a thousand tasks at most (BenchmarkStretch in internal/loop).
// Print the snapshot to read it: see [Snapshot.String].
func System(sys *actor.ActorSystem) Snapshot { return look(sys, "System", false) }

// Blocked is [System] of those workers alone that a turn holds up for longer
// than BlockedTurn now. It costs next to nothing if there is none, so that a health
// probe may ask as often as it likes.
func Blocked(sys *actor.ActorSystem) Snapshot { return look(sys, "Blocked", true) }

func look(sys *actor.ActorSystem, what string, blocked bool) Snapshot {
	s := Snapshot{At: time.Now()}
	source := snapshot.SourceOf(systemOf(sys, what))
	if source == nil {
		return s
	}
	source.Look(blocked, func(i, n int, w *snapshot.Worker) {
		if s.Workers == nil {
			s.Workers = make([]Worker, n)
		}
		s.Workers[i] = workerOf(w)
	})
	return s
}

// systemOf is sys, which must not be nil.
func systemOf(sys *actor.ActorSystem, what string) *actor.ActorSystem {
	if sys == nil {
		panic("inspect: " + what + " called with a nil actor system")
	}
	return sys
}

// workerOf is a copy of what the source lends. TestWorkerHasAllFields keeps it whole.
func workerOf(w *snapshot.Worker) Worker {
	out := Worker{
		PID: w.PID, State: w.State, Incarnation: w.Incarnation,
		Queued: w.Queued, OldestWait: w.OldestWait,
		Exclusive: w.Exclusive, BlockedTurns: w.BlockedTurns,
		Offloads: w.Offloads, OffloadsWaiting: w.OffloadsWaiting,
		Delayed: w.Delayed, NextDelayed: w.NextDelayed,
		Counts: actors.Counts(w.Counts),
	}
	if b := w.Blocked; b != nil {
		t := Turn(*b)
		out.Blocked = &t
	}
	if len(w.Tasks) > 0 {
		out.Tasks = make([]Task, len(w.Tasks))
		for i := range w.Tasks {
			out.Tasks[i] = Task(w.Tasks[i])
		}
	}
	return out
}
