// SPDX-License-Identifier: Apache-2.0

// Package sqs is Amazon SQS, or what speaks its protocol, as a source of
// [github.com/protoloop/protoloop/consumer].
//
//	cfg, err := config.LoadDefaultConfig(ctx)
//	q, err := sqs.New(awssqs.NewFromConfig(cfg), sqs.Options{URL: url, DeadLetters: dead})
//	c, err := consumer.New(q.Open, handle, consumer.Options{Pollers: 4})
//
// # What it is in SQS
//
//   - Message.ID is the message ID. Key is the attribute Idempotency-Key or the
//     deduplication ID of a FIFO queue, Group the message group ID or the
//     attribute Message-Group. Deliveries is ApproximateReceiveCount.
//   - Attributes are the message attributes of all types, those of type Binary as
//     their bytes, and SQS's own with AWS. before their names, such as
//     AWS.SenderId. Where a message that was received is sent, to a queue of this
//     package or as a dead letter, they keep their types, and of SQS's own ones
//     AWS.AWSTraceHeader is sent. Other attributes are sent as String, or as Binary
//     if they are no text.
//   - SQS holds text. What has a Body, Key or Group that is none is not sent, and
//     the error says so.
//   - Lease is the visibility timeout that Receive asks for, Options.Lease. A
//     queue extends it up to twelve hours in all.
//   - A receive returns ten messages at most: for more at a time there is
//     [consumer.Options].Pollers. Acks, nacks and extensions go in batches of
//     ten. Delays are whole seconds, rounded up.
//   - A dead letter is sent to Options.DeadLetters, with the reason and its Key as
//     attributes, and then deleted. Sent back as it is it has the same Key. SQS
//     allows ten attributes: of the message's own, those that do not fit are left
//     out. Without DeadLetters messages stay in the queue, for its redrive
//     policy, which gives no reason; so does one that is as large as a message may
//     be, and has no room for the reason.
//   - A long poll that is not answered ten seconds after its end is trouble with
//     the source, and another one begins.
//   - A long poll that ends with its context is an HTTP request that is cut
//     off. If SQS was about to answer, the messages come back when their
//     lease is over.
//   - A FIFO queue gives no message of a group while one is hidden, so its
//     order holds among any number of processes. Have it kept in flight as well,
//     by [consumer.ByGroup] and with one poller: a batch may hold several of one
//     group.
package sqs
