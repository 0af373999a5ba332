// SPDX-License-Identifier: Apache-2.0

package loopsync

import (
	"fmt"
	"sync/atomic"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/taskwait"
)

// ownerLoop is the loop that a value belongs to, from its first use on.
type ownerLoop struct{ at atomic.Pointer[loopIdentity] }

type loopIdentity struct {
	loop   any
	worker string
}

// checkCaller says who t is, and panics if it is a task of another loop.
func (h *ownerLoop) checkCaller(t *actors.Task, what string) taskwait.Visit {
	me := taskwait.TaskOf(t).Enter(what)
	at := h.at.Load()
	if at == nil {
		h.at.CompareAndSwap(nil, &loopIdentity{me.Loop, me.Worker})
		at = h.at.Load()
	}
	if at.loop != me.Loop {
		panic(fmt.Sprintf("loopsync: %s called by a task of worker %s: it belongs to the loop of worker %s, which has used it first",
			what, me.Worker, at.worker))
	}
	return me
}
