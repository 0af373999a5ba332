// SPDX-License-Identifier: Apache-2.0

package actors

import "github.com/asynkron/protoactor-go/actor"

// BoundCalls is how many contexts are watched for calls in flight.
func BoundCalls(sys *actor.ActorSystem) (n int) {
	for i := range systemOf(sys).contexts.tables {
		c := &systemOf(sys).contexts.tables[i]
		c.mu.Lock()
		if c.one != nil {
			n++
		}
		n += len(c.more)
		c.mu.Unlock()
	}
	return n
}
