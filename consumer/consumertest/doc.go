// SPDX-License-Identifier: Apache-2.0

// Package consumertest is the conformance suite of sources: what a consumer
// relies on, and what its users are promised, tried on a queue in real time.
//
//	func TestConformance(t *testing.T) {
//		consumertest.Run(t, func(t *testing.T) consumertest.Queue {
//			q := newQueue(t, 2*time.Second)
//			return consumertest.Queue{Open: q.Open, Send: q.Send, Lease: 2 * time.Second, …}
//		})
//	}
//
// Each test has a queue of its own. What a queue cannot do it does not claim,
// and is tried without.
package consumertest
