// SPDX-License-Identifier: Apache-2.0

// Package park lets package loopsync suspend the tasks of package actors, and
// say for whom they wait. It is apart so that neither has to show the other
// more than it shows everybody. Package actors sets the functions when it is
// initialized; they are constant from then on. A task is an *actors.Task,
// which this package cannot name.
package park

// Task is what there is to know of a task that runs.
type Task struct {
	ID          any    // identity; a Cleanup's is that of the task it belongs to
	Loop        any    // identity of its loop
	Worker      string // the name of its worker
	Incarnation uint64 // of the worker
	Ended       error  // why it has been ended, or nil
}

// Spot is where one task waits, once.
type Spot interface {
	// Wake lets the task go on. Any goroutine; twice is as once.
	Wake()
}

// Enter says who task is, which calls what. It panics unless it is the task
// that runs.
var Enter func(task any, what string) Task

// NewSpot makes a spot. ahead, if it is not nil, returns the IDs of the task
// that has to go on before Wake is called, and of the one that waits for the
// same and has to go on before this one, or nil; it may be called on any
// goroutine.
var NewSpot func(ahead func() (holder, next any)) Spot

// Wait suspends task until its spot is woken. Tasks of one loop go on in the
// order in which their spots were woken: one whose spot was woken before it waits
// goes behind those before it. It returns the reason when the
// task is ended, at once and also if the spot was woken, and a
// *actors.DeadlockError if the wait would close a ring.
var Wait func(task any, what string, s Spot) error

// Gone reports whether the task of an ID has ended, and whether it lost its
// loop: then its function may go on.
var Gone func(id any) (ended, lost bool)

// Name is the name of the task of an ID, as in logs.
var Name func(id any) string
