// SPDX-License-Identifier: Apache-2.0

// Package keyed joins package grid to package actors: a worker that is asked by its kind and
// key, and not by the PID of the actor that it is at the moment. It is apart so that neither
// package has to show the other more than it shows everybody.
//
// Such a worker takes messages from the moment it is made, before it begins: they wait in its
// mailbox. So there is no other queue, in which their order, their budgets and their cancels
// would be looked after a second time.
package keyed

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/protoloop/protoloop/internal/supervision"
)

// What is in the header of a request that goes to another process.
const (
	// BudgetHeader is what is left of its budget, in nanoseconds: a remaining
	// time, because clocks differ.
	BudgetHeader = "protoloop-budget"
	// IdempotentHeader is "1" if it may be sent again although it may have run.
	IdempotentHeader = "protoloop-idempotent"
)

// ParseBudget is what the text of a BudgetHeader says, if there is one that says something.
func ParseBudget(text string) (left time.Duration, has bool) {
	if text == "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, false // not ours, or from a peer that counts otherwise
	}
	return time.Duration(n), true
}

// FormatBudget is its reverse.
func FormatBudget(left time.Duration) string { return strconv.FormatInt(int64(max(0, left)), 10) }

// Door is the process of a PID whose worker may be another one with each message.
type Door interface {
	actor.Process
	// Admit returns the worker that msg goes to, with a place in its mailbox, in which whoever
	// has it posts a task, or which it leaves; or why there is none: the message never ran. If
	// there is a copy, that goes in the place of msg, and answers are copied, too. Any goroutine.
	//
	// If all three are nil, the worker is on another node: a request goes there the engine's way, in
	// an envelope for SendUserMessage.
	//
	// It returns no struct: one of more than four words goes through memory, which was 7 % of a
	// request (bench: grid/burst).
	Admit(pid *actor.PID, msg any) (w Worker, copied proto.Message, err error)
	// CancelCarried says that nobody waits any more for the answer to an envelope whose Sender was
	// this PID: it was cancelled, has expired, or its asker has ended. It comes once at most, when
	// SendUserMessage has returned, and not when an answer has decided the request. Any goroutine, but
	// never one with locks of package actors, nor a loop in its own state.
	CancelCarried(reply *actor.PID)
}

// Work is what was posted to a worker. Whoever has it keeps its message in memory.
type Work interface {
	// Cancel ends it as its asker's Cancel would, or, if why is a timeout, as its budget would. What has
	// not started never starts. It does nothing to what has ended. Any goroutine.
	Cancel(why error)
}

// Place is what has come of a Reserve.
type Place int

// What can come of it.
const (
	Reserved Place = iota
	Closed         // the stop event is set: the next worker of the key is asked
	Full           // counted as refused
)

// Failing is what the owner of a keyed worker is told of, beside what a supervisor is.
type Failing interface {
	// FailQueued stops the worker at once. What has not started fails with why, and has not run.
	FailQueued(why error)
	// FailedStart reports whether setup has failed. Within ChildFailed.
	FailedStart() bool
}

// Worker is the worker of a key. Any goroutine may call its methods.
type Worker interface {
	supervision.Child
	// Reserve takes a place in the mailbox: the worker does not end until somebody has
	// posted there, or has left, unless it is cut off.
	Reserve() Place
	// Post puts what the engine was given, a message or env, into a place. With copies the
	// answers are copied, too. What is left of a budget that the header of env has counts from now on.
	Post(msg any, env *actor.MessageEnvelope, copies bool) Work
	// Leave gives a place back.
	Leave()
	// Begin spawns the worker, with setup, a func(*actors.Worker) error. It does not fail: if
	// the name is another actor's by now, setup fails.
	Begin(setup any)
	// IsStopping reports whether the stop event is set.
	IsStopping() bool
	// Counts is the account so far.
	Counts() supervision.Counts
	// FullError is why a message was refused that found the mailbox Full.
	FullError() error
}

// Leased is the owner of workers that may run only while a lease lasts.
type Leased interface {
	// Lease is nil if they may run for ever. It is always the same.
	Lease() Lease
}

// Lease is looked at before each turn of a worker, and each answer.
type Lease interface {
	// Holds reports whether it lasts. It does not block.
	Holds() bool
	// Shares reports whether messages and answers are passed as they are.
	Shares() bool
}

// Kind makes workers that have their options in common.
type Kind interface {
	// NewWorker makes a worker that has this name and has not begun.
	NewWorker(name string) Worker
}

// NewKind is set by package actors. options are an actors.Options.
var NewKind func(sys *actor.ActorSystem, options any, owner supervision.Supervisor) Kind

// UnavailableError is why there is no worker for a key. What was asked has not run.
type UnavailableError struct {
	Text     string
	Sentinel error // actors.ErrUnavailable
	Cause    error
}

// Error is the text.
func (e *UnavailableError) Error() string { return e.Text }

// Unwrap is what it says, and what has led to it.
func (e *UnavailableError) Unwrap() []error { return []error{e.Sentinel, e.Cause} }

// Copy is m as it is when it has crossed a process. It calls methods of the user's; their panic
// is an error, as that of a remote would be.
func Copy(m proto.Message) (same proto.Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			same, err = nil, fmt.Errorf("a panic as it was serialized: %v", p)
		}
	}()
	r := m.ProtoReflect()
	if !r.IsValid() {
		return nil, errors.New("it is a nil pointer")
	}
	out, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	same = r.New().Interface()
	return same, proto.Unmarshal(out, same)
}
