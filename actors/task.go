// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/internal/observe"
)

// Task is one message or one submitted function that a worker works on: the
// Proto.Actor context of it, which can also await.
//
// Message, Sender, Respond and the headers stay those of the task's own
// message across awaits; in a function that was started from a handler they
// are the handler's. A Task belongs to the goroutine that its function was
// called on: use it nowhere else, and not after the function has returned. What
// it still does when it has been abandoned is in the package's documentation.
// A task must not return, await, nor [Start] another on a goroutine locked to its
// thread by [runtime.LockOSThread]: the Go runtime ends the process. Do such work in
// [Offload].
type Task struct {
	*attached // to its worker; nil for a carrier

	lt  loop.Task
	inc *incarnation // it runs in; nil before it starts

	ext atomic.Pointer[scope] // made when needed

	msg any // the message, or the function of a submission; see message

	kin    *kinship             // its place below the task that has created it, if one has
	kids   atomic.Pointer[Task] // the first of those it has created; see linkKid
	awaits atomic.Pointer[core] // what it awaits, or awaited last

	once      atomic.Uint32 // what can happen once; see firstTime
	lifetime  lifetime
	how       life.How // its user code has ended
	exclusive bool     // it holds its worker's other tasks back
	turn      uint8    // bits; a turn that was taken over still writes them
}

// what can happen to a task once
const (
	isPosted       uint32 = 1 << iota // it was posted to a mailbox
	isAnswered                        // an answer was sent to its sender's PID
	isTold                            // … namely that the task was ended
	isFailed                          // … or the error that its handler has returned
	isStashed                         // another task will answer
	isRetried                         // … because its handler has panicked
	isOffLoop                         // it runs where it cannot await
	isBudgeted                        // its worker looks after its deadline, and not the clock
	isEnded                           // it has ended; it stays in the tree for its kids' sake
	hasLeftTree                       // … and has left the tree
	isPassedOn                        // somebody else may answer it
	isFunction                        // its msg is what was submitted
	isJoined                          // a child of Start is among its parent's kids; see joinTreeInTurn
	isSent                            // a carrier that its sender is done with; see closeRequest
	isSole                            // it was its parent's only kid when it became one, and so is the last of the list
	isSpendable                       // it has ended and left, and its future is done; see noteSpendable
	isFunctionBack                    // its function has returned, or it was abandoned; see noteFunctionBack
	isProbed                          // a holder waits for it, or it is one; see closesRing
	isCopied                          // nothing is shared with its asker; see copiedFor
	holder                            // one that needs its message although it may be through; the rest counts them
)

// isAtDoor is set of a carrier whose worker is on another node of a grid, as long as that has not
// been told that nobody waits: see noteAtDoor. A carrier has a future, and no use for isFailed.
const isAtDoor = isFailed

// bits that a task's user code sets
const (
	isHandling uint8 = 1 << iota // its handler has been called
	isDecided                    // what it returned has decided its future
	hasNoValue                   // its handler, one of On, has returned nil: see answerUnanswered
)

// firstTime reports whether this is the first call for what.
func (t *Task) firstTime(what uint32) bool { return t.once.Or(what)&what == 0 }

// markEarly is first for a task that nobody else knows yet: a plain store, see presetScope.
func (t *Task) markEarly(what uint32) { *(*uint32)(unsafe.Pointer(&t.once)) |= what }

// attached is what all tasks of a worker share: its mailbox, and the context
// that user code sees. It is embedded under another name than Context, which
// is a method of Task.
type attached struct {
	actorContext
	mb *mailbox
}

type actorContext = actor.Context

// lifetime says what a task is to its worker.
type lifetime uint8

const (
	offered  lifetime = iota // work from outside: counted
	child                    // of Start
	internal                 // setup, Main, Background, hooks
	cleanup                  // of Cleanup: runs on another task's coroutine
	carrier                  // a request to somebody who is no worker of ours: never runs here
	aside                    // of Offload: runs elsewhere, with its parent's message
	grouping                 // of a Group: never runs, see groupNode
)

// work is a Task as its loop knows it. User code gets the Task alone, whose
// methods do not include what only the loop may call.
type work struct{ Task }

// body is what every kind of task implements beside loop.Body.
type body interface {
	loop.Body
	task() *Task
	label() string
	future() completer // nil: nobody asked for one
}

func (t *Task) task() *Task { return t }

// message is the task's, or nil.
func (t *Task) message() any {
	if t.has(isFunction) || t.isSpent() {
		return nil
	}
	return t.msg
}

// future is the task's, or nil.
func (t *Task) future() completer {
	if b, ok := t.lt.Body.(body); ok && t.once.Load()&isStashed == 0 {
		return b.future()
	}
	return nil
}

// name is the task's name in logs and reports.
func (t *Task) name() string {
	if s := t.ext.Load(); s != nil && s.seldom().name != "" {
		return s.seldom().name
	}
	if b, ok := t.lt.Body.(body); ok {
		return b.label()
	}
	return "task"
}

// nameHeld is name with the mu of its future held.
func (t *Task) nameHeld() string {
	if b, ok := t.lt.Body.(interface{ labelHeld() string }); ok {
		if s := t.ext.Load(); s == nil || s.seldom().name == "" {
			return b.labelHeld()
		}
	}
	return t.name()
}

// funcName is the default name of a task that runs fn.
func funcName(fn any) string {
	return codeName(runtime.FuncForPC(reflect.ValueOf(fn).Pointer()))
}

func codeName(f *runtime.Func) string {
	if f == nil {
		return "func"
	}
	name := f.Name()
	return name[strings.LastIndexByte(name, '/')+1:]
}

// beginTurn is called first in a task's turn, in the loop's own state, and enters
// user code. false: the task must not run.
func (t *Task) beginTurn() bool {
	mb := t.mb
	s := t.ext.Load()
	if t.lifetime == offered {
		if n := mb.counts.taken.Add(1); n&sampleMask == 0 {
			mb.noteTaken(n)
		}
		t.inc = mb.inc.Load()
		if mb.opts.MaxInFlight > 0 {
			mb.sparse().inFlight.add(t)
		}
	} else if t.lifetime != child {
		t.inc = t.incarnationOf(s)
	}
	if (s != nil || t.inc.cause.Load() != nil) && !t.mayBegin(s) {
		return false
	}
	if mb.taps && !mb.beginTapped(t) {
		return false
	}
	t.lt.Enter()
	if on := observe.On.Load(); on != 0 && (s != nil || on >= observe.Labelled) { // an observed task has a scope
		t.beginWatched(s)
	}
	if s != nil && s.deadline > 0 && t.lifetime == offered {
		t.lt.CallBetweenTurns()
	}
	return true
}

// incarnationOf is that of a task which its worker has not been offered. A child has it from its creation: see becomeChildOf and
// detachFrom.
func (t *Task) incarnationOf(s *scope) *incarnation {
	last := t.mb.inc.Load()
	if t.lifetime == internal && s != nil && s.seldom().why != nil {
		return &incarnation{n: last.n, actor: last.actor} // a hook outlives its incarnation's end
	}
	return last
}

// mayBegin looks for what keeps a task from running, and tells its asker.
func (t *Task) mayBegin(s *scope) bool {
	if t.lifetime == offered && t.inc.cause.Load() == nil && s.hasOnlyBudget() && !t.lt.Past(s.deadline) {
		return true // most often: a deadline, a context, or both
	}
	err := t.endCause()
	switch {
	case t.lifetime != offered:
	case err != nil && !t.isCanceled(): // the stop has come in this moment
		err = ErrStopping
	case err == nil && s != nil && s.stopEventCame(): // and is about to cancel it
		err = errUntilStop
	case err == nil && s != nil && s.deadline > 0 && t.lt.Past(s.deadline):
		err = t.expiredError() // the clock may be late
		t.mb.budgets.crowd(s.deadline)
	}
	if err == nil {
		return true
	}
	t.neverBegin(err)
	return false
}

// neverBegin ends a task in place of its first turn.
func (t *Task) neverBegin(err error) {
	t.how = life.HowNeverRan
	if t.lifetime == offered {
		t.lt.Enter()                     // a future that fails calls user code
		t.how = t.tellNeverRan(err, nil) // first: a cancel would say that it had begun
		t.cancel(err)
	}
}

// recoverPanic is deferred around the user code of a task whose panic concerns its
// future alone.
func (t *Task) recoverPanic() {
	if p := recover(); p != nil {
		err := newPanicError(p)
		t.concludeFuture(t.completeRequest(failedAnswer(err, 0), teller{turn: t}), err)
	}
}

// concludeFuture is conclude for a task whose asker hears of nothing but its future:
// if that was decided before, err is told to the log. What was asked for and is
// not wanted any more may fail often: a panic is logged each time, an error like a
// failure that nobody has looked at.
func (t *Task) concludeFuture(decided bool, err error) {
	if decided && err == nil { // by far the most often
		t.how = life.HowFinished
		t.turn |= isDecided
		return
	}
	t.noteOutcome(decided, err)
	if !decided && err != nil {
		t.logLate(err)
	}
}

// logLate logs an error of a task that nobody is told, unless it says no more
// than that the task was ended.
func (t *Task) logLate(err error) {
	if t.workerFailure() != nil || t.saysItsEnd(err) || t.endCause() == nil && saysOnlyEnd(err, ErrCanceled) { // of its future
		return // its worker tells it; or there is nothing to tell
	}
	t.mb.tellTaskFailure(failure.Unobserved, t, err)
	if p, ok := err.(*PanicError); ok {
		t.mb.logger().ErrorContext(t.logContext(), "actors: panic in a task whose asker had been told already", "task", t.name(), "panic", p.Value, "stack", string(p.Stack))
	} else if t.mb.sys.unseen.allow() {
		t.mb.logger().WarnContext(t.logContext(), "actors: a task failed when its asker had been told already", "task", t.name(), "error", printable(err))
	}
}

// noteOutcome notes how a task's user code ended: with err, and whether that
// decided its future.
func (t *Task) noteOutcome(decided bool, err error) {
	switch {
	case !decided:
		t.how = life.HowLate
	case err != nil && t.saysItsEnd(err): // it was told to end, and says so
		t.how = life.HowCut
	case err != nil:
		t.how = life.HowFailed
	default:
		t.how = life.HowFinished
		t.turn |= isDecided
	}
}

// askerHeard is what the task's asker has heard. It calls no method of the error, which
// may be the user's: see count.
func (t *Task) askerHeard() life.Heard {
	f := t.future()
	if f == nil {
		switch t.once.Load() & (isAnswered | isTold | isFailed) {
		case 0:
			return life.HeardNothing
		case isAnswered:
			return life.HeardAnswer
		case isAnswered | isFailed:
			return life.HeardError
		}
		return life.HeardEnd
	}
	c := f.base()
	switch {
	case !c.done.Load():
		return life.HeardNothing
	case isCut(c.failedWith()):
		return life.HeardEnd
	case c.failedWith() != nil:
		return life.HeardError
	}
	return life.HeardAnswer
}

// isCut reports whether err is why a task was ended.
func isCut(err error) bool {
	err = bare(err)
	return err == ErrCanceled || err == ErrTimeout || err == ErrRestarted || err == ErrStopped || err == ErrStopping
}

// endCause returns why the task was ended, or nil.
func (t *Task) endCause() error {
	if s := t.ext.Load(); s != nil {
		if p := s.cause.Load(); p != nil {
			return p.why
		}
	}
	if t.inc != nil {
		if p := t.inc.cause.Load(); p != nil {
			return p.why
		}
	}
	return nil
}

// saysItsEnd reports whether err says no more than that the task was ended. Two can have ended
// it: one that its restart has ended may expire while it says so.
func (t *Task) saysItsEnd(err error) bool {
	if s := t.ext.Load(); s != nil {
		if p := s.cause.Load(); p != nil && saysOnlyEnd(err, p.why) {
			return true
		}
	}
	if t.inc != nil {
		if p := t.inc.cause.Load(); p != nil {
			return saysOnlyEnd(err, p.why)
		}
	}
	return false
}

// isCanceled reports whether the task itself was ended, and not only its
// incarnation.
func (t *Task) isCanceled() bool {
	s := t.ext.Load()
	return s != nil && s.cause.Load() != nil
}

// checkCurrent panics unless the task is the one that runs: it names the misuse.
func (t *Task) checkCurrent(what string) {
	if c := t.coroutineTask(); !c.lt.Running() || c.lt.Nesting() {
		c.panicNotCurrent(what)
	}
}

// panicNotCurrent is for the task of a coroutine.
func (t *Task) panicNotCurrent(what string) {
	switch {
	case t.lt.Running():
		if t.lt.Nesting() {
			panic(fmt.Sprintf("actors: %s called with the Task of %s by a function that it has started: use the function's own Task", what, t.name()))
		}
	case t.lt.Lost(), t.once.Load()&isOffLoop != 0: // it has been ended: it gets an error
	case t.lt.Ended():
		panic(fmt.Sprintf("actors: %s called with the Task of %s, which has returned: a Task must not outlive its function", what, t.name()))
	case t.lt.Suspended():
		panic(fmt.Sprintf("actors: %s called with the Task of %s, which is suspended: it is another task's, or used from another goroutine", what, t.name()))
	default:
		panic(fmt.Sprintf("actors: %s called with the Task of %s, which has not started", what, t.name()))
	}
}

// Context returns a context that ends with the task: when it returns, when it
// is cancelled, when its budget is used up and when its worker restarts or
// stops. [context.Cause] says why: ErrCanceled, ErrTimeout, ErrRestarted or
// ErrStopped. It carries the values of WithContext's.
func (t *Task) Context() context.Context { return t.scope().context(t) }

// Stopping returns a channel that is closed when the worker is told to stop:
// the stop event. The task may go on for the grace period.
func (t *Task) Stopping() <-chan struct{} { return t.mb.stopEvent().readyChan() }

// StopRequested reports whether the worker has been told to stop.
func (t *Task) StopRequested() bool { return t.mb.gate.Load() != gateOpen }

// StopReason is, in an OnStop hook, why this incarnation of the worker ends:
// ErrRestarted or ErrStopped, with what led to it. Elsewhere it is nil.
func (t *Task) StopReason() error { return t.coroutineTask().hookOf() }

// Exit ends the worker when the task has returned: with a nil reason as a
// Main that returns nil does, gracefully; with an error as a failure, which
// the supervisor decides about.
func (t *Task) Exit(reason error) {
	t.checkCurrent("Exit")
	if t.coroutineTask().lt.Lost() {
		return // abandoned: the worker that is now has nothing to do with it
	}
	if reason == nil {
		t.mb.returned(t.coroutineTask())
		return
	}
	t.coroutineTask().failWorkerAtEnd(printable(reason))
}
