// SPDX-License-Identifier: Apache-2.0

// Package consumer is a background queue consumer as a supervised worker. It
// polls a queue, handles the messages and acks them, and has what such a loop
// needs before one can rely on it.
//
//	q := memory.New(memory.Options{}) // or jetstream, sqs, gocloud: all have Open
//	c, err := consumer.New(q.Open, consumer.JSON(func(t *actors.Task, item Item, m consumer.Message) error {
//		_, err := actors.Ask[Stored](t, list, Store{m.Key, item})
//		return err
//	}), consumer.Options{})
//	s, err := supervisor.Start(ctx, sys, supervisor.Spec{Name: "app", MaxRestarts: 10, Children: []supervisor.Child{
//		{Name: "list", Props: listProps},
//		{Name: "items", Props: c.Props(), Backoff: actors.Backoff{Initial: time.Second, Max: 30 * time.Second, Jitter: 0.5}},
//	}})
//
// # Semantics
//
//  1. At least once. A message is acked after its handler has returned nil, and
//     not before. It may come again: after a crash, a lost connection, a lease
//     that was over. Handlers are idempotent by [Message].Key.
//  2. Tasks. A handler is a task of the worker: one runs at a time, and others go
//     on while it awaits. The source may block, so it is called outside of the
//     loop.
//  3. Bounds. At most [Options].Concurrency handlers are in flight, and the worker
//     asks the source for no more than there is room for. So a slow handler slows
//     the polling, and memory stays flat.
//  4. Failure. An error or a panic of a handler gives the message back, with a
//     delay that grows. After MaxTries the message is a dead letter, with the
//     reason. An error that is [Poison], such as a body that cannot be decoded,
//     makes it a dead letter at once. A message that fails holds up only the
//     messages behind it in its own order, unless the breaker is open.
//  5. Outages. When handlers fail because something that they need is down, such
//     as a database, no message is given up. An error that is [Unavailable] does
//     not count as a try of its message. The breaker opens after some of these in
//     a row, or after failures of as many messages without that mark: see
//     [Breaker]. The consumer then takes no more messages, gives back what has not
//     begun, and keeps what has failed. It tries one message at a time, a probe,
//     after a wait that grows to half a minute. When a probe succeeds, all messages
//     go on. Meanwhile no failure counts as a try, but poison is a dead letter as
//     soon as it is probed. The workers of a Consumer share one breaker.
//     Without a mark, only the number of failures tells an outage from bad
//     messages. So a few messages, or the few keys of an Order, can be given up in
//     an outage, and a run of bad messages is kept until a good one comes. Handlers
//     that can tell should use [Unavailable] and [Poison].
//  6. Order. With [Options].Order the messages of a key are handled one after
//     the other, as they came. A message that fails is tried again in flight, so
//     that none overtakes it. This holds within one worker. Among several workers
//     the queue has to keep the messages of a group together, as an SQS FIFO queue
//     does.
//  7. Leases. A message in flight stays hidden from others however long its handler
//     takes, if the queue can extend a lease.
//  8. Stop. At the stop event polling ends at once, and what has not begun goes
//     back. Handlers that have begun may finish within the grace. Messages that are
//     left then go back, too. [Stats] has counts of both.
//  9. Restart. Each incarnation opens its own source. At its end it gives back what
//     it holds, even when it has failed. If the source does not answer, these
//     messages come back when their lease is over.
//
// # Who deals with what
//
// When a call of the source fails, the worker tries again after a wait that grows.
// Handlers go on meanwhile. When to try again cannot help, or has not helped for
// long, the worker fails, so that its supervisor decides. That is when the source
// says that it is closed ([ErrClosed]), when nothing but errors has come for
// [Options].Outage, and when the source cannot be opened. The supervisor's backoff
// is then the wait between two attempts to open the source, and its MaxRestarts
// must allow for all attempts that fall into its Within.
//
// A queue that cannot be reached when the program starts fails the start.
package consumer
