// SPDX-License-Identifier: Apache-2.0

package actors

import "github.com/asynkron/protoactor-go/actor"

// Cleanups is how many Cleanups a worker knows of.
func Cleanups(sys *actor.ActorSystem, pid *actor.PID) int {
	c := &systemOf(sys).worker(pid).sparse().cleanups
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

// Kids is how much work that t has created is still in the tree.
func Kids(t *Task) int { return len(t.listKids()) }
