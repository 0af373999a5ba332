// SPDX-License-Identifier: Apache-2.0

// Package faults has the tests of a whole cluster of package grid under faults: hubs and nodes that are processes, each in a network
// namespace of its own, are killed, held, cut off and run out of disk, while clients ask. What was answered is judged afterwards.
//
// It has no API. The tests need Linux, root and ip(8).
package faults
