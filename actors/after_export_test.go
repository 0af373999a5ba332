// SPDX-License-Identifier: Apache-2.0

package actors

import "github.com/asynkron/protoactor-go/actor"

// Delayed is how much of a worker's work waits to be due.
func Delayed(s actor.SenderContext, pid *actor.PID) int {
	_, sys := caller(s, "Delayed")
	if mb := sys.worker(pid); mb != nil {
		return len(mb.sparse().delays.listDelayed())
	}
	return 0
}
