// SPDX-License-Identifier: Apache-2.0

// Package jetstream is NATS JetStream as a source of
// [github.com/protoloop/protoloop/consumer]: durable, with leases, delays and
// delivery counts. The server is one or a cluster of them outside ([Connect]),
// or runs within the process, with file storage and no port (package
// [github.com/protoloop/protoloop/consumer/jetstream/embedded]). A [Queue] is the
// same on either.
//
//	nc, err := jetstream.Connect("nats://localhost:4222")
//	q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS"})
//	err = q.Send(ctx, consumer.Message{Body: body, Key: "item-1"})
//	c, err := consumer.New(q.Open, handle, consumer.Options{})
//
// # What it is in JetStream
//
// A queue is a stream with work-queue retention and one durable pull
// consumer. They are made when they are first needed. If they exist they are used as
// they are, but for the consumer's lease and MaxAckPending, which Open changes to
// what Options say. Open fails with a consumer by which messages would be lost, see
// Options.Consumer, and with a stream that does not take Options.Subject. Every
// process that opens the queue shares that consumer. A dead letter goes to a second
// stream, with the reason in its headers, and can be consumed from there as from any
// queue.
//
//   - Message.ID is the sequence number in the stream. Key is the header
//     Idempotency-Key, which dead letters have and those that were sent back, or
//     else Nats-Msg-Id, by which the server also drops what is sent twice within
//     two minutes. Group is the header Message-Group. Attributes are the headers,
//     but for those of the server, which nobody may send on.
//   - Ack is confirmed by the server, with one round trip a batch; see
//     Options.Linger for a queue that is empty most of the time.
//   - Lease is the consumer's AckWait, which Options.Lease changes.
//   - A message as large as one may be, which has no room for the reason in its
//     headers, is no dead letter: it stays in the queue and comes back after the
//     longest delay.
//   - The server sends what a Receive was asked for, also after it has returned:
//     the next one begins with that. Drain ends it, which a consumer does before
//     it gives anything back at its end; Close gives back what is left.
//   - A message that was given back at a stop comes again within two seconds
//     when the server itself is started again, however long its lease is.
//   - A message that was given back comes before newer ones. Order within a
//     group therefore holds across a restart, but not while two processes
//     consume.
package jetstream
