// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"fmt"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/safelog"
	"github.com/protoloop/protoloop/messages"
)

// OnDone calls fn with the result when the future is complete: on the
// goroutine that completes it, after those who wait have been woken, and in
// the order of the calls of OnDone; at once, if it is complete already. A
// failure that fn is told counts as looked at.
//
// What fn completes is told at once, before the next callback of f is; but where
// the stack has become deep because callbacks have led to callbacks, only when fn
// has returned. The order is the same, and a chain may have any length.
//
// Work that is ended has nobody to complete its future who may be held up: one that
// is cancelled with what has created it, that expires, is cut off or dropped by a
// restart or a stop, or whose request is left without an answer. Then it is a
// goroutine of its own, on which the callbacks of all that ends at that moment may be
// called. [Future.Cancel] calls those of its own future itself.
//
// fn must not block, nor call [runtime.Goexit]: it may hold up a turn of some
// worker, which need not be the caller's, and other callbacks. It runs in no task, so it must
// not touch a worker's state. A panic is logged. To go on in a turn, use
// [Start] and [Await] (asyncio.Future.add_done_callback, but for the loop).
func (f *Future[T]) OnDone(fn func(T, error)) {
	switch {
	case f == nil:
		panicNilFuture("OnDone")
	case fn == nil:
		panic("actors: OnDone called with a nil function")
	}
	owner := f.owner.Load() // for its logger: a future that is done may have let go of it
	f.addCallback(&node{to: userCallback(func() {
		defer func() {
			if p := recover(); p != nil {
				owner.reportCallback(newPanicError(p))
			}
		}()
		fn(f.val, f.lookAtResult())
	})})
}

// reportCallback logs the panic of an OnDone callback of the future of t, which may be nil.
func (t *Task) reportCallback(err *PanicError) {
	const code = "an OnDone callback"
	log := safelog.Contain(slog.Default())
	if t != nil && t.attached != nil {
		log = t.mb.logger()
		t.mb.tellPanic(code, err)
	} else {
		tellAllFailure(failure.Failure{Kind: failure.CallbackPanic, Task: code, Err: fmt.Errorf("actors: panic in %s: %w", code, err), Stack: err.Stack})
	}
	log.Error("actors: panic in "+code, "panic", fmt.Sprint(err.Value), "stack", string(err.Stack))
}

// PipeTo sends the result to pids when the future is complete: the value, or a
// [*messages.Failure] with the error. It is sent without a sender, and from
// s if that is a root context; else, because the one that s belongs to may be
// in a turn or gone by then, from the actor system's root, past the sender
// middleware of s (Akka's pipe pattern).
func (f *Future[T]) PipeTo(s actor.SenderContext, pids ...*actor.PID) {
	switch {
	case f == nil:
		panicNilFuture("PipeTo")
	case s == nil:
		panic("actors: PipeTo called with a nil sender: use a root context, an actor's context or a Task")
	}
	root, ok := s.(*actor.RootContext)
	if !ok {
		root = s.ActorSystem().Root
	}
	to := make([]*actor.PID, len(pids))
	for i, pid := range pids {
		to[i] = pidOf(pid, "PipeTo")
	}
	f.OnDone(func(v T, err error) {
		var m any = v
		if err != nil {
			ran := f.hasRun(err)
			m = messages.NewFailure(err, ran, !ran)
		}
		for _, pid := range to {
			if bad := systemOf(root.ActorSystem()).unsendable(pid, m, 0); bad != nil {
				root.Send(pid, messages.NewFailure(bad, true, false))
				continue
			}
			root.Send(pid, m)
		}
	})
}

// hasRun reports whether the work of a future that has failed with err has begun, as
// far as it is known here.
func (c *core) hasRun(err error) bool {
	o := c.owner.Load()
	if o == nil {
		return !c.fresh
	}
	if o.lifetime == carrier {
		if _, answered := err.(*messages.Failure); answered {
			return false // it says so itself
		}
	}
	return o.lifetime >= carrier || !o.lt.Fresh()
}
