// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoloop/protoloop/internal/panicstack"
	"github.com/protoloop/protoloop/internal/safeerr"
	"github.com/protoloop/protoloop/internal/supervision"
	"github.com/protoloop/protoloop/messages"
)

// sentinel is an error that also matches errors of other packages that mean
// the same.
type sentinel struct {
	text string
	also []error
}

func (e *sentinel) Error() string { return "actors: " + e.text }

func (e *sentinel) Is(target error) bool {
	for _, a := range e.also {
		if a == target {
			return true
		}
	}
	return false
}

func newError(code, text string, also ...error) error {
	return registered(code, &sentinel{text, also})
}

// registered lets err cross to other machines as code.
func registered(code string, err error) error {
	messages.RegisterError(code, err)
	return err
}

// The errors that futures and awaits end with. Match them with [errors.Is]:
// what is returned may be wrapped, or name the worker and the work. All of them survive a trip to another
// machine as a [messages.Failure].
var (
	// ErrPending is TryResult's answer while the future is not done.
	ErrPending = newError("pending", "the future is not done")
	// ErrCanceled: the future or task was cancelled. It matches
	// [context.Canceled].
	ErrCanceled = newError("canceled", "canceled", context.Canceled)
	// ErrTimeout: the budget is used up. It matches [context.DeadlineExceeded]
	// and the engine's ErrTimeout.
	ErrTimeout = newError("timeout", "timeout", context.DeadlineExceeded, actor.ErrTimeout)
	// ErrStopping: the worker is stopping and did not begin the work, in none of
	// its incarnations. A retry elsewhere is safe.
	ErrStopping = newError("stopping", "the worker is stopping; the work did not begin")
	// ErrStopped: the worker stopped while the work ran, or before a message that
	// it had stashed was handled again.
	ErrStopped = newError("stopped", "the worker stopped; the work was cut off")
	// ErrRestarted: the worker failed while the work ran. What it failed of
	// is wrapped beside it.
	ErrRestarted = newError("restarted", "the worker failed; the work was cut off")
	// ErrUnavailable: there is no worker for the key of a grid, because one could not be
	// started, or failed too often, or because another node has the key; or that node has
	// too many asks of this one. The error wraps why. The work did not begin.
	ErrUnavailable = newError("unavailable", "no worker is available; the work did not begin")
	// ErrNodeLost: the node of a grid that had the request is lost. The work may have run, or in
	// part, and may still run there: nobody can tell. An [Idempotent] request is sent again instead.
	ErrNodeLost = newError("node_lost", "the node is lost; the work may have run")
	// ErrFenced: another worker owns the key by now, or may, because the lease of the node is over. So what this one has done and not
	// saved is not saved: see packages grid and grid/state. The handler has run.
	ErrFenced = newError("fenced", "another worker owns the key, or may; what was not saved will not be")
	// ErrDeadLetter: there is no such actor. It matches the engine's
	// ErrDeadLetter.
	ErrDeadLetter = newError("dead_letter", "no such actor", actor.ErrDeadLetter)
	// ErrMailboxFull: the worker has MailboxSize messages waiting.
	ErrMailboxFull = newError("mailbox_full", "mailbox full")
	// ErrNotWorker: the PID is not that of a worker in this process, so no
	// function can be run there.
	ErrNotWorker = newError("not_worker", "not a local worker")
	// ErrUnhandled: the worker has no handler for the message, or a plain actor on an
	// EventLoop has not answered it.
	ErrUnhandled = newError("unhandled", "unhandled message")
	// ErrUnsendable: the request, or its answer, cannot be sent to another
	// machine: it is too long, or cannot be serialized. See [messages.SetLimit].
	ErrUnsendable = newError("unsendable", "the message cannot be sent to another machine")
	// ErrGoexit: the task called [runtime.Goexit], as [testing.T.FailNow] does.
	ErrGoexit = newError("goexit", "the task called runtime.Goexit")
)

// errDoNotRestart and errEscalate are exported by package supervisor.
var (
	errDoNotRestart = registered("do_not_restart", supervision.ErrDoNotRestart)
	errEscalate     = registered("escalate", supervision.ErrEscalate)
)

// errPanic and errDeadlock are the codes of typed errors on the wire.
var (
	errPanic    = newError("panic", "panic")
	errDeadlock = newError("deadlock", "deadlock")
	errReply    = newError("reply_type", "reply of another type")
)

// PanicError is a panic of a task, as whoever awaits it sees it.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // from the panic down to the handler or function of the task, two lines a frame as in [debug.Stack]
}

// newPanicError is called by the deferred function that has recovered v.
func newPanicError(v any) *PanicError { return &PanicError{v, panicstack.Take(1)} }

// handlerBases are the functions of ours that call a handler. What is below them is the same for
// all.
var handlerBases = func() []string {
	receiver := reflect.TypeFor[mailbox]().PkgPath() + "."
	return []string{receiver + "(*work).Run", receiver + "(*workerActor).receive", receiver + "(*mailbox).handle"}
}()

// newHandlerPanic is newPanicError for the panic of a handler, or of a middleware of the user's,
// which is below the handler in the stack.
func newHandlerPanic(v any, middleware bool) *PanicError {
	if middleware {
		return &PanicError{v, panicstack.Take(1)}
	}
	return &PanicError{v, panicstack.Take(1, handlerBases...)}
}

// stackIn returns the stack that comes with an error, if one does.
func stackIn(err error) string { return string(stackOf(err)) }

func stackOf(err error) []byte {
	if p, ok := safeerr.As[*PanicError](err); ok {
		return p.Stack
	}
	return nil
}

const panicPrefix = "panic: "

// Error is the panic's value; the stack is kept apart.
func (e *PanicError) Error() string { return fmt.Sprintf("%s%v", panicPrefix, e.Value) }

// Unwrap is the panic's value if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Is matches the coded form of a panic that crosses machines.
func (e *PanicError) Is(target error) bool { return target == errPanic }

// DeadlockError ends an await in a ring of workers that all wait for each
// other: at once the one that would have closed it; or, if what closes it is
// the failure of a member of an Any, one that waits for that Any. Its Path
// names them in order, the waiting worker first; the last one waits for the
// first.
//
// Rings are looked for where tasks are held back: by an [Exclusive] handler,
// by MaxInFlight, by the limit of a [Group], by setup, or by the lock of a
// loopsync.Mutex. A Timeout in the ring makes no difference. Of a [Promise], a channel, an Event, a Condition, a
// Barrier, a Semaphore or a Queue nobody knows who will resolve, set, release or
// fill it; nor who will answer a request that its handler has passed on, or whose
// Sender it has asked for. That a task which it has started answers in its place is
// not expected: it gets the error all the same. A ring through one of them, an
// offloaded function, a plain actor or another machine is not found. Nor need one be
// that is nothing but tasks which await each other's futures.
type DeadlockError struct {
	Path []*actor.PID
}

// Error names the ring.
func (e *DeadlockError) Error() string {
	var b strings.Builder
	b.WriteString("actors: deadlock: ")
	for _, p := range e.Path {
		b.WriteString(p.Id)
		b.WriteString(" → ")
	}
	b.WriteString(e.Path[0].Id)
	return b.String()
}

// Is matches the coded form of a deadlock that crosses machines.
func (e *DeadlockError) Is(target error) bool { return target == errDeadlock }

// ReplyTypeError is the failure of a future whose answer is of another type
// than its own.
type ReplyTypeError struct {
	Want, Got string // the types' names, as %T prints them
}

// Error names both types.
func (e *ReplyTypeError) Error() string {
	if e.Got == typeName[None]() || e.Got == typeName[*emptypb.Empty]() {
		return "actors: the reply has no value, the future wants a " + e.Want
	}
	return fmt.Sprintf("actors: the reply is a %s, the future wants a %s", e.Got, e.Want)
}

// Is matches the coded form that crosses machines.
func (e *ReplyTypeError) Is(target error) bool { return target == errReply }

// causedError is a sentinel with what led to it.
type causedError struct{ sentinel, cause error }

// Error contains a cause whose own Error panics: who reads it is not to blame.
func (e *causedError) Error() string   { return fmt.Sprintf("%v: %v", e.sentinel, e.cause) }
func (e *causedError) Unwrap() []error { return []error{e.sentinel, e.cause} }

func because(sentinel, cause error) error {
	if cause == nil || saysOnly(cause, sentinel) {
		return sentinel
	}
	return &causedError{sentinel, cause}
}

// saysOnly reports whether err says no more than ends: whether each leaf of its
// tree is one of them. errors.Is finds one anywhere, and so what comes along with
// it, as the error of a clean-up does in an errors.Join, would be lost. A panic
// says more whatever its value is; and an error whose methods panic does.
func saysOnly(err error, ends ...error) (only bool) {
	defer func() {
		if recover() != nil {
			only = false
		}
	}()
	var walk func(err error) bool
	walk = func(err error) bool {
		switch e := err.(type) {
		case *PanicError:
			return false
		case *causedError: // its cause is why the end has come
			return walk(e.sentinel)
		case *messages.Failure: // a tree that has crossed a process: its codes are what is left of it
			for _, code := range append([]string{e.GetCode()}, e.GetCauses()...) {
				if !isOneOf(&messages.Failure{Code: code}, ends) {
					return false
				}
			}
			return true
		case interface{ Unwrap() error }:
			if inner := e.Unwrap(); inner != nil {
				return walk(inner)
			}
		case interface{ Unwrap() []error }:
			leaf := true
			for _, inner := range e.Unwrap() {
				if inner == nil {
					continue
				}
				if leaf = false; !walk(inner) {
					return false
				}
			}
			if !leaf {
				return true
			}
		}
		return isOneOf(err, ends)
	}
	return walk(err)
}

func isOneOf(err error, targets []error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// saysOnlyEnd reports whether err says no more than that a task was ended by cause: by
// the errors of its awaits and of its context, wherever they have been passed on. That
// it is the very error of an await is looked at first: a stop of 100,000 suspended tasks
// would grow the stack of each for the rest, and take 2.8 times as long (bench: stop/suspended).
func saysOnlyEnd(err, cause error) bool {
	// cause is one of ours, a pointer: to compare an error of a user's with it cannot panic.
	return err == cause || saysOnlyEndOf(err, cause)
}

func saysOnlyEndOf(err, cause error) bool {
	ends := []error{bare(cause), context.Canceled}
	if safeerr.Is(cause, context.DeadlineExceeded) {
		ends = append(ends, context.DeadlineExceeded)
	}
	return saysOnly(err, ends...)
}

// printable is err, or one that wraps it if its text cannot be had: what a
// worker fails of is printed on its loop, by whatever handler of logs there is.
func printable(err error) (safe error) {
	defer func() {
		if recover() != nil {
			safe = fmt.Errorf("%T: %w", err, err) // which contains a panic
		}
	}()
	_ = err.Error()
	return err
}

// errorText is what an error says, however badly its method behaves, in two parts: what most panics say takes no new
// string then.
func errorText(err error) (prefix, text string) {
	if p, ok := err.(*PanicError); ok {
		if s, ok := p.Value.(string); ok {
			return panicPrefix, s
		}
	}
	defer func() {
		if recover() != nil {
			text = printable(err).Error()
		}
	}()
	return "", err.Error()
}

// failureOf is the form in which err goes to an asker that is no future of
// ours; ran says whether the work had begun. It is this worker's work that
// counts: an error that says that somebody else's never ran is passed on as
// what it is, but makes no retry of ours safe.
func failureOf(err error, ran bool) *messages.Failure {
	f := messages.NewFailure(err, ran, !ran)
	f.Ran, f.RetrySafe, f.MaybeRan = ran, !ran, false
	return f
}
