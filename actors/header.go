// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"maps"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/keyed"
	"github.com/protoloop/protoloop/internal/observe"
)

// What a request brings to another process beside its message is in the header of its
// envelope, which the engine's remote and the grid carry as it is. There is nothing of it
// in a request that stays in the process.

// valueHeader is followed by the name of a registered context value. The other names are in package keyed.
const valueHeader = "protoloop-value-"

// setHeader puts what the request has to another process into its envelope.
func (t *Task) setHeader(env *actor.MessageEnvelope, opts []CallOption) {
	if d := t.ext.Load().deadline; d > 0 {
		env.SetHeader(keyed.BudgetHeader, keyed.FormatBudget(d-t.system().pool.Now()))
	}
	if hasOption(opts, setIdempotent) {
		env.SetHeader(keyed.IdempotentHeader, "1")
	}
	if base := t.base(); base != nil {
		t.system().setContextValues(env, base)
	}
	if observe.Observed() {
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
