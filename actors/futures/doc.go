// SPDX-License-Identifier: Apache-2.0

// Package futures makes one future of several, as asyncio and JavaScript do.
//
// Which function for what:
//
//   - the values of all, or the first failure: [All]
//   - how each has ended: [Settled]
//   - the first value: [Any]
//   - the first to end, however: [Race]
//   - which are done and which are not, at the first end or the first failure:
//     [FirstCompleted], [FirstException]
//   - one after the other, as they complete: [AwaitEach] in a task, [AsCompleted] in a
//     plain goroutine
//   - the same future with a bound in time, or out of a cancel's reach: [WithTimeout],
//     [Shield]
//   - one that is done already: [Resolved], [Failed]
//
// What they return is an [actors.Future] like any other: it is awaited, cancelled,
// combined again. They cost no task and no goroutine, and work in a task, in a plain
// goroutine and without an actor system.
//
// # Cancel
//
// Cancelling a combination cancels all members that are not done, and what these are made
// of, down to a [Shield]. The other way it does not go: a combination that is done cancels
// nothing, so that the losers of a Race go on. To have one failure end the rest use an
// [actors.Group].
//
// # Failures
//
// A member's failure that a combination shows counts as looked at when the combination's
// is. What comes too late for All, Settled, Any and Race is no news to anybody. With Shield,
// FirstCompleted and FirstException a failure stays the member's own, and is logged if
// nobody looks at that one.
//
// # Memory
//
// A member that is pending keeps the combinations that wait for it; a combination that
// is done, or cancelled, is forgotten by all its members. So a member that lives long, like
// a stop signal, may be raced any number of times, if each Race is done or cancelled in
// the end. A combination that is done keeps its own value, and no members unless they are
// that value, as in [Sets].
//
// # Rings
//
// A search for workers that wait for each other goes through combinations: see
// [actors.DeadlockError].
package futures
