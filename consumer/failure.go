// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/failure"
)

// failureHooks are those of inspect.OnFailure, as a consumer's worker tells them.
type failureHooks struct {
	*failure.Hooks
	worker *actor.PID
	names  *taskNames
}

func failureHooksOf(w *actors.Worker, names *taskNames) failureHooks {
	return failureHooks{failure.Of(w.ActorSystem()), w.Self(), names}
}

// tellOf tells them what has become of a message because of err.
func (h failureHooks) tellOf(kind string, m *Message, what string, err error) {
	if h.Wanted() {
		h.tell(kind, h.names.forMessage(m).task, "message "+Printable(m.ID, 200)+": "+what, err)
	}
}

func (h failureHooks) tell(kind, task, what string, err error) {
	if !h.Wanted() {
		return
	}
	f := failure.Failure{Kind: kind, Worker: h.worker, Task: task, Err: fmt.Errorf("consumer: %s: %w", what, err)}
	var p *actors.PanicError
	if errors.As(err, &p) {
		f.Stack = p.Stack
	}
	h.Tell(f)
}
