// SPDX-License-Identifier: Apache-2.0

package keyed

import "github.com/asynkron/protoactor-go/actor"

// Inbox is where a worker, of a key or not, takes what was published.
type Inbox interface {
	// Offer puts a message into the worker's mailbox, if there is room. What finds none is counted as refused by the
	// worker, and nobody else is told. Any goroutine.
	Offer(env *actor.MessageEnvelope) Place
}

// InboxOf is that of w, an *actors.Worker whose setup runs; nil: that was abandoned. It panics for what when setup has returned. It is
// set by package actors.
var InboxOf func(w any, what string) Inbox

// HeaderOf is what a message of s brings to others beside itself: the trace and the registered values of its task.
// It reports false if s is a task that was abandoned, which is to have no effect any more. It is set by package actors.
var HeaderOf func(s actor.SenderContext, what string) (header map[string]string, ok bool)
