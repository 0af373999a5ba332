// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"maps"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/observe"
)

// What a request brings to another process beside its message is in the header of its
// envelope, which the engine's remote and the grid carry as it is. There is nothing of it
// in a request that stays in the process.

const (
	// budgetHeader is what is left of a request's budget, in nanoseconds: a remaining
	// time, because clocks differ.
	budgetHeader = "protoloop-budget"
	// idempotentHeader is "1" if the request may be sent again although it may have run.
	idempotentHeader = "protoloop-idempotent"
	// valueHeader is followed by the name of a registered context value.
	valueHeader = "protoloop-value-"
)

// setHeader puts what the request has to another process into its envelope.
func (t *Task) setHeader(env *actor.MessageEnvelope, opts []CallOption) {
	if d := t.ext.Load().deadline; d > 0 {
		env.SetHeader(budgetHeader, strconv.FormatInt(int64(max(0, d-t.system().pool.Now())), 10))
	}
	if hasOption(opts, setIdempotent) {
		env.SetHeader(idempotentHeader, "1")
	}
	if base := t.base(); base != nil {
		t.system().setContextValues(env, base)
	}
	if observe.On.Load() != 0 {
		t.injectInto(env)
	}
}

// envelopeForward is the envelope, without message, that the message of t is forwarded with, to another process:
// what it came with, with what is left of its budget by now.
func (t *Task) envelopeForward() *actor.MessageEnvelope {
	env := new(actor.MessageEnvelope)
	if of := t.envelope(); of != nil && len(of.Header) > 0 {
		env.Header = maps.Clone(of.Header) // others may read that one
	}
	if t.ext.Load() != nil {
		t.setHeader(env, nil)
	}
	return env
}

// budgetIn is what is left of the budget that a header has, and whether it has one.
func budgetIn(env *actor.MessageEnvelope) (left time.Duration, has bool) {
	h := env.GetHeader(budgetHeader)
	if h == "" {
		return 0, false
	}
	n, err := strconv.ParseInt(h, 10, 64)
	if err != nil || n < 0 {
		return 0, false // not ours, or from a peer that counts otherwise
	}
	return time.Duration(n), true
}

// noteAtDoor is called when a carrier has gone through a door: if nobody waits for it any
// more by now, the door hears of that here, and else where it is ended, see endTree.
func (t *Task) noteAtDoor() {
	t.once.Or(isAtDoor)
	if t.isCut() {
		t.tellDoor()
	}
}

// tellDoor tells the door, once, that nobody waits for the carrier's answer any more.
func (t *Task) tellDoor() {
	if t.once.And(^isAtDoor)&isAtDoor == 0 {
		return
	}
	to := t.ext.Load().replyTo()
	if door := to.seg.table.sys.doorOf(to.whom); door != nil {
		door.CancelCarried(&to.pid)
	}
}
