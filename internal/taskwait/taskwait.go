// SPDX-License-Identifier: Apache-2.0

// Package taskwait is how package loopsync suspends the tasks of package actors, and says for
// whom they wait. Others ask by it whether a task has ended. It stands apart so that package
// actors need not show everybody what these packages use.
//
// A task hands its [Task] over by Get, which is how Proto.Actor's contexts pass on
// what one package puts there for another.
package taskwait

import (
	"time"

	"github.com/asynkron/protoactor-go/ctxext"
)

// TaskID is what a task is asked for by its method Get. The engine numbers its
// extensions from 1 on, so that none of a user's is mistaken for it.
const TaskID ctxext.ContextExtensionID = -1

// Task is a task that loopsync suspends. Two of the same task are equal.
type Task interface {
	ctxext.ContextExtension

	// Enter says who the task is, which calls what. It panics unless it is the task
	// that runs.
	Enter(what string) Visit
	// NewSpot makes a spot for a task of this one's loop. ahead, if it is not nil,
	// returns the task that has to go on before Wake is called, and the one that
	// waits for the same and has to go on before this one, or nil; it may be called
	// on any goroutine.
	NewSpot(ahead func() (holder, next Task)) Spot
	// Wait suspends the task, a [Visit.Caller], until the spot is woken. Tasks of one
	// loop go on in the order in which their spots were woken: one whose spot was woken
	// before it waits goes behind those before it. It returns the reason when the task
	// is ended, at once and also if the spot was woken, and a *actors.DeadlockError if
	// the wait would close a ring.
	Wait(what string, s Spot) error

	// NewChoice makes a spot that is woken, too, by the first of some futures that is
	// done: each is an actors.AnyFuture. anybody says that somebody else may wake it,
	// or that the wait has an end in time, so that it is no part of a ring. It panics if
	// one of them is the task's own, and says what it is for.
	NewChoice(what string, futures []any, anybody bool) Spot
	// WaitForChoice is Wait at a spot of NewChoice. If d is positive it ends, without an
	// error, when that has passed.
	WaitForChoice(what string, s Spot, d time.Duration) error
	// IsDone reports whether a future is.
	IsDone(future any) bool

	// IsRunning reports whether it is the turn of the task. Any goroutine, for which the
	// answer may be old already.
	IsRunning() bool
	// HasEnded reports whether the task has ended, and whether it lost its loop: then
	// its function may go on. Any goroutine.
	HasEnded() (ended, lost bool)
	// TaskName is the name of the task, as in logs. Any goroutine.
	TaskName() string
}

// Visit is what there is to know of a task that runs.
type Visit struct {
	Caller      Task   // the task itself, which waits
	Task        Task   // the one that gets what it waits for: a Cleanup's is the task it belongs to
	Loop        any    // identity of its loop
	Worker      string // the name of its worker
	Incarnation uint64 // of the worker
	Ended       error  // why the task has been ended, or nil
}

// Spot is where one task waits, once.
type Spot interface {
	// Wake lets the task go on. Any goroutine; twice is as once.
	Wake()
}

// TaskOf is what t, an *actors.Task, hands over.
func TaskOf(t interface {
	Get(id ctxext.ContextExtensionID) ctxext.ContextExtension
}) Task {
	return t.Get(TaskID).(Task)
}
