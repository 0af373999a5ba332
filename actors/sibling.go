// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"strings"

	"github.com/asynkron/protoactor-go/actor"
)

// Sibling is the PID of another child of the worker's parent, most often a supervisor, by
// its name. It is the same across restarts, and there whether or not such a child is: a
// request to one that is not there fails with [ErrDeadLetter]. Of a worker that was spawned
// by a root context, others that were are its siblings.
func (t *Task) Sibling(name string) *actor.PID { return siblingOf(t.actorContext, name) }

func siblingOf(ctx actor.Context, name string) *actor.PID {
	if p := ctx.Parent(); p != nil && strings.HasPrefix(ctx.Self().Id, p.Id+"/") {
		name = p.Id + "/" + name
	}
	return ctx.ActorSystem().NewLocalPID(name)
}
