// SPDX-License-Identifier: Apache-2.0

// Package condition has tasks wait for a change of what others guard.
package condition

import "github.com/protoloop/protoloop/actors"

// Condition lets tasks wait for a change: a condition variable whose lock is whatever guards
// it. That may be a loop, or a mutex that the tasks do not hold while they wait. All who wait go on at a change, and look
// again. The zero value has nobody who waits. A copy has the same who wait: to let them go on without
// the lock, take one, set the original to zero and broadcast the copy.
type Condition struct {
	next *actors.Promise[actors.None] // nil: nobody waits
}

// NextChange is complete at the next Broadcast. It is shared: nobody is to cancel it. Guarded.
func (c *Condition) NextChange() *actors.Future[actors.None] {
	if c.next == nil {
		c.next = new(actors.Promise[actors.None])
	}
	return c.next.Future()
}

// Wait returns after the next Broadcast, or with the reason why t was ended. On the loop that guards it.
func (c *Condition) Wait(t *actors.Task) error { return t.Await(c.NextChange()) }

// Broadcast lets all that wait go on. Guarded.
func (c *Condition) Broadcast() {
	if p := c.next; p != nil {
		c.next = nil
		p.Resolve(actors.None{})
	}
}
