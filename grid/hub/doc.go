// SPDX-License-Identifier: Apache-2.0

// Package hub runs the servers that the nodes of a cluster of package grid meet at, in one process: etcd, by which they agree on who
// owns what, and NATS, which carries what they send to each other, and has the queues of consumer/jetstream. Nodes dial out to hubs, and
// listen on nothing: see package hubclient.
//
//	h, err := hub.Start(ctx, hub.Options{Cluster: "shop", Dir: "data"})
//	defer h.Shutdown()
//
// One hub is for development. Three are for everything else: one of them may be lost, and the other two go on. Each has four ports
// in a row, and Options.Hubs has the address of the first:
//
//	port     NATS, for nodes
//	port+1   etcd, for nodes
//	port+2   NATS, for the other hubs
//	port+3   etcd, for the other hubs
//
// # Who may do what
//
// Off this machine each side shows a certificate, see package certs, and no plaintext is taken. The name in a node's
// certificate is that of the node, and NATS lets it do what that node does: send frames that say they are from it, receive what is
// sent to it, hear of lost nodes, publish to the topics of its cluster in its own name and hear them, use the queues that Options.Queues
// has, all keys of the buckets that Options.Buckets has and all reminders of the streams that Options.Reminders has, and have its own inboxes: _INBOX.NODE. It neither makes nor changes streams
// and consumers: a stream could store what other nodes send, and a consumer deliver anything to anybody. But who takes over a part of a
// queue of Options.Partitions makes its consumer, which can deliver what is in that queue to anybody.
// The ports for hubs take the certificates alone whose names are in Options.Hubs.
//
// In etcd nodes trust each other: whoever has a node's certificate can change all that is stored there, and so give itself what another
// node owns. A role for each node would not change that, as each may become the owner of any shard. What nodes cannot do is to
// administer etcd: members, users, compaction, snapshots and the like are for hubs. Without certificates, which is possible on this machine alone, all its users may do anything.
//
// # What is lost with what
//
// What the hubs have acknowledged is on their disks, of the queues too. With one of three hubs lost, nodes go to another within a
// fraction of a second, nobody loses what it owns, and queues stand still until JetStream has elected who leads them, some seconds.
// One whose disk is lost takes its place again by Options.Replace, while the others run.
// With two lost nobody becomes the owner of anything, and each owner stops with its lease. A node that was lost is told to
// the others 250 ms after its connection: asks in flight to it fail then, and do not wait for its lease.
package hub
