// SPDX-License-Identifier: Apache-2.0

// Package gocloud is whatever gocloud.dev/pubsub has a driver for, such as
// Google Cloud Pub/Sub, Azure Service Bus or a topic in memory, as a source of
// [github.com/protoloop/protoloop/consumer].
//
//	q, err := gocloud.New(gocloud.Options{
//		Open: func(ctx context.Context) (*pubsub.Subscription, error) {
//			return gcppubsub.OpenSubscriptionByPath(client, path, &gcppubsub.SubscriptionOptions{
//				ReceiveBatcherOptions: gocloud.NoPrefetch(),
//			})
//		},
//		DeadLetters: topic,
//	})
//	c, err := consumer.New(q.Open, handle, consumer.Options{})
//
// # What it can and cannot do
//
// The library shows what all services have in common, which is less than each
// of them has. For SQS there is consumer/sqs, for NATS consumer/jetstream.
//
//   - An error that is not the end of a context is for ever, for a
//     subscription of the library's: it is [consumer.ErrClosed] here, the
//     worker fails, and its supervisor has another subscription opened.
//   - A subscription takes messages in advance and forgets about them when it
//     is shut down; they come back when their lease is over. Open
//     it with [NoPrefetch]: then there is hardly one such message, and Close
//     gives it back.
//   - A subscription of mempubsub that is opened anew begins empty: with
//     Options.Lasting there is one for all incarnations of a consumer.
//   - Acks are sent in the background: what an ack's failure leaves is
//     delivered again. Close waits until they are sent.
//   - A lease, which the service calls an ack deadline or a lock, cannot be set
//     here nor extended: let it be longer than a handler may take
//     ([consumer.Options].Timeout), or the message is delivered to somebody else
//     meanwhile.
//   - A nack with a delay is kept in the process until it is due, at most 1,000
//     of them; it has no effect beyond the lease.
//   - Message.Deliveries is counted in the process, of the last 10,000 messages
//     that were given back, unless Options.Deliveries knows better.
//   - Message.ID is the library's LoggableID, Attributes are the metadata.
package gocloud
