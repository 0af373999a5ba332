// SPDX-License-Identifier: Apache-2.0

// Package ring finds rings of things that wait for each other: deadlocks. It
// knows no actors: a [Node] is anything that may wait, for all of some other
// nodes or for any one of them.
//
// # Who looks
//
// A ring that has to be found goes through a holder: something that, while it
// waits, holds others back who have not asked to wait for it, as an exclusive
// task does with the other tasks of its worker. So nobody has to look but a
// holder, and whoever a holder waits for, directly or by way of others. To tell
// these, a search leaves a mark on each node that it comes to, its probe
// ([Node.Probe]). A node that is about to wait
//
//  1. publishes what it waits for, so that [Node.Wait] and [Node.Member] say it,
//  2. and then, if it is a holder or has been probed, calls [Stuck].
//
// A search does the two in the opposite order, probe first and look then. So
// of a node that is about to wait and a search that comes by, one sees the other:
// either the search goes on along the new wait, or the node finds the probe and
// goes on itself. The last one in a ring to look therefore sees all of it. Who
// has no probe looks for nothing, whatever else there is in the system: it costs
// one load.
//
// A probe is never taken back. Where the holder has long gone on it costs a
// search that finds nothing. A search costs as much as the way is long; so n nodes
// in one chain that all have a probe before they wait, each for the one that has
// begun to wait before it, take n²/2 steps together. Without probes they take none,
// and in the opposite order one each.
//
// This is edge chasing, as in "Distributed deadlock detection" by Chandy, Misra
// and Haas (1983), with marks in place of messages.
//
// # Who decides
//
// Searches take no lock, and stop where something turns out to go on by itself:
// most do at the first node. Two of them may find one ring at the same time, and
// one may put together what never was there at once. So what [Stuck] finds is a
// suspicion. [Graph.Break] takes the lock of the graph, looks again, looks once
// more whether all that it has found still holds, and takes one node out of the
// ring before the next one looks. Rings are rare, and so is the lock.
//
// What waits and holds back may change all the time. A ring does not, once it is
// closed: nothing in it goes on.
package ring
