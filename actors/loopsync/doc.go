// SPDX-License-Identifier: Apache-2.0

// Package loopsync has what tasks wait for, beside futures.
//
// The tasks of one worker wait for each other with [Mutex], [Semaphore], [Event],
// [Condition], [Barrier] and [Queue], and for channels, of whomever, with [Receive],
// [Send] and [Select]. Tasks use these in place of package sync and of channel
// operations, which would block the worker's turn.
//
// The worker's state needs no lock within a turn. A [Mutex] is for what has to
// hold across an await.
//
// # Guarantees
//
//  1. Zero values are ready: a Mutex is unlocked, a Semaphore has one permit,
//     an Event is not set, a Condition has no Mutex, a Barrier is for one task, a
//     Queue is empty and has no bound.
//
//  2. Fair. The first to come is served first. A task that has been served keeps
//     its place in line until it goes on, so nobody overtakes it. The exception
//     is an Exclusive handler and what it has started: they go on before all
//     tasks that they hold back. Plain goroutines stand in the same lines of a
//     Queue. Of several cases that are ready, Select chooses one at random.
//
//  3. Nothing is lost. A task that is ended, by a cancel, its budget, a
//     restart or a stop, gets that error from its wait at once. If it was just
//     being served, it also gets the error, and what it was served goes to the
//     next in line. As at every await, an ended task gets the error even where
//     it would not have to wait. There are two exceptions. What was received from a
//     channel, or sent to one, in the moment of the end cannot be taken back, so
//     Receive, Send and Select say that it was. And a [Condition] gives the task
//     its Mutex back first.
//
//  4. No needless await: a task gets at once what is there at once, and keeps
//     its turn.
//
//  5. One loop. A value belongs to the worker whose task has used it first; a
//     task of another worker panics. Any goroutine may call a method that takes
//     no Task.
//
//  6. A ring of tasks that wait for each other, with a Mutex in it, is found
//     when it closes: the wait or await that closes it fails with an
//     [*actors.DeadlockError]. A Lock by the task that holds the Mutex is a
//     ring of one. A Select that waits for nothing but futures can close a ring,
//     too. Anybody may release a Semaphore, set an Event, notify a Condition, come
//     to a Barrier, use a channel, and put into or get from a Queue, in a task or
//     not. So a ring through one of these is not found, and its tasks wait until
//     they are ended.
//
// # Stops
//
// A wait in [actors.Task.UntilStop] ends at the worker's stop event. Any other wait
// goes on during the stop, and is cut off when the grace ends.
//
// # Restarts
//
// Make these values in setup, with the rest of the worker's state, so that
// each incarnation begins with new ones. A value that is kept outside of setup
// goes on as it is, except for a Mutex that a task of an earlier incarnation has
// locked. If that task has ended, the Mutex is unlocked. If it was abandoned,
// Lock fails with [ErrAbandoned] until the task unlocks the Mutex.
//
// The rules are those of asyncio's Lock, Semaphore, Event, Condition, Barrier and
// Queue, after their fixes for wake-ups and items that a cancel had swallowed.
package loopsync
