// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/keyed"
	"github.com/protoloop/protoloop/internal/observe"
)

// What package grid needs for topics, see package keyed.

func init() {
	keyed.InboxOf = func(w any, what string) keyed.Inbox {
		worker := w.(*Worker)
		worker.open(what)
		if worker.task.isAbandoned() {
			return nil
		}
		return inbox{worker.mb}
	}
	keyed.HeaderOf = headerPublished
}

// inbox is keyed.Inbox.
type inbox struct{ mb *mailbox }

// Offer is keyed.Inbox's.
func (b inbox) Offer(env *actor.MessageEnvelope) keyed.Place {
	w := keyedWorker{supervised(b)}
	place := w.Reserve()
	if place == keyed.Reserved {
		w.Post(env.Message, env, false)
	}
	return place
}

// headerPublished is keyed.HeaderOf.
func headerPublished(s actor.SenderContext, what string) (header map[string]string, ok bool) {
	t, sys := caller(s, what)
	if t == nil {
		return nil, true
	}
	if t.isAbandoned() {
		return nil, false
	}
	var env actor.MessageEnvelope
	if base := t.base(); base != nil {
		sys.setContextValues(&env, base)
	}
	if observe.Observed() {
		t.injectInto(&env)
	}
	return env.Header, true
}
