// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/messages"
)

// Whatever ends a request, be it what its handler returns, Respond, an answer to its
// sender's PID, a budget, a stop, a restart or an abandonment, goes through
// completeRequest: it decides once, and tells whoever has asked. Only the asker's own
// Cancel completes the future first, and then ends the task, by which nobody is told. What the
// end counts as is decided when the task has left its worker, in mailbox.count, by
// [life.ClassifyEnd]. That a value is put into a future of its own type, without boxing,
// has two forms of its own below. TestWhoCompletesRequests keeps it so.

// answer is what whoever has asked for a task hears of its end. It is three words, which stay in registers: value and error
// apart went through memory at each call (bench: burst/plain).
type answer struct {
	is  any // a value, or an error
	how answerHow
}

type answerHow uint8

const (
	answerFailed answerHow = 1 << iota // it is an error
	answerRan                          // what a plain or a remote asker hears of whether it may try again, beside the error
	answerEnded                        // the error is why the task was ended, and not what its work has led to
)

func valueAnswer(v any) answer { return answer{is: v} }

// failedAnswer is one that says why there is no value. how adds to that it has failed.
func failedAnswer(err error, how answerHow) answer { return answer{err, how | answerFailed} }

// err is why there is no value; nil: there is one.
func (a answer) err() error {
	if a.how&answerFailed == 0 {
		return nil
	}
	return a.is.(error)
}

// ranIf is answerRan, if it is so.
func ranIf(ran bool) answerHow {
	if ran {
		return answerRan
	}
	return 0
}

// answerIn is the answer that a message to an asker's PID brings.
func (t *Task) answerIn(m any) answer {
	switch m := m.(type) {
	case *actor.DeadLetterResponse:
		return failedAnswer(t.noAnswerError(m.GetTarget()), 0)
	case *messages.Failure:
		if _, wanted := t.future().(*Future[*messages.Failure]); !wanted {
			return failedAnswer(m, 0)
		}
	}
	return valueAnswer(m)
}

// message is the answer as a PID gets it.
func (a answer) message() any {
	if err := a.err(); err != nil {
		return failureOf(err, a.how&answerRan != 0)
	}
	return sentAs(a.is)
}

// answeredBits are those of Task.once that say what a PID has got.
func (a answer) answeredBits() uint32 {
	switch _, failed := a.is.(*messages.Failure); {
	case a.how&answerEnded != 0:
		return isAnswered | isTold
	case failed, a.how&answerFailed != 0:
		return isAnswered | isFailed
	}
	return isAnswered
}

// teller says where code of users runs that hears of an answer: callbacks of a future,
// and sender middleware. The zero value calls it at once.
type teller struct {
	turn      *Task      // it is the turn of: its actor's sender middleware runs
	elsewhere bool       // on another goroutine: the caller is a loop in its own state, or the clock
	later     *callbacks // … and callbacks when the caller lets these be called
}

func (by teller) runCallbacks(calls callbacks) {
	switch {
	case by.later != nil:
		by.later.append(calls.callOwn())
	case by.elsewhere:
		calls.callElsewhere()
	default:
		calls.call()
	}
}

func (by teller) sendAnswer(s *system, pid *actor.PID, m any) {
	switch {
	case by.turn != nil:
		by.turn.Send(pid, m)
	case by.elsewhere, by.later != nil:
		s.send(pid, m)
	default:
		s.sendNow(pid, m)
	}
}

// completeRequest tells whoever has asked for t how that ends, unless something else has
// before: it reports whether this was first. It is false, too, if nobody has asked, or
// if another task has the message now. Any goroutine.
func (t *Task) completeRequest(a answer, by teller) (first bool) {
	if f := t.future(); f != nil {
		var calls callbacks
		if a.how&answerFailed != 0 {
			calls, first = f.failLater(a.err())
		} else {
			calls, first = f.deliverAnswerLater(a.is)
		}
		by.runCallbacks(calls)
		return first
	}
	if t.attached == nil {
		return false
	}
	pid := t.asker()
	if pid == nil || !t.answerFirst(a.answeredBits()) {
		return false
	}
	by.sendAnswer(t.mb.sys, pid, a.message())
	return true
}

// completeFunction is completeRequest for a task that runs a function, by what that has
// returned. It lets go of *fn, the function.
func (f *Future[T]) completeFunction(fn *any, v T, err error) (first bool) {
	f.mu.Lock()
	spendFunction(fn)
	if f.done.Load() {
		f.mu.Unlock()
		return false
	}
	f.val = v
	f.publishResult(err).call()
	return true
}

// completeHandled is completeRequest by what a handler has returned that answers with
// the type its asker waits for.
func (f *Future[T]) completeHandled(v T, err error) (first bool) { return f.resolve(v, err) }

// answerFirst marks the task, whose asker is a PID, as answered in some way, unless it
// was answered before.
func (t *Task) answerFirst(how uint32) bool {
	for {
		was := t.once.Load()
		if was&isAnswered != 0 {
			return false
		}
		if t.once.CompareAndSwap(was, was|how) {
			return true
		}
	}
}

// isAnsweredAlready reports whether its asker has heard of an answer or an end.
func (t *Task) isAnsweredAlready() bool {
	if f := t.future(); f != nil {
		return f.base().done.Load()
	}
	return t.has(isAnswered)
}
