// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"fmt"

	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/messages"
)

// The hooks of inspect.OnFailure are told, beside the log, of what nobody else is told.
// Where there is no hook that is one atomic load, and only where something has failed.

// tellFailure tells them of err in a task of the worker, which what names.
func (mb *mailbox) tellFailure(kind, what string, err error) {
	if kind != failure.WorkerFailure && kind != failure.WorkerRestart { // see failWorker
		mb.keepFailure(kind, what, err, stackOf(err))
	}
	if !mb.hasFailureHook() {
		return
	}
	mb.sys.failures.Tell(failure.Failure{Kind: kind, Worker: mb.pid, Task: what, Err: printable(err), Stack: stackOf(err)})
}

// tellTaskFailure is tellFailure for a task that is there.
func (mb *mailbox) tellTaskFailure(kind string, t *Task, err error) {
	if kind != failure.DeadLetter || mb.hasFailureHook() { // there may be a hundred thousand at a time
		mb.tellFailure(kind, t.name(), err)
	}
}

func (mb *mailbox) hasFailureHook() bool { return mb.named() && mb.sys.failures.Wanted() }

// tellPanic tells the hooks of a panic in code of a user's that has nobody to fail; code
// names it.
func (mb *mailbox) tellPanic(code string, err error) {
	mb.tellFailure(failure.CallbackPanic, code, fmt.Errorf("actors: panic in %s: %w", code, err))
}

// tellAbandoned tells the hooks of what did not return and is waited for no longer.
func (mb *mailbox) tellAbandoned(what string, err error, stack []byte) {
	mb.keepFailure(failure.AbandonedTask, what, err, stack)
	if mb.hasFailureHook() {
		mb.sys.failures.Tell(failure.Failure{Kind: failure.AbandonedTask, Worker: mb.pid, Task: what, Err: err, Stack: stack})
	}
}

// tellDeadLetter tells the hooks of a message of t's that has become a dead letter because
// of err.
func (t *Task) tellDeadLetter(message any, err error) {
	if mb := t.mb; mb.hasFailureHook() {
		mb.tellFailure(failure.DeadLetter, t.name(), fmt.Errorf("actors: dead letter: %T: %w", message, err))
	}
}

// tellAllFailure tells the hooks of all systems that have workers, of what belongs to none.
func tellAllFailure(f failure.Failure) {
	withWorkers.any(func(s *system) bool {
		if s != removed {
			s.failures.Tell(f)
		}
		return false
	})
}

// heldApart is err as somebody may hold it who must not lead to the future that has failed
// of it: an error of users' may lead anywhere.
func heldApart(err error) error {
	switch err.(type) {
	case *sentinel, *namedError, *fullError, *ReplyTypeError, *messages.Failure:
		return err
	}
	return messages.NewFailure(err, false, true)
}
