// SPDX-License-Identifier: Apache-2.0

// Package remind sends the worker of a key a message when a time has come, once or again and
// again, also if the process that has asked for it has ended meanwhile:
//
//	set, err := remind.New(remind.Options{Store: store}) // for the setup of the kinds
//	g, err := grid.Start(ctx, sys, grid.Options{Kinds: kinds(set)})
//	deliver, err := remind.New(remind.Options{Store: store, Grid: g})
//	s, err := supervisor.Start(ctx, sys, supervisor.Spec{Name: "app", Children: []supervisor.Child{
//		{Name: "grid", Props: g.Props()},
//		{Name: "reminders", Props: deliver.Props()}, // it stops before the grid
//	}})
//	err = set.Set(ctx, remind.Reminder{
//		Kind: "cart", ID: "ada", Name: "forgotten", At: time.Now().Add(24 * time.Hour), Message: &pb.Forgotten{},
//	})
//
// There are two because other nodes ask as soon as the grid starts: workers must have what sets reminders by then. A task calls Set,
// Cancel and List in [actors.Offload].
//
// # What holds
//
//   - A reminder is known by kind, id and name. Set replaces the one before: when it has
//     returned, that is not delivered any more, and the new one is not lost.
//   - At least once. What is due is delivered by a [consumer.Consumer], with its retries, dead
//     letters, breaker and account, and is done when the worker's handler has returned nil. It may be
//     delivered again, as after a crash, so handlers are idempotent.
//   - A repeating one is due next when this time is done, or given up as a dead letter: at the next of
//     its instants that is not over. So it never comes twice at a time, and what was missed
//     while no program ran comes once.
//   - Cancel is exact until the delivery begins: when it has returned, none begins any
//     more. One that has begun before, or waits in the worker's mailbox, goes on.
//   - A Set or Cancel that fails may have had its effect, or not: do it again. A reminder that it
//     should have replaced may be delivered until then.
//   - It may be late by what the store takes, a quarter of a second in JetStream, and by as long as no
//     program delivers. It is not early by the clock of the store.
//
// Any number of programs may share a store, and each reminder is delivered by one of them. Whoever
// delivers has the kinds of all reminders in its grid: what a grid does not have fails there, and is
// tried again by any.
//
// # Stores
//
// [Memory] is for tests and for one process. Package consumer/jetstream/reminders keeps them in JetStream.
// Package remindtest has the tests that a store must pass.
package remind
