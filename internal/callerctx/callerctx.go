// SPDX-License-Identifier: Apache-2.0

// Package callerctx says who is behind a context. Package actors puts that into the contexts
// that it makes, and the other packages ask for it: to whom a call is an answer, and whether
// to wait with this context would block a worker.
package callerctx

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"
)

// Caller is who is behind a context.
type Caller interface {
	// WorkerPID is the worker that the context comes from.
	WorkerPID() *actor.PID
	// InTask reports whether it is that of a task: who waits with it blocks the
	// worker. That of an Offload is not.
	InTask() bool
}

// key finds the Caller in a context.
type key struct{}

// With returns a context that comes from c.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, key{}, c)
}

// Of is who is behind ctx, or nil.
func Of(ctx context.Context) Caller {
	c, _ := ctx.Value(key{}).(Caller)
	return c
}

// IsKey reports whether Of looks for key, for contexts that are not made by With.
func IsKey(k any) bool { return k == any(key{}) }
