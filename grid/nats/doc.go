// SPDX-License-Identifier: Apache-2.0

// Package nats carries the frames between the nodes of a cluster of package grid over core NATS: no JetStream, and
// nothing is stored. A node dials out and listens on nothing.
//
//	net, err := nats.Connect(ctx, nats.Options{Cluster: "shop", URL: "nats://hub-1:7420,nats://hub-2:7420,nats://hub-3:7420", TLS: conf})
//	defer net.Close()
//	g, err := grid.Start(ctx, system, grid.Options{Net: net, …})
//
// The servers are those of package grid/hub, or any of NATS. What a server has to do:
//
//   - It vouches for names: a node may publish to pl.CLUSTER.*.*.NODE, and subscribe to pl.CLUSTER.NODE.>,
//     pl.CLUSTER.gone.* and, for topics, pl.CLUSTER.$topic.>. A hub sees to that by the node's certificate. A server
//     that lets everybody publish to everything lets each node speak as any other.
//   - It answers a request that nobody has subscribed to (no_responders), which all do unless headers are off. Who
//     subscribes to pl.> beside the nodes, a stream or a tool, has the server take each frame for delivered: an ask to a
//     node that is gone then fails later.
//   - It tells who is gone: a hub does, and other servers do not. Without that, asks in flight to a node that was lost end when
//     its lease does.
//   - All servers of a cluster have the same max_payload.
//
// Names of clusters, nodes and topics may have any bytes. In a subject %XX stands for a byte other than a letter, a digit, a
// hyphen and an underscore, and gone is written as %67%6F%6E%65.
package nats
