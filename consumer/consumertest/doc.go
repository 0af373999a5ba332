// SPDX-License-Identifier: Apache-2.0

// Package consumertest is the conformance suite of sources: what a consumer
// relies on, and what its users are promised, tried on a queue in real time.
//
//	func TestConformance(t *testing.T) {
//		consumertest.Run(t, func(t *testing.T, lease time.Duration) consumertest.Queue {
//			q := newQueue(t, lease)
//			return consumertest.Queue{Open: q.Open, Send: q.Send, Lease: lease, …}
//		})
//	}
//
// Each test has a queue of its own. What a queue cannot do it does not claim,
// and is tried without. Where a lease has to end in a test it is some seconds, elsewhere an hour: so what comes back there
// was given back, however slow the machine is.
package consumertest
