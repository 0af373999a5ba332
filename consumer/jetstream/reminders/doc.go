// SPDX-License-Identifier: Apache-2.0

// Package reminders keeps the reminders of package
// [github.com/protoloop/protoloop/grid/remind] in NATS JetStream, by its scheduled messages. The
// server is of version 2.12 or later.
//
//	store, err := reminders.New(nc, reminders.Options{Replicas: 3})
//	rs, err := remind.New(remind.Options{Store: store, Grid: g})
//
// On the hubs of package grid/hub, nc is from Queues of package grid/hub/hubclient. A node may not make streams there: the hubs do, by
// Options.Reminders or hub -reminders.
//
// # What it is in JetStream
//
// All is in one stream, REMINDERS unless Options.Name says otherwise, and a second one for dead
// letters. Of each reminder there are
//
//   - the record, of which the sequence number is its version: it says what stands. It is
//     changed at the version that was read, so that of two who change it one does it again;
//   - the timer, a message with a schedule, with the version in its subject;
//   - what is due: the copy that the server makes of the timer at that time. It is delivered by the
//     queue of package consumer/jetstream, if its version is still that of the record.
//
// A record is stored before its timer. If a program ends in between, what the former timer makes due
// finds another version, and has the timer made that is missing. So no reminder that was set is
// lost, and none that was replaced or cancelled comes.
//
// A repeating reminder has one timer at a time. The next is made when what is due is done or given up,
// as a record with another version. It does not use the server's own repeated schedules, which know
// no first time, go on while nobody takes what is due, and need a server of version 2.14.
//
// What the server acknowledges survives the end of its process; a loss of power, if it has
// SyncAlways or replicas elsewhere.
package reminders
