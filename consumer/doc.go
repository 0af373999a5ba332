// SPDX-License-Identifier: Apache-2.0

// Package consumer is a background queue consumer as a supervised worker: the
// loop that polls a queue, handles what comes and acks it, with what such a
// loop needs before it can be relied on.
//
//	q := memory.New(memory.Options{}) // or jetstream, sqs, gocloud: all have Open
//	c := consumer.New(q.Open, consumer.JSON(func(t *actors.Task, item Item, m consumer.Message) error {
//		_, err := actors.Ask[Stored](t, list, Store{m.Key, item})
//		return err
//	}), consumer.Options{})
//	s, err := supervisor.Start(ctx, sys, supervisor.Spec{Name: "app", MaxRestarts: 10, Children: []supervisor.Child{
//		{Name: "list", Props: listProps},
//		{Name: "items", Props: c.Props(), Backoff: supervisor.Backoff{Initial: time.Second, Max: 30 * time.Second, Jitter: 0.5}},
//	}})
//
// # Semantics
//
//  1. At least once. A message is acked after its handler has returned nil, and
//     not before. It may come again: after a crash, a lost connection, a lease
//     that was over. Handlers are idempotent by [Message].Key.
//  2. Tasks. A handler is a task of the worker: one runs at a time, others go
//     on while it awaits. The source, which may block, is called outside of the
//     loop.
//  3. Bounds. At most [Options].Concurrency handlers have begun, and no more is
//     asked of the source than there is room for: a slow handler slows the
//     polling, and memory stays flat.
//  4. Failure. An error or a panic of a handler gives the message back, with a
//     delay that grows; after MaxTries it is a dead letter, with the reason. An
//     error that is [Poison], such as a body that cannot be decoded, makes it
//     one at once. Nobody waits for a message that fails but those behind it in
//     its own order, unless the breaker is open.
//  5. Outages. Where handlers fail because of something that they need, such as a
//     database, no message is given up. An error that is [Unavailable] counts as
//     no try of its message. After some of them in a row, or after failures of as
//     many messages without such a mark, the breaker opens: see [Breaker]. The
//     consumer then takes no more messages, gives back what has not begun, and
//     keeps what has failed. It tries one message at a time, a probe, with a wait
//     that grows to half a minute, until one succeeds; then all go on. No failure
//     counts as a try meanwhile, but poison is a dead letter as soon as it is
//     probed. The workers of a Consumer have one breaker. Failures without a mark
//     are told from those of bad messages by their number alone. So a few messages,
//     or the few keys of an Order, can be given up in an outage; and a run of bad
//     messages with no good one among them is kept until there is one. Handlers
//     that can tell should use [Unavailable] and [Poison].
//  6. Order. With [Options].Order the messages of a key are handled one after
//     the other, as they came. One that fails is tried again in flight, so that
//     none overtakes it. This holds within one worker; among several it is the
//     queue's to keep messages of a group together, as an SQS FIFO queue does.
//  7. Leases. What is in flight stays hidden from others however long a handler
//     takes, where the queue can extend that.
//  8. Stop. At the stop event polling ends at once and what has not begun goes
//     back; handlers that have begun may finish within the grace. What is then
//     left goes back, too. [Stats] has counts of both.
//  9. Restart. Each incarnation opens its own source, and at its end gives back
//     what it holds, also when it has failed. What it cannot give back, because
//     the source does not answer, comes back when its lease is over.
//
// # Who deals with what
//
// A call of the source that fails is tried again by the worker, after a wait
// that grows; handlers go on meanwhile. The worker fails, so that its
// supervisor decides, when trying again cannot help or has not for long: when
// the source says that it is closed ([ErrClosed]), when nothing but errors has
// come for [Options].Outage, and when the source cannot be opened. The
// supervisor's backoff is then the wait between two attempts to open it; its
// MaxRestarts has to allow for as many as that makes in its Within.
//
// A queue that cannot be reached when the program starts fails the start.
package consumer
