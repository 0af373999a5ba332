// SPDX-License-Identifier: Apache-2.0

// Package ownership decides which shards a node of a cluster claims, hands over and gives back. It
// knows no store, no workers and no time of its own: package grid tells it what has happened, and
// does what it says. So all of it can be read, and tried, in one piece.
//
//   - [Table] says which node each shard belongs to, by rendezvous hashing: every node comes to the
//     same answer from the same members, and asks nobody.
//   - [Shards] tracks what has become of the shards of one session, one call to the store at a time.
//   - [Lease] says until when a session is the owner of anything, by its own clock.
//   - [Clock] counts the time in which the machine sleeps, which Go's own does not.
package ownership
