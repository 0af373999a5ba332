// SPDX-License-Identifier: Apache-2.0

// Package actors is async/await for actors, on Proto.Actor.
//
// A worker is an ordinary Proto.Actor actor whose mailbox is an event loop.
// [Spawn] starts one; [EventLoop] gives the same mailbox to an actor of yours.
// What a worker works on, a message or a submitted function, is a [Task]: a
// coroutine that starts eagerly and gives the loop back while it awaits.
// [Submit] and [RequestFuture] return a [Future] at once; [Future.Wait] waits
// for it from a plain goroutine, [Await] from inside a task. Package
// [github.com/protoloop/protoloop/actors/futures] makes one future of several: All, Any,
// Race, WithTimeout and others.
//
// # Guarantees
//
//  1. Turns. At most one task of a worker runs at any instant; another runs
//     only while it awaits. The worker's state needs no lock.
//
//  2. Eager. A submitted task starts whether or not anybody awaits it. Send,
//     Request, RequestFuture and Submit of one sender to one worker share one
//     FIFO. Start from a task of the same loop runs the child at once, in the
//     caller's turn, up to its first await. What is submitted before setup
//     has ended queues behind it.
//
//  3. Exactly once. Every future completes exactly once, has any number of
//     waiters, and shows all of them the same result. None stays pending once
//     its worker is gone. A future completes at once when it is cancelled or
//     its worker restarts; what its task returns later is dropped, and a
//     failure beside the end is logged. An expired or cancelled request that
//     has not started never starts.
//
//  4. Ready wins. TryResult, Wait and Ready on a completed future succeed even
//     with a cancelled context. A context that ends stops the waiting, not the
//     work.
//
//  5. Errors travel. An error that a handler or task returns reaches whoever
//     awaits, with errors.Is and errors.As working; so does a panic, with the
//     task's own stack. To a plain or remote asker it goes as a coded
//     [messages.Failure], never with the stack; the errors of this package, and
//     those registered with [messages.RegisterError], survive the trip under
//     errors.Is.
//
//  6. Panics. A panic in a submitted or started task fails its future and
//     nothing else. A panic in a handler fails its future and the worker; so
//     does a Background or Main that panics or returns an error. Then the
//     worker's parent decides. A supervisor of package supervisor may have the
//     message handled anew before its future fails. A plain parent applies its
//     strategy. A worker without a parent restarts itself, at most 10 times in
//     10 s, and then stops. After the stop event the failure is that task's
//     alone: see 8. An error that a handler returns is an answer and no
//     failure; on a one-way message it is logged and counted. A failed future
//     that nobody looked at before it was collected is logged. What is only
//     logged is told to the hooks of inspect.OnFailure, too.
//
//  7. Restart. The mailbox is suspended in the same turn as the failure. Tasks
//     in flight are cancelled and unwound within StopGrace, their futures
//     failed with ErrRestarted at once. What had not started keeps its order
//     and goes to the new incarnation, which starts after the old tasks have
//     ended or been abandoned. The PID stays. Late replies, timers and
//     offloaded results of an old incarnation never touch a new one.
//
//  8. Stop. From the stop event on a worker refuses work from outside with
//     ErrStopping; Start stays usable by work in flight. What was accepted runs
//     on, in order, within the grace; a handler that panics, and a Background
//     or Main that fails, is told and logged, and the rest goes on with the
//     state as it is. When the grace ends, what has not started
//     fails with ErrStopping (it never ran, a retry is safe), contexts are
//     cancelled, and what was running fails with ErrStopped; what still does
//     not return is abandoned and named with its stack. At every moment
//     offered = accepted + refused, and accepted = finished + failed +
//     canceled + abandoned + dead-lettered + pending; pending is 0 at the end.
//     The engine's Stop is a forced stop: it has no grace. The engine's Poison
//     has StopGrace. [Stop] names the grace and returns the account, as the
//     future of [RequestStop] does.
//
//  9. An ended task stays ended. After a cancel, restart or forced stop each
//     await of that task returns the reason at once, every time, even when
//     what it awaits is ready. Only a value that package loopsync has received
//     from a channel in that moment is returned all the same, and one that it has
//     sent is no error. Unwinding is by error, never by Goexit.
//     [Task.Cleanup] gives deferred code a live task for a bounded while.
//
//  10. Clean. After a stop no goroutine, coroutine, timer or registry entry of
//     the worker remains, but those of abandoned tasks.
//
//  11. Blocked turns are found while they last: worker, task, since when,
//     stack; logged once a turn, never killed. An abandoned task has lost its
//     loop: the loop goes on elsewhere, its awaits and answers fail. Go cannot
//     kill a goroutine; but nothing is done any more in the worker's name. See
//     Abandoned tasks.
//
//  12. Bounds. MailboxSize counts messages and submissions that have not
//     started; replies, timers and stop signals never count. A full mailbox
//     fails the future with ErrMailboxFull at once, makes a plain Send a dead
//     letter, and never blocks a sender. At MaxInFlight messages wait in the
//     mailbox.
//
// # Cancel and budgets
//
// They follow creation, not waiting: work that is submitted, requested,
// started or offloaded through a task ends when that task is ended, and has
// the smaller of its own [Timeout] and what is left of the task's. It outlives
// the task's return. The combinators of package futures cancel no member by themselves; cancelling
// the combined future does. [Detached] work ends with neither, nor does what
// [Task.After] begins; [UntilStop] work ends with the stop event, too; [Task.Scope] gives a
// part of a task an end of its own.
//
// # Errors
//
// The error of a call says whether the work has run, and so whether a retry is
// safe: [RetrySafe] is true for [ErrMailboxFull], [ErrStopping], [ErrUnavailable]
// and [ErrDeadLetter], after which it has not. After [ErrTimeout] and [ErrCanceled] it may
// have run; after a [*PanicError], [ErrRestarted] and [ErrStopped] it has
// begun. docs/errors.md is the whole table.
//
// # Contexts
//
// One rule: ready wins over cancelled, for whoever waits from outside; ended
// wins over ready, for a task that has been ended itself.
//
// # Abandoned tasks
//
// When a task that was abandoned goes on at last, its calls answer so:
//
//   - Await, Sleep, package loopsync and all else that waits, Submit, the functions
//     RequestFuture and Spawn, Start, Offload, SpawnNamed: the reason why the
//     task was ended. Spawn and SpawnPrefix panic with it, as the engine's do
//     with theirs. A child that is there by then is stopped, and the worker
//     does not hear of its end.
//   - Send, Request, RequestWithCustomSender, Forward, Receive: the message
//     becomes a dead letter. RequestFuture, StopFuture and PoisonFuture of the
//     engine: their future fails with its ErrDeadLetter.
//   - Respond, Stash, Exit, Stop, Poison, Watch, Unwatch, SetReceiveTimeout,
//     CancelReceiveTimeout, Set, ReenterAfter: nothing.
//   - Children, Get: nil; ReceiveTimeout: 0.
//   - Message, Sender, Self, Parent, Actor: what they were.
//
// The context that the Receive of a plain actor is called with, and that of a
// [Worker], are for all tasks of an incarnation. From the moment when one of
// them is abandoned such a context spawns, watches and sets nothing any more,
// whoever calls, and when the incarnation is over it does none of the above:
// use the Task where that matters. Under a context decorator there is one
// context for all incarnations, and it cannot tell.
//
// # What a task must not do
//
// Block its turn: a channel operation, a lock that is held across an await, a
// blocking call. The worker does nothing else meanwhile. Use package
// [github.com/protoloop/protoloop/actors/loopsync], which has Receive, Send, Select
// and a Mutex, or [Offload], and await instead. Nor may a task await, return, or use Start or
// Group.Go, while it has locked its thread with runtime.LockOSThread or is in a
// callback from C: the Go runtime ends the process.
package actors
