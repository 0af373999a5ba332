// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/loop"
)

// InspectHalf looks at some of a worker's suspended tasks, and does without the
// rest, as a snapshot does whose worker keeps it waiting. It returns how many
// there were.
func InspectHalf(sys *actor.ActorSystem, pid *actor.PID) (n int) {
	mb := systemOf(sys).worker(pid)
	walk := mb.loop.Suspended()
	mb.loop.Peek(func(*loop.Task) { walk.Next(func(*loop.Task) { n++ }) })
	mb.leaveWalk(walk)
	return n
}
