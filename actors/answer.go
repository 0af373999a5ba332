package actors

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// Message is the task's message; nil in a submitted function.
func (t *Task) Message() any { return t.of().msg }

// MessageHeader is the header of the task's message.
func (t *Task) MessageHeader() actor.ReadonlyMessageHeader {
	if o := t.of(); o.env != nil {
		return o.env.Header
	}
	return nil
}

// Sender is whom an answer to the task's message goes to; nil if it wants
// none. It may be kept: an answer sent to it later, by anybody, counts, as
// long as this incarnation of the worker lives.
func (t *Task) Sender() *actor.PID {
	o := t.of()
	if o.env != nil {
		return o.env.Sender
	}
	if o.res == nil || o.msg == nil {
		return nil
	}
	s := o.scope()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replyTo == nil {
		s.replyTo = o.sys.replies.open(o, s)
	}
	return s.replyTo
}

// Respond answers the task's message, at once. The first answer to a request
// counts; a value that the handler returns afterwards is dropped. Without a
// sender the response becomes a dead letter, as in Proto.Actor.
func (t *Task) Respond(response any) {
	o := t.of()
	switch {
	case o.res != nil && o.msg != nil:
		o.answer(response)
	case o.env != nil && o.env.Sender != nil:
		o.responded = true
		t.mb.ctx.Send(o.env.Sender, response)
	default:
		t.mb.sys.as.DeadLetter.SendUserMessage(nil, response)
	}
}

// Forward sends the task's message on, with its sender, so that pid answers.
func (t *Task) Forward(pid *actor.PID) {
	o := t.of()
	if o.msg == nil {
		panic("actors: Forward called in task " + t.name() + ", which has no message")
	}
	env := &actor.MessageEnvelope{Message: o.msg, Sender: t.Sender()}
	if o.env != nil {
		env.Header = o.env.Header
	}
	if o.res != nil && !o.sys.isWorker(pid) {
		o.expireIn(defaultTimeout) // from there an answer cannot be relied on
	}
	t.mb.ctx.Send(pid, env)
}

// reply is what the end of a handler does: err or v goes to the asker, unless
// it has been answered; an error that nobody asked for is logged.
func (t *Task) reply(v any, err error) {
	switch {
	case t.res != nil:
		if err != nil {
			t.concluded(t.res.fail(err), err)
		} else {
			t.concluded(t.res.deliver(v), nil)
		}
	case t.env != nil && t.env.Sender != nil:
		if !t.responded {
			t.responded = true
			if err != nil {
				v = failureOf(err, t.handling)
			}
			t.mb.ctx.Send(t.env.Sender, v)
		}
		t.concludedOneWay(err)
	default:
		t.oneWay(err)
	}
}

// oneWay is the end of a handler whose message wants no answer.
func (t *Task) oneWay(err error) {
	t.concludedOneWay(err)
	if err != nil && t.failure() == nil && t.outcome == outcomeFailed {
		t.mb.logger().Error("actors: a one-way message failed", "task", t.name(), "error", err)
	}
}

func (t *Task) concludedOneWay(err error) {
	t.concluded(t.ended() == nil, err)
}

// unanswered is called when a request's handler and all work it has started
// have ended. If it was not answered by then, only somebody to whom its
// sender's PID was given still can.
func (t *Task) unanswered(s *scope) {
	if t.res == nil || t.res.base().done.Load() {
		t.closeRequest()
		return
	}
	if s == nil || s.request.Load() == 0 || t.inc == nil {
		t.res.fail(fmt.Errorf("%w: the handler of %T returned without an answer", ErrUnhandled, t.msg))
		return
	}
	t.inc.leaveOpen(t)
}
