// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/failure"
)

// Kind says what a [Failure] is. Its text is a word or two, for a log or as the label of a
// metric; more kinds may come.
type Kind string

// What [OnFailure] is told. The table in docs/errors.md has each case.
const (
	// UnobservedFailure: work has failed, and nobody looks. A future that has failed was
	// collected without anybody having seen its error: that of a task, an offloaded
	// function, a request to whomever, a [actors.Promise] or a combinator. Or there was
	// nobody to see it: the message was one-way, or its asker had been told already.
	UnobservedFailure Kind = failure.Unobserved
	// WorkerFailure: a worker or another child of a supervisor has failed. Its supervisor
	// restarts it or lets it end.
	WorkerFailure Kind = failure.WorkerFailure
	// WorkerRestart: a worker or another child of a supervisor begins again. Err is why
	// the former incarnation has ended.
	WorkerRestart Kind = failure.WorkerRestart
	// CallbackPanic: a function of yours that has nobody to fail has panicked, or called
	// runtime.Goexit: a callback of OnDone, a hook, a strategy, a sender middleware.
	CallbackPanic Kind = failure.CallbackPanic
	// BlockedTurn: a turn lasts longer than BlockedTurn. Stack is where.
	BlockedTurn Kind = failure.BlockedTurn
	// StalledWork: no function of a Limiter returns while others wait for a place, or the
	// breaker of a consumer has opened.
	StalledWork Kind = failure.StalledWork
	// AbandonedTask: a task, an offloaded function or a plain actor did not return when it
	// was told to, and is waited for no longer.
	AbandonedTask Kind = failure.AbandonedTask
	// DeadLetter: a one-way message or an answer reached nobody, a message whose handler
	// had panicked was not handled anew, or a consumer has given up a message.
	DeadLetter Kind = failure.DeadLetter
)

// Failure is something that has gone wrong, and of which nobody else is told.
type Failure struct {
	Kind   Kind
	Worker *actor.PID // whose failure it is; nil: nobody's, or not known
	Task   string     // that it is about, by the name that it has in logs; may be empty
	Err    error      // what it is; never nil
	Stack  []byte     // of a panic, or of a turn that does not end; may be nil
	At     time.Time
	// Dropped is how many failures before this one the hook was not told of, because a
	// thousand others waited for it.
	Dropped int
}

// OnFailure has hook told of what goes wrong in an actor system and is only logged
// otherwise, from now on until remove is called (asyncio's
// loop.set_exception_handler). The log has it all the same.
//
// The hook is called on a goroutine of its own, one call after the other, in the order of
// what has happened. It may block, and holds up no worker by that: up to a thousand
// failures wait for it, and further ones are dropped and counted in the next one that it is
// told of. If it panics, that is logged, and it is called again for the next. Several hooks
// do not wait for each other. Once remove has returned no further call begins.
//
// A [actors.Promise], and the future of a combinator, belong to no actor system: if one has
// failed and nobody looks, the hooks of all that have workers are told. Failures of futures
// are found by the garbage collector. Failure.Err is the error itself if it was a task's, and
// else a messages.Failure with its text, in which errors.Is finds what is registered there:
// the error might hold the future, and so keep it from being collected.
func OnFailure(sys *actor.ActorSystem, hook func(Failure)) (remove func()) {
	systemOf(sys, "OnFailure")
	if hook == nil {
		panic("inspect: OnFailure called with a nil function")
	}
	return failure.Of(sys).Add(cmp.Or(sys.Logger(), slog.Default()), func(f failure.Failure) {
		hook(Failure{Kind(f.Kind), f.Worker, f.Task, f.Err, f.Stack, f.At, f.Dropped})
	})
}
