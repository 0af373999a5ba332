// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"fmt"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/keyed"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/internal/observe"
)

// message is a task that works on a message which arrived through the
// engine: a plain Send or Request, or a request from elsewhere.
type message struct {
	work
	env   *actor.MessageEnvelope // what it came in, or nil
	fut   completer              // of a request of this process; else nil
	early bool                   // it came before the mailbox knew its system
	late  bool                   // … and yet after the stop event
	again *again                 // nil: no other task has had it before
}

// again is what is known of a message that another task has had before, which
// has stashed it, or has panicked and is to be retried. Its handler has run.
type again struct {
	tries int   // how often it has been retried
	crash error // the last panic of its handler; nil: it has only stashed the message
}

func (u *message) future() completer { return u.fut }

// incoming makes a task of a message that the engine has posted. Any
// goroutine; the engine may not have registered the actor yet.
func (mb *mailbox) incoming(m any, env *actor.MessageEnvelope) *Task {
	early := !mb.registered() && !mb.keyed // which knows its system from the first
	if env == nil || early {
		u := &message{early: early}
		u.init(mb, m, env)
		if !early && observe.Observed() {
			u.offerToObserver()
		}
		return &u.Task
	}
	asker := mb.sys.askerOf(env.Sender)
	if asker != nil && asker.lifetime == offered && asker.mb == mb && isSame(&asker.msg, &m) && asker.firstTime(isPosted) {
		// A RequestFuture to us that has come the long way, by middleware. If that has changed the message, it is a
		// message of its own: the asker's may be read meanwhile by whoever ends it.
		asker.setEnvelope(env)
		return asker
	}
	u := newMessageOf(asker)
	u.init(mb, m, env)
	u.know(asker)
	if observe.Observed() {
		u.offerToObserver()
	}
	return &u.Task
}

// newMessageOf makes one, with what it needs below its asker, if it has one, in the same
// allocation.
func newMessageOf(asker *Task) *message {
	if asker == nil {
		return &message{}
	}
	x := &struct {
		task message
		room room
	}{}
	x.task.useRoom(&x.room)
	return &x.task
}

// forwardedTo is Forward of a request of this process to one of its workers, past the
// engine: then it needs neither an envelope nor a PID for the answer. It returns nil if it
// is none of these.
func (t *Task) forwardedTo(pid *actor.PID) *message {
	o := t.messageTask()
	if o.future() == nil || o.envelope() != nil || t.mb.sends || forMailbox(o.msg) || t.isAbandoned() {
		return nil
	}
	mb := t.mb.sys.worker(pid)
	if mb == nil || !mb.registered() {
		return nil
	}
	u := newMessageOf(o)
	u.init(mb, o.msg, nil)
	u.know(o)
	if o.has(isCopied) {
		u.markEarly(isCopied)
	}
	if observe.Observed() {
		u.offerToObserver()
	}
	return u
}

func (u *message) init(mb *mailbox, m any, env *actor.MessageEnvelope) {
	u.attached, u.msg, u.env = &mb.view, m, env
	u.lt.Body = u
}

// know binds the message to whom it comes from: to the task of a request of
// this process, so that an error, a panic and its stack reach the asker as
// they are, or to the budget and the values that it brings from another machine.
func (u *message) know(asker *Task) {
	if asker != nil {
		u.fut = asker.future()
		asker.adoptKid(&u.Task)
		if asker.lifetime == carrier { // the answer does not come by its PID, which would end it
			u.fut.base().addCallback(&node{to: callback(asker.noteEnded)})
		}
		return
	}
	sys := u.mb.sys
	if ctx := sys.contextValuesIn(u.env); ctx != nil {
		u.scope().setValues(valuesOf(ctx))
	}
	if left, has := keyed.ParseBudget(u.env.GetHeader(keyed.BudgetHeader)); has {
		s := u.scope()
		s.deadline = sys.in(left)
		sys.clock.addDeadline(s.deadline, &u.Task) // last: it may end the task
	}
}

func (u *message) label() string { return typeOf(u.msg) }

func (u *message) Run(*loop.Task) {
	t := &u.Task
	over := u.again != nil && u.fut != nil && u.fut.base().done.Load()
	if u.early && u.env != nil {
		asker := u.mb.sys.askerOf(u.env.Sender)
		if asker == nil && u.mb.sys.isReply(u.env.Sender) { // it was cancelled, or has expired
			t.how = life.HowLate
			t.mb.counts.taken.Add(1)
			return
		}
		u.know(asker)
	}
	if over || u.late {
		t.mb.counts.taken.Add(1)
		t.lt.Enter() // a future that fails calls user code
		t.how = t.tellNeverRan(ErrStopping, nil)
		return
	}
	if t.beginTurn() {
		t.mb.receive(t)
	}
}

// handBack puts the task's message into the stash: the next incarnation gets
// it before all else, as if this task had not. had is what the next task has to
// know. by is the task whose turn it is; it reports false, and does nothing, if
// that turn has been taken over.
func (t *Task) handBack(by *Task, had again) bool {
	again := &message{again: &had}
	again.init(t.mb, t.msg, t.envelope())
	again.fut = t.future()
	if t.has(isCopied) {
		again.markEarly(isCopied)
	}
	return by.loopTask().OnLoop(func() {
		t.bequeathMessage(&again.Task)
		t.firstTime(isStashed) // its answer is left to the next incarnation
		t.mb.keepStashed(&again.Task, t)
		if s := t.ext.Load(); s != nil && s.deadline > 0 {
			again.scope().deadline = s.deadline
			t.system().clock.addDeadline(s.deadline, &again.Task)
		}
	})
}

// earlierHandling is what is known of the message, if another task has had it before.
func (t *Task) earlierHandling() *again {
	if u, ok := t.lt.Body.(*message); ok {
		return u.again
	}
	return nil
}

// handlingSoFar is what whoever gets the message next has to know of it.
func (t *Task) handlingSoFar() again {
	if a := t.earlierHandling(); a != nil {
		return *a
	}
	return again{}
}

// retryMessage hands back the message whose handler has panicked if the supervisor
// wants that. If the handler has stashed it before, the next task is told of the
// panic.
func (t *Task) retryMessage(crash error) bool {
	if t.has(isStashed) {
		return t.loopTask().OnLoop(func() {
			for _, k := range t.listKids() {
				if a := k.earlierHandling(); a != nil {
					a.crash = crash
				}
			}
		})
	}
	f, had := t.future(), t.handlingSoFar()
	if t.lifetime != offered || t.message() == nil || had.tries >= int(t.mb.policy.Retries) || t.mb.gate.Load() != gateOpen ||
		f != nil && f.base().done.Load() || t.has(isAnswered) || t.endCause() != nil {
		return false
	}
	if !t.handBack(t, again{had.tries + 1, crash}) {
		return false
	}
	t.firstTime(isRetried)
	return true
}

// receive hands the message to the actor, through the engine if the user has
// middleware or decorators there. A panic fails the asker and the actor.
func (mb *mailbox) receive(t *Task) {
	defer t.recoverHandlerPanic()
	if s := mb.rare.Load(); s != nil && s.idle.on.Load() {
		s.idle.touch(t.msg)
	}
	if !mb.hooked {
		mb.handle(t)
		return
	}
	env := t.envelope()
	if env == nil {
		env = actor.WrapEnvelope(t.msg)
	}
	mb.invoker().InvokeUserMessage(env)
	if t.turn&isHandling == 0 && t.how == life.HowNone && !t.isAnsweredAlready() {
		t.turn |= isHandling // for the asker: the middleware may have done the work
		t.replyAtEnd(nil, fmt.Errorf("%w: a receiver middleware kept the %T", ErrUnhandled, t.msg))
	}
}

// handle is the end of the engine's path, and all of ours.
func (mb *mailbox) handle(t *Task) {
	t.turn |= isHandling
	auto, isAuto := t.msg.(actor.AutoRespond)
	inc := t.inc
	if inc == nil { // Stopped, which is no turn
		inc = mb.inc.Load()
	}
	if a, ok := inc.actor.(*workerActor); ok {
		a.receive(t)
	} else {
		inc.actor.Receive(inc.contextSeen(mb))
	}
	if isAuto {
		t.Respond(auto.GetAutoResponse(inc.contextSeen(mb)))
	}
}

func (t *Task) recoverHandlerPanic() {
	if p := recover(); p != nil {
		err := newHandlerPanic(p, t.mb.hooked)
		t.turn |= isHandling // if it is a middleware's, which comes before the handler
		t.failWorkerAtEnd(err)
		if !t.retryMessage(err) {
			t.replyAtEnd(nil, err)
		}
	}
}

// Run is the loop's: it handles the message of a request in its worker. Most messages need
// nothing else of receive, handle and workerActor.receive than the handler, and each of these
// would be a frame more of every task that awaits, which the collector walks, and which is out
// of the cache when the task goes on (bench: burst/await).
func (w *work) Run(*loop.Task) {
	t := &w.Task
	if !t.beginTurn() {
		return
	}
	h := t.mb.plainHandler(t)
	if h == nil {
		t.mb.receive(t)
		return
	}
	defer t.recoverHandlerPanic()
	t.turn |= isHandling
	h.call(t)
}

// plainHandler is the handler of the task's message if its worker does nothing but call it;
// nil: see receive.
func (mb *mailbox) plainHandler(t *Task) *handler {
	if s := mb.rare.Load(); mb.hooked || s != nil && s.idle.on.Load() {
		return nil
	}
	a, ok := t.inc.actor.(*workerActor)
	if !ok || a.rest == nil {
		return nil
	}
	h := a.handlers.findFor(&t.msg)
	if h == nil || !h.plain {
		return nil
	}
	return h
}

// Done is the loop's: the task has ended.
func (w *work) Done(_ *loop.Task, how loop.How) {
	t := &w.Task
	mb := t.mb
	if how == loop.Returned && t.endsPlainly() {
		if t.lifetime == offered {
			mb.counts.finished.Add(1)
		}
		t.leavePlainly()
		return
	}
	switch how {
	case loop.Exited:
		// A panic in a deferred function may have been first: a Goexit goes on.
		if t.how == life.HowNone {
			t.turn |= isHandling // as for a panic
			t.replyGoexit()
		}
	case loop.Lost:
		mb.abandoned(t)
	}
	if t.holdsAny() {
		t.releaseHolds()
	}
	if t.lifetime == offered {
		if how != loop.Lost && t.how == life.HowNone {
			t.how = t.howReturned()
		}
		mb.count(t, how)
		if t.isAgain() {
			mb.tellNotHandled(t, how)
		}
	}
	if how == loop.Lost { // what it wrote in its turn is not ours to read
		t.noteFunctionBack(true)
		t.noteEnded()
		t.forgetAwaited()
		return
	}
	err := t.workerFailure()
	if err != nil {
		t.holdData()
	}
	t.noteEnded()
	if t.awaits.Load() != nil {
		t.forgetAwaited()
	}
	if mb.taps {
		mb.current.CompareAndSwap(t, nil)
	}
	if err != nil {
		mb.failWorker(t, err)
		t.unholdData()
	}
}

// endsPlainly reports whether the task, which has returned, is work from outside or a child that has
// decided its future, and has nothing to be let go of but its message and its place in the tree. What
// follows from its end is then in leavePlainly, which comes to the same as Done (bench: burst/request,
// burst/request-timeout, burst/start).
func (t *Task) endsPlainly() bool {
	s := t.once.Load()
	return t.how == life.HowFinished && t.turn&isDecided != 0 && t.lifetime <= child && s&isStashed == 0 &&
		!t.mb.taps && !t.holdsAny() && t.ext.Load().isReleased() && t.hasNoKids()
}

// leavePlainly is noteEnded, leaveTree and noteSpendable, for such a task.
func (t *Task) leavePlainly() {
	if t.awaits.Load() != nil {
		t.awaits.Store(nil)
	}
	s := t.once.Load()
	bits := uint32(isSpendable)
	if s&(isFunction|isPosted) == 0 { // no future keeps it
		bits = 0
	}
	switch {
	case t.kids.Load() != nil:
		// Its last kid may be about to look for isEnded: it finds that the task has left. One
		// exchange in place of three, each of which is 5 ns.
		s = t.once.Or(bits | isEnded | hasLeftTree)
	case s >= holder: // else nobody has ever known of it
		s = t.once.Or(bits)
	}
	if s < holder && bits != 0 && s&isFunction == 0 && !t.isSpent() { // of a function its future has let go
		*dataOf(&t.msg) = unsafe.Pointer(&spent)
	}
	if t.kin == nil {
		return
	}
	if t.kin.origin.Load() != nil {
		t.unholdOrigin()
	}
	if p := t.leaveParent(); p != nil {
		p.leaveTree()
	}
}

// CameBack is the loop's: the function of a task that was abandoned has come back, on
// whatever goroutine it runs by now.
func (w *work) CameBack(*loop.Task) { w.noteFunctionBack(false) }

// count puts a task that has left the mailbox into its bucket.
func (mb *mailbox) count(t *Task, how loop.How) {
	c := &mb.counts
	if how == loop.Returned && t.how == life.HowFinished && t.once.Load()&isStashed == 0 { // by far the most often
		c.finished.Add(1)
		return
	}
	switch t.settleBucket(how) {
	case life.BucketFinished:
		c.finished.Add(1)
	case life.BucketFailed:
		c.failed.Add(1)
	case life.BucketCanceled:
		c.needSeldom().canceled.Add(1)
	case life.BucketAbandoned:
		c.needSeldom().abandoned.Add(1)
	case life.BucketDeadLettered:
		c.needSeldom().deadLettered.Add(1)
	default: // it is back in the mailbox
		c.taken.Add(-1)
	}
}

// settleBucket is what the end of the task counts as.
func (t *Task) settleBucket(how loop.How) life.Bucket {
	h := life.HowStashed
	switch {
	case t.once.Load()&isStashed != 0:
	case how == loop.Lost: // what it wrote in its turn is not ours to read
		h = life.HowLost
	default:
		h = t.how
	}
	b, _ := life.ClassifyEnd(h, t.askerHeard(), t.isAsked())
	return b
}

// isAsked reports whether somebody waits for an answer.
func (t *Task) isAsked() bool { return t.future() != nil || t.asker() != nil }

// howReturned is how a message ended that a plain actor has handled.
func (t *Task) howReturned() life.How {
	if t.endCause() != nil {
		return life.HowLate
	}
	return life.HowReturned
}

// tellNotHandled tells the supervisor of a message whose handler has panicked,
// which was to handle it anew and has not come to its end. On the loop.
func (mb *mailbox) tellNotHandled(t *Task, how loop.How) {
	a := t.earlierHandling()
	if a == nil || a.crash == nil || t.has(isStashed) {
		return
	}
	if how == loop.Lost || t.how != life.HowGivenUp {
		if b := t.settleBucket(how); b == life.BucketFinished || b == life.BucketFailed {
			return
		}
	}
	mb.logger().ErrorContext(t.logContext(), "actors: a message whose handler had panicked was not handled anew", "task", t.name(), "error", a.crash)
	if mb.hasFailureHook() {
		mb.tellFailure(failure.DeadLetter, t.name(), fmt.Errorf("actors: a message whose handler had panicked was not handled anew: %w", a.crash))
	}
	if mb.super != nil {
		mb.super.MessageNotHandled(supervised{mb}, mb.failureOf(t, a.crash))
	}
}

// dropTask ends a task that was accepted and will not start. On the loop, in its own
// state: the caller lets the callbacks be called elsewhere.
func (mb *mailbox) dropTask(t *Task, later *callbacks) {
	mb.counts.taken.Add(1)
	t.how = t.tellNeverRan(mb.unstartedError(t), later)
	mb.count(t, loop.Returned)
	mb.tellNotHandled(t, loop.Returned)
	t.noteEnded()
}
