// SPDX-License-Identifier: Apache-2.0

// Package gridtest has the store and the network of a cluster in memory, with faults, for tests of many
// nodes in one process: nodes crash, are paused and cut off, answers and frames are slow or lost.
// [Owners] checks that no shard has two owners at a time.
//
// It is meant for a bubble of testing/synctest, where time is virtual: a minute of a cluster takes
// as long as its computations. All choices are made from a seed.
package gridtest
