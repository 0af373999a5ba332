// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/failure"
)

// tellFailure tells the hooks of inspect.OnFailure of an actor's failure, which goes to
// the log, too. task may be empty.
func (c *core) tellFailure(kind string, pid *actor.PID, task string, err error) {
	if h := c.events.failures; h.Wanted() {
		h.Tell(failure.Failure{Kind: kind, Worker: pid, Task: task, Err: err, Stack: stackOf(err)})
	}
}

// tellPanic tells them of a panic with v in code of a user's that has nobody to fail. pid may
// be nil.
func (o *eventSink) tellPanic(pid *actor.PID, code string, v any, stack []byte) {
	if o.failures.Wanted() {
		o.failures.Tell(failure.Failure{Kind: failure.CallbackPanic, Worker: pid, Task: code, Stack: stack,
			Err: fmt.Errorf("supervisor: panic in %s: %w", code, &actors.PanicError{Value: v, Stack: stack})})
	}
}

// failurePID is the PID that the child has, or had, or would have.
func (k *child) failurePID() *actor.PID {
	if k.pid != nil {
		return k.pid
	}
	n := k.core.node
	return n.sys.NewLocalPID(n.pid.Id + "/" + k.name)
}

// emitChildFailed emits the event of a child's failure, and tells the hooks of it.
func (k *child) emitChildFailed(e ChildFailed) {
	e.At = k.eventPlace()
	emitEvent(k.core.events, e)
	k.core.tellFailure(failure.WorkerFailure, k.failurePID(), e.Task, e.Err)
}
