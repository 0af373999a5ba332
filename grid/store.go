// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"context"
	"time"
)

// Node is a process of a cluster.
type Node struct {
	// Name is that of the process, and stays when it is started anew.
	Name string
	// Session is the number of this incarnation, given by the store. It is greater than those of
	// all nodes that have joined before, and never given again.
	Session uint64
	// Kinds are those that it has workers of. A node with none owns nothing.
	Kinds []string
	// Shards is how many the cluster has. It never changes.
	Shards int
	// Draining: it hands over all that it owns, and gets nothing.
	Draining bool
	// CutOff: the network has not reached it for long. It gets nothing, and hands over what it owns, if there is a node that is not cut off.
	CutOff bool
}

// Token is the right to save the state of the keys of a shard. Of two tokens of a shard the later
// owner has the one with the greater Rev: what is saved with the other is to be refused.
type Token struct {
	Shard int
	Rev   uint64
}

// View is all nodes at one moment, in the order of their sessions. Nobody changes it.
type View struct{ Nodes []Node }

// Store is where the nodes of a cluster agree on who is there, and who owns what. Each node has one of
// its own. grid/etcd has one for etcd, and grid/gridtest one in memory; grid/gridtest/storetest has the tests that one must pass.
type Store interface {
	// Join makes a session of the cluster for n, which ends ttl after its last renewal, or later. The first
	// renewal shows it to all, and not the Join: if the answer of that is lost, nobody is there to claim
	// what would belong to the node. If the cluster has another number of shards it fails with an
	// [*actors.OptionError].
	Join(ctx context.Context, n Node, ttl time.Duration) (Session, error)
	// View yields the nodes, at first and after each change. One that is followed by another
	// before it was received may be left out.
	View() <-chan View
}

// Session is a node's place in the cluster, until it is not renewed in time.
//
// A call fails with [actors.ErrFenced] if the session is over: all that it owned has been given up.
// With any other error, be it that of its ctx, it may have taken effect or may still do so; but never
// after a later Claim, Release, Drain or CutOff of the session has returned without an error.
type Session interface {
	// Node is the node as it has joined, with its session.
	Node() Node
	// TTL is how long the session lasts at least after a renewal. It may differ from what was asked for.
	TTL() time.Duration
	// Renew keeps the session for another TTL, and the first shows the node to all. Several may be under way at a time.
	Renew(ctx context.Context) error
	// Claim makes the session the owner of those of the shards, 128 at most, that have none. It returns the
	// tokens of all of them that it owns now, whichever call has done that. What others own is
	// waited for: see Free.
	Claim(ctx context.Context, shards []int) (map[int]Token, error)
	// Release gives up shards, 128 at most, and waits for them no longer.
	Release(ctx context.Context, shards []int) error
	// Free yields shards that were not to be had by a Claim, once their owner has given them up.
	Free() <-chan int
	// Drain lets all see that the node is draining.
	Drain(ctx context.Context) error
	// CutOff lets all see whether the node is cut off from the network. It is not called once Drain was.
	CutOff(ctx context.Context, is bool) error
	// Leave ends the session at once.
	Leave(ctx context.Context) error
}
