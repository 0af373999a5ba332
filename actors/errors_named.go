// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/oneline"
)

// namedError is a sentinel with what, and whose, it is about. None of the
// errors here holds a PID or a mailbox: they would lead to the future that has
// failed of it, which then is never collected; see failureNote.
type namedError struct {
	sentinel   error
	what, whom string        // "": not known
	after      time.Duration // 0: not known
}

func (e *namedError) Unwrap() error { return e.sentinel }

// Error is the sentinel's text and the names.
func (e *namedError) Error() string {
	text := e.sentinel.Error()
	switch {
	case e.what != "" && e.whom != "":
		text += ": " + e.what + " of " + e.whom
	case e.what+e.whom != "":
		text += ": " + e.what + e.whom
	}
	if e.after > 0 {
		text += " after " + e.after.String()
	}
	return text
}

// fullError is ErrMailboxFull with whose. There is one for each refusal, and
// many of those in a flood: its text is made when somebody wants it.
type fullError struct {
	address, id string
	limit       int
}

func (e *fullError) Unwrap() error { return ErrMailboxFull }

// Error names the worker and its limit.
func (e *fullError) Error() string {
	whom := oneline.PID(&actor.PID{Address: e.address, Id: e.id}, "")
	return ErrMailboxFull.Error() + ": " + whom + " has MailboxSize messages waiting: " + strconv.Itoa(e.limit)
}

// noSuchActor is ErrDeadLetter with whom it would have gone to.
func noSuchActor(pid *actor.PID) error {
	if pid == nil {
		return ErrDeadLetter
	}
	return &namedError{sentinel: ErrDeadLetter, whom: oneline.PID(pid, "")}
}

// noAnswerError is why a request fails that became a dead letter. The engine does
// not say whose.
func (t *Task) noAnswerError(pid *actor.PID) error {
	if whom := t.nameOfWorker(); pid == nil && whom != "" {
		return &namedError{sentinel: ErrDeadLetter, whom: whom}
	}
	return noSuchActor(pid)
}

// expiredError is why the task is ended when its budget is used up.
func (t *Task) expiredError() error {
	if t.hookOf() != nil {
		return t.expiryCause()
	}
	return &namedError{sentinel: ErrTimeout, what: t.name(), whom: t.nameOfWorker()}
}

// timedOut is why a WithTimeout of c fails.
func (c *core) timedOut(after time.Duration) error {
	e := &namedError{sentinel: ErrTimeout, after: max(after, 0)}
	if o := c.owner.Load(); o != nil {
		e.what, e.whom = o.name(), o.nameOfWorker()
	}
	return e
}

// nameOfWorker names the actor that works on the task, if that is known.
func (t *Task) nameOfWorker() string {
	if t.attached != nil && t.mb.named() {
		return oneline.PID(t.mb.pid, "")
	}
	if s := t.ext.Load(); s != nil {
		if to := s.replyTo(); to != nil && to.whom != nil {
			return oneline.PID(to.whom, "")
		}
	}
	return ""
}

// bare is the sentinel of an error that says more.
func bare(err error) error {
	switch e := err.(type) {
	case *causedError:
		return bare(e.sentinel)
	case *namedError:
		return e.sentinel
	}
	return err
}
