// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/life"
)

// envelope is that of the task's message, if it came in one.
func (t *Task) envelope() *actor.MessageEnvelope {
	if u, ok := t.lt.Body.(*message); ok {
		return u.env
	}
	if s := t.ext.Load(); s != nil {
		return s.seldom().env
	}
	return nil
}

func (t *Task) setEnvelope(env *actor.MessageEnvelope) {
	if u, ok := t.lt.Body.(*message); ok {
		u.env = env
		return
	}
	t.rareScope().env = env
}

// asker is the sender that the envelope names, or nil; another task answers it
// if this one's message was stashed.
func (t *Task) asker() *actor.PID {
	if env := t.envelope(); env != nil && !t.has(isStashed) {
		return env.Sender
	}
	return nil
}

// Message is the task's message; nil in a submitted function.
func (t *Task) Message() any { return t.messageTask().message() }

// MessageHeader is the header of the task's message.
func (t *Task) MessageHeader() actor.ReadonlyMessageHeader {
	if env := t.messageTask().envelope(); env != nil {
		return env.Header
	}
	return nil
}

// Sender is whom an answer to the task's message goes to; nil if it wants
// none. It may be kept: an answer sent to it later, by anybody, counts, as
// long as this incarnation of the worker lives.
func (t *Task) Sender() *actor.PID {
	o := t.messageTask()
	if env := o.envelope(); env != nil {
		if env.Sender != nil {
			o.firstTime(isPassedOn)
		}
		return env.Sender
	}
	if o.future() == nil || o.message() == nil {
		return nil
	}
	o.firstTime(isPassedOn)
	m := o.scope().with()
	mu := &o.future().base().mu
	mu.Lock()
	defer mu.Unlock()
	if m.reply.Load() == nil {
		to := new(replyTo)
		o.system().replies.assignPID(to)
		m.reply.Store(to)
		to.openSlot(o)
		if t.loopTask().Lost() { // o's end has come before, and does not close it
			o.closeRequest()
		}
	}
	return &m.reply.Load().pid
}

// errNoSender is why a response is a dead letter.
var errNoSender = errors.New("a response to a message without a sender")

// Respond answers the task's message, at once. The first answer to a request
// counts; a value that the handler returns afterwards is dropped. Without a
// sender the response becomes a dead letter, as in Proto.Actor. A [None] goes to a PID
// as an *emptypb.Empty.
func (t *Task) Respond(response any) {
	o := t.messageTask()
	switch {
	case o.future() != nil && o.message() != nil:
		o.answerRequest(response, teller{})
	case t.lt.Lost(): // it has no say any more
	case o.asker() != nil:
		a := valueAnswer(response).copiedFor(o)
		if err := t.mb.sys.unsendable(o.asker(), a.message(), 0); err != nil {
			a = failedAnswer(err, answerRan)
		}
		if !o.completeRequest(a, teller{turn: t}) && !o.has(isTold) { // as in Proto.Actor, which sends each of them
			t.Send(o.asker(), a.message())
		}
	default:
		t.mb.sys.deadLetterNow(nil, response)
		t.tellDeadLetter(response, errNoSender)
	}
}

// Forward sends the task's message on, with its sender, so that pid answers.
func (t *Task) Forward(pid *actor.PID) {
	o := t.messageTask()
	if o.message() == nil {
		panic("actors: Forward called in task " + t.name() + ", which has no message")
	}
	o.firstTime(isPassedOn)
	if u := t.forwardedTo(pid); u != nil {
		u.mb.offer(&u.Task)
		return
	}
	env := new(actor.MessageEnvelope)
	if of := o.envelope(); pid != nil && !t.mb.sys.local(pid) {
		env = o.envelopeForward()
	} else if of != nil {
		env.Header = of.Header
	}
	env.Message, env.Sender = o.msg, t.Sender()
	if o.future() != nil || o.asker() != nil {
		if err := t.mb.sys.unsendable(pid, o.msg, roomForContextValues(o.base() != nil)); err != nil {
			o.completeRequest(failedAnswer(err, answerRan), teller{turn: t})
			return
		}
	}
	if o.future() != nil && !o.system().isWorker(pid) {
		o.expireIn(defaultTimeout) // from there an answer cannot be relied on
	}
	t.Send(pid, env)
	if f := o.future(); f != nil && pid != nil {
		if door := t.mb.sys.doorOf(pid); door != nil {
			c, asker := f.base(), env.Sender
			c.addCallback(&node{to: userCallback(func() {
				if isCut(c.failedWith()) {
					door.CancelCarried(asker)
				}
			})})
		}
	}
}

// tellCause fails the asker, whoever it is, with the reason why the task ends
// early: at once, not when its handler returns. Users' callbacks of its future are
// added to later: whoever ends a task is most often a loop in its own state, the
// clock, or work that a callback of somebody else's must not hold up.
func (t *Task) tellCause(cause error, later *callbacks) {
	if cause == ErrStopped && t.attached != nil && t.mb.isFenced() {
		cause = t.fencedError(cause)
	}
	t.completeRequest(failedAnswer(cause, answerEnded|ranIf(!t.lt.Fresh() || t.isAgain())), teller{later: later})
}

// tellNeverRan tells whoever sent t, or the dead letters, that it will not run, and
// returns how it has ended. ErrStopping is not true of a message that a handler has
// had before: it tells of the handler's panic, or that the work was cut off.
//
// Callbacks of its future are added to later; if that is nil, user code may run here.
func (t *Task) tellNeverRan(err error, later *callbacks) life.How {
	how, ran := life.HowNeverRan, false
	if a := t.earlierHandling(); a != nil {
		ran = true
		switch {
		case err != ErrStopping: // it was ended itself
		case a.crash != nil:
			how, err = life.HowGivenUp, a.crash
		default:
			err = ErrStopped
		}
	}
	switch _, notify := life.ClassifyEnd(how, life.HeardNothing, t.isAsked()); notify {
	case life.NotifyAsker:
		if !t.completeRequest(failedAnswer(err, answerEnded|ranIf(ran)), teller{later: later}) {
			return life.HowLate
		}
	case life.NotifyDeadLetters:
		if later != nil {
			t.mb.sys.deadLetter(t.mb.pid, t.msg)
		} else {
			t.mb.sys.deadLetterNow(t.mb.pid, t.msg)
		}
		t.tellDeadLetter(t.msg, err)
		return life.HowUnhandled
	}
	return how
}

// tellCauseElsewhere is tell, and lets the callbacks be called.
func (t *Task) tellCauseElsewhere(cause error) {
	var later callbacks
	t.tellCause(cause, &later)
	later.callElsewhere()
}

// replyAtEnd is what the end of a handler does: err or v goes to the asker, unless
// it has been answered; an error that nobody asked for is logged.
func (t *Task) replyAtEnd(v any, err error) {
	f := t.future()
	switch {
	case f == nil && t.asker() == nil:
		t.concludeOneWay(err)
		if err != nil && t.workerFailure() == nil && t.how == life.HowFailed {
			t.noteOneWayError(err)
			t.mb.logger().ErrorContext(t.logContext(), "actors: a one-way message failed", "task", t.name(), "error", err)
			t.mb.tellTaskFailure(failure.Unobserved, t, err)
		}
		return
	case err != nil:
	case f != nil:
		t.spendEarly()
	default:
		err = t.mb.sys.unsendable(t.asker(), sentAs(v), 0)
	}
	told := valueAnswer(v)
	if err != nil {
		told = failedAnswer(err, ranIf(t.turn&isHandling != 0))
	}
	told = told.copiedFor(t)
	if err == nil {
		err = told.err()
	}
	t.concludeFuture(t.completeRequest(told, teller{turn: t}), err)
	if f == nil {
		t.turn &^= isDecided
	}
}

// replyGoexit is reply for a handler that has called Goexit: on the loop, where no
// code of a user's runs.
func (t *Task) replyGoexit() {
	if !t.isAsked() {
		t.replyAtEnd(nil, ErrGoexit)
		return
	}
	t.concludeFuture(t.completeRequest(failedAnswer(ErrGoexit, answerRan), teller{elsewhere: true}), ErrGoexit)
}

// concludeOneWay is concluded for a task whose return decides no future. What its
// asker has heard counts, if there is one: a Cancel completes the future before it
// ends the task.
func (t *Task) concludeOneWay(err error) {
	t.concludeFuture(t.endCause() == nil && !t.isAnsweredAlready(), err)
	t.turn &^= isDecided
}

// answerUnanswered is called when a request's handler and all work it has started
// have ended. If it was not answered by then it is now, with None, if the handler is
// one of On that has returned nil. But only somebody to whom its sender's PID was given
// can answer a request that was passed on: it reports whether it is left open for that.
func (t *Task) answerUnanswered() bool {
	f := t.future()
	if f != nil && f.base().done.Load() {
		return false
	}
	if err := t.endCause(); err != nil { // work it had started was to answer
		t.tellCauseElsewhere(err)
		return false
	}
	passedOn := t.has(isPassedOn) && t.inc != nil
	switch elsewhere := (teller{elsewhere: true}); {
	case f != nil && passedOn:
		t.inc.leaveOpen(t)
		return true
	case passedOn:
	case t.turn&hasNoValue != 0: // past the sender middleware: the handler is over
		t.completeRequest(valueAnswer(None{}), elsewhere)
	case f != nil: // a plain actor's
		t.completeRequest(failedAnswer(fmt.Errorf("%w: the handler of %T returned without an answer", ErrUnhandled, t.msg), 0), elsewhere)
	}
	return false
}
