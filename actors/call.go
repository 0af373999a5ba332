// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/internal/observe"
	"github.com/protoloop/protoloop/messages"
)

// submission is a task that runs a function, which stands in for a message.
type submission[T any] struct {
	work
	fut Future[T]
}

type submitted[T any] func(t *Task) (T, error)

func (u *submission[T]) future() completer { return &u.fut }

func (u *submission[T]) label() string      { return labelOfFunction(&u.fut.mu, &u.msg) }
func (u *submission[T]) labelHeld() string  { return labelOfFunctionHeld(&u.msg) }
func (u *submission[T]) codeEntry() uintptr { return codeOfFunction(&u.fut.mu, &u.msg) }

// labelOfFunction is under the lock of its future, because spend and completeFunction
// write what it reads.
func labelOfFunction(mu *sync.Mutex, fn *any) string {
	mu.Lock()
	defer mu.Unlock()
	return labelOfFunctionHeld(fn)
}

// codeOfFunction is where its code begins, of which labelOfFunction is the name: for those who have many that are the same.
func codeOfFunction(mu *sync.Mutex, fn *any) uintptr {
	mu.Lock()
	defer mu.Unlock()
	if code := codeIn(fn); code != nil {
		return code.Entry()
	}
	return reflect.ValueOf(*fn).Pointer()
}

func labelOfFunctionHeld(fn *any) string {
	if code := codeIn(fn); code != nil {
		return codeName(code)
	}
	return funcName(*fn)
}

func (u *submission[T]) Run(*loop.Task) {
	t := &u.Task
	if !t.beginTurn() {
		return
	}
	defer t.recoverPanic()
	var v T
	var err error
	if fn, ok := t.msg.(submitted[T]); ok { // here: another frame would be a part of each task that awaits
		v, err = fn(t)
	} else {
		err = t.msg.(submittedErr)(t)
	}
	if err != nil {
		err = returned(err)
		t.endIfExpired(err)
	}
	t.concludeFuture(u.fut.completeFunction(&u.msg, v, err), err)
}

// room is what a call with options, or work of a task that has something to inherit, needs
// beside itself. It is made in the same allocation.
type room struct {
	kin   kinship
	scope scope
}

// contextRoom is the scope of a call that is bound to a context, with its place among those
// that are bound to the same. It is made in the same allocation: none more than without
// (bench: burst/request-context). A task whose scope is in one says so by its Tag.
type contextRoom struct {
	scope scope // first: see roomForContext
	bound boundCall
}

// inContextRoom is the Tag of such a task: a pointer in each scope would put a request with a
// Timeout into the next size of allocations.
const inContextRoom uint8 = 1

// roomForContext is the task's, or nil. Constant once others know the task.
func (t *Task) roomForContext() *contextRoom {
	if t.lt.Tag&inContextRoom == 0 {
		return nil
	}
	return (*contextRoom)(unsafe.Pointer(t.ext.Load()))
}

func (t *Task) useRoom(r *room) {
	t.kin = &r.kin
	t.presetScope(&r.scope)
}

func (t *Task) useContextRoom(r *contextRoom) {
	t.presetScope(&r.scope)
	t.lt.Tag |= inContextRoom
}

// makeContextRoom gives a task that nobody else knows yet what a call with these options needs
// for WithContext, if it was not made with the task.
func (t *Task) makeContextRoom(opts []CallOption) {
	if !hasOption(opts, setContext) || t.roomForContext() != nil {
		return
	}
	r := new(contextRoom)
	if s := t.ext.Load(); s != nil {
		r.scope.presetMore(s.more.Load()) // a carrier's
	}
	t.useContextRoom(r)
	for i := range opts {
		if opts[i].set == setContext {
			r.scope.setValues(valuesOf(opts[i].ctx))
		}
	}
}

// need is what of that a call needs.
type need uint8

const (
	needNothing need = iota
	needScope        // options, or something to inherit
	needContext      // WithContext
)

// needOf is for a call with these options that from, or nobody, makes.
func needOf(from *Task, opts []CallOption) need {
	switch {
	case len(opts) == 0 && (from == nil || from.ext.Load() == nil): // most often
		return needNothing
	case hasOption(opts, setContext):
		return needContext
	}
	return needScope
}

// newSubmission makes one that from, or nobody, has created, with what it needs in the same
// allocation. It is not embedded there: see TestStructsWithoutNamesEmbedNothing.
func newSubmission[T any](from *Task, fn any, needs need) *submission[T] {
	var u *submission[T]
	switch {
	case needs == needContext && from != nil:
		x := &struct {
			task submission[T]
			kin  kinship
			room contextRoom
		}{}
		u, x.task.kin = &x.task, &x.kin
		u.useContextRoom(&x.room)
	case needs == needContext:
		x := &struct {
			task submission[T]
			room contextRoom
		}{}
		u = &x.task
		u.useContextRoom(&x.room)
	case needs == needScope && from != nil:
		x := &struct {
			task submission[T]
			room room
		}{}
		u = &x.task
		u.useRoom(&x.room)
	case needs == needScope:
		x := &struct {
			task  submission[T]
			scope scope
		}{}
		u = &x.task
		u.presetScope(&x.scope)
	case from != nil:
		x := &struct {
			task submission[T]
			kin  kinship
		}{}
		u, x.task.kin = &x.task, &x.kin
	default:
		u = &submission[T]{}
	}
	u.msg = fn
	u.markEarly(isFunction)
	u.lt.Body = u
	u.fut.ownWithin(&u.Task)
	return u
}

// Submit runs fn as a task of a worker and returns its future at once: the
// work starts whether or not anybody waits for it, as with asyncio's
// run_coroutine_threadsafe. It queues behind what s has sent before.
//
// s is a root context, an actor's context or a Task. Work that a Task submits
// inherits its cancel and its budget. The worker must be one of this process;
// otherwise the future fails with ErrNotWorker, or with ErrDeadLetter if
// there is no such actor, or the PID is nil. Middleware sees messages, and fn is none.
func Submit[T any](s actor.SenderContext, worker *actor.PID, fn func(t *Task) (T, error), opts ...CallOption) *Future[T] {
	if fn == nil {
		panic("actors: Submit called with a nil function")
	}
	return submit[T](s, worker, submitted[T](fn), "Submit", opts)
}

// submit runs fn, a submitted[T] or a submittedErr.
func submit[T any](s actor.SenderContext, worker *actor.PID, fn any, what string, opts []CallOption) *Future[T] {
	if len(opts) > 0 {
		checkOptions(opts)
	}
	from, sys := caller(s, what)
	if worker == nil {
		return failedNilPID[T](what)
	}
	u := newSubmission[T](from, fn, needOf(from, opts))
	mb := sys.worker(worker)
	if mb == nil {
		var err error
		if mb, err = sys.locate(worker); err != nil {
			u.completeRequest(failedAnswer(err, 0), teller{})
			u.spendData()
			return &u.fut
		}
		sys.introduce(mb, sys.as.NewLocalPID(worker.Id))
	} else if len(opts) > 0 {
		u.markEarly(isPosted) // its worker runs, and so can look after its deadline
	}
	u.attachTo(mb)
	if from == nil && len(opts) == 0 && !observe.Observed() { // most often: there is nothing to bind
		mb.offer(&u.Task)
		return &u.fut
	}
	u.submit(mb, from, opts)
	return &u.fut
}

func (u *submission[T]) submit(mb *mailbox, from *Task, opts []CallOption) {
	switch {
	case !u.bindCall(from, opts, 0):
	case len(opts) == 0:
		mb.offer(&u.Task)
	default:
		mb.offerBounded(&u.Task)
	}
}

// request is a message that wants an answer of type Resp. To a worker it is
// the task that handles it, to anybody else a carrier.
type request[Resp any] struct {
	work
	fut Future[Resp]
}

func (u *request[Resp]) label() string     { return typeIn(&u.msg) }
func (u *request[Resp]) future() completer { return &u.fut }

// carriedRequest is a request that goes by the engine's way. Its future is apart
// from it, because it is large.
type carriedRequest[Resp any] struct {
	work
	fut *Future[Resp]
	carried
}

func (u *carriedRequest[Resp]) label() string     { return typeIn(&u.msg) }
func (u *carriedRequest[Resp]) future() completer { return u.fut }

// carried is what a request needs to go by the engine's way. With 8 bytes more a request would be in the next size of
// allocations, of 352 bytes (bench: burst/plain).
type carried struct {
	scope scope
	more  more
	to    replyTo
	env   actor.MessageEnvelope
}

func newRequest[Resp any](from *Task, msg any, needs need) *request[Resp] {
	var u *request[Resp]
	switch {
	case needs == needContext && from != nil:
		x := &struct {
			task request[Resp]
			kin  kinship
			room contextRoom
		}{}
		u, x.task.kin = &x.task, &x.kin
		u.useContextRoom(&x.room)
	case needs == needContext:
		x := &struct {
			task request[Resp]
			room contextRoom
		}{}
		u = &x.task
		u.useContextRoom(&x.room)
	case needs == needScope && from != nil:
		x := &struct {
			task request[Resp]
			room room
		}{}
		u = &x.task
		u.useRoom(&x.room)
	case needs == needScope:
		x := &struct {
			task  request[Resp]
			scope scope
		}{}
		u = &x.task
		u.presetScope(&x.scope)
	case from != nil:
		x := &struct {
			task request[Resp]
			kin  kinship
		}{}
		u, x.task.kin = &x.task, &x.kin
	default:
		u = &request[Resp]{}
	}
	u.init(msg)
	return u
}

// newCarried makes one to whom, or to nobody.
func newCarried[Resp any](s *system, whom *actor.PID, msg any) *carriedRequest[Resp] {
	u := &carriedRequest[Resp]{fut: new(Future[Resp])}
	c := &u.carried
	c.to.whom = whom
	s.replies.assignPID(&c.to)
	c.scope.presetMore(&c.more)
	*(**replyTo)(unsafe.Pointer(&c.more.reply)) = &c.to // a plain store, see presetScope
	u.presetScope(&c.scope)
	u.msg = msg
	u.lt.Body = u
	u.fut.ownApart(&u.Task)
	return u
}

func (u *request[Resp]) init(msg any) {
	u.msg = msg
	u.lt.Body = u
	u.fut.ownWithin(&u.Task)
}

// RequestFuture sends msg to an actor, any actor, and returns the future of
// its answer at once.
//
// To a worker of this process the request waits until it is answered, at the
// latest when its handler returns, unless that has kept the sender's PID or
// passed the request on, or when the worker ends. From any other actor, and from the
// worker of a key on another node, an answer cannot be relied on: unless Timeout says
// otherwise the future fails with ErrTimeout after 30 s. An answer of another type than
// Resp fails it with a [*ReplyTypeError], a [*messages.Failure] with that.
//
// A plain actor that is asked may keep its Sender, to answer later. As long as it keeps
// that PID it keeps the request in memory: message, context and answer. It should let
// go of the PID once it has answered.
//
// s is a root context, an actor's context or a Task; a Task's requests
// inherit its cancel and its budget. With a nil PID, such as that of a supervisor's
// child that is gone, the future fails with [ErrDeadLetter].
func RequestFuture[Resp any](s actor.SenderContext, to *actor.PID, msg any, opts ...CallOption) *Future[Resp] {
	return requestFuture[Resp](s, to, msg, "RequestFuture", opts)
}

func requestFuture[Resp any](s actor.SenderContext, to *actor.PID, msg any, what string, opts []CallOption) *Future[Resp] {
	within, alone := withinAlone(opts)
	if !alone {
		checkRequestOptions(opts)
	}
	from, sys := caller(s, what)
	if to == nil {
		return failedNilPID[Resp](what)
	}
	mb := sys.worker(to)
	if mb != nil && msg != nil && !forMailbox(msg) && plainSender(s, from) {
		u := newRequest[Resp](from, msg, needOf(from, opts))
		u.attachTo(mb)
		u.markEarly(isPosted)
		switch {
		case !u.bindCall(from, opts, 0):
		case len(opts) == 0:
			mb.offer(&u.Task)
		default:
			mb.offerBounded(&u.Task)
		}
		return &u.fut
	}
	far := mb == nil && !sys.local(to)
	if far && msg != nil && plainSender(s, from) {
		if door := sys.doorOf(to); door != nil {
			if f := requestKeyed[Resp](from, door, to, msg, opts); f != nil {
				return f
			}
		}
	}
	u := newCarried[Resp](sys, to, msg)
	if alone && from == nil && mb == nil && !far && msg != nil && !observe.Observed() {
		u.lifetime = carrier
		u.to.openSlot(&u.Task)
		u.expireAlone(sys, within)
		u.sendRequest(&u.carried, s, to, false, nil)
		return u.fut
	}
	u.makeContextRoom(opts)
	u.attachTo(mb)
	u.to.openSlot(&u.Task)
	if msg == nil {
		u.completeRequest(failedAnswer(fmt.Errorf("%w: %s called with a nil message", ErrUnhandled, what), 0), teller{})
		u.closeRequest()
		return u.fut
	}
	if mb == nil {
		has := from != nil && from.base() != nil || hasOption(opts, setContext)
		if err := sys.unsendable(to, msg, roomForContextValues(has)); err != nil {
			u.completeRequest(failedAnswer(err, 0), teller{})
			u.closeRequest()
			return u.fut
		}
	}
	timeout := time.Duration(0)
	if mb == nil || forMailbox(msg) {
		u.lifetime = carrier
		timeout = defaultTimeout
	}
	if u.bindCall(from, opts, timeout) {
		u.sendRequest(&u.carried, s, to, far, opts)
	}
	return u.fut
}

// withinAlone is the budget of a request by the engine's way, if its options say no more than that: most often, and
// what it takes to have none of the others is a twentieth of it (bench: burst/plain).
func withinAlone(opts []CallOption) (within time.Duration, alone bool) {
	within = defaultTimeout
	for i := range opts {
		o := &opts[i]
		if within = o.timeout; o.set != setTimeout || within <= 0 || within == Forever {
			return 0, false
		}
	}
	return within, true
}

// expireAlone is bindCall for a request of nobody's whose only option is a budget.
func (t *Task) expireAlone(sys *system, within time.Duration) {
	when := sys.in(within)
	t.ext.Load().deadline = when
	sys.clock.addDeadline(when, t)
}

// forMailbox reports whether a message is none that a worker would handle.
func forMailbox(msg any) bool {
	switch msg.(type) {
	case *messages.Stop, *messages.StatusRequest, *actor.PoisonPill, actor.MessageBatch:
		return true
	}
	return false
}

// sendRequest takes the engine's way: an envelope with a PID for the answer. Sender middleware
// runs then. If that panics nobody gets to know of the request.
// far: to is of another process.
func (t *Task) sendRequest(c *carried, s actor.SenderContext, to *actor.PID, far bool, opts []CallOption) {
	through := false
	defer func() {
		t.noteSent()
		if !through && t.firstTime(isPosted) { // else its worker has it, who ends it
			t.cancel(ErrCanceled)
			t.endUnbegun(false)
		}
	}()
	c.env.Message, c.env.Sender = t.msg, &c.to.pid
	if far {
		t.setHeader(&c.env, opts)
	}
	s.Send(to, &c.env)
	through = true
	if far && t.system().doorOf(to) != nil {
		t.noteAtDoor()
	}
}

// noteSent is called when a carrier is on its way, or will never be: if it has ended
// meanwhile it leaves the table now. Until here a worker to whom it comes finds
// it, learns that it has ended, and does not begin.
func (t *Task) noteSent() {
	if t.lifetime == carrier && t.once.Or(isSent)&(isSent|hasLeftTree) == hasLeftTree {
		t.closeRequest()
	}
}

// Ask is RequestFuture and Await in one. If the await ends before the answer is
// there, by the end of the task or by a [*DeadlockError], the request is
// cancelled: nobody else has its future.
func Ask[Resp any](t *Task, to *actor.PID, msg any, opts ...CallOption) (Resp, error) {
	f := requestFuture[Resp](t, to, msg, "Ask", opts)
	v, err := Await(t, f)
	if err != nil {
		f.cancel(ErrCanceled)
	}
	return v, err
}

// Call is [RequestFuture] and [Future.Wait] in one, from a plain goroutine: an HTTP handler,
// a test, a function that was offloaded. The request ends with ctx, as [WithContext] has it,
// and so what comes back is always about the request: [ErrTimeout] or [ErrCanceled] with
// the cause of ctx's end, and never a bare error of ctx. See [RetrySafe] for what may be
// asked again.
//
// In a task it would block the worker: there it panics, and says to use [Ask]. Of a function
// the same is Submit(s, pid, fn, WithContext(ctx)).Wait(ctx).
func Call[Resp any](ctx context.Context, s actor.SenderContext, to *actor.PID, msg any, opts ...CallOption) (Resp, error) {
	if ctx == nil {
		panic("actors: Call called with a nil context")
	}
	t := taskIn(ctx)
	if t == nil && s != nil {
		t, _ = caller(s, "Call")
	}
	if t != nil {
		panic("actors: Call called in task " + t.name() + ": it would block the worker; use actors.Ask")
	}
	var room [4]CallOption
	all := append(append(room[:0], opts...), WithContext(ctx))
	return requestFuture[Resp](s, to, msg, "Call", all).Wait(ctx)
}

// failedNilPID is the future of a call to a nil PID.
func failedNilPID[T any](what string) *Future[T] {
	f := new(Future[T])
	f.fail(&namedError{sentinel: ErrDeadLetter, whom: what + " called with a nil PID"})
	return f
}

// bindCall applies the options of a call, and makes it work of the task that
// makes it. false: it has ended already, and is over.
//
// The methods of WithContext's context run here. They may panic, or end their
// goroutine; whoever has made the call gets to know that, and no future. What
// counts the call by then, its parent or a group, does so no longer.
func (t *Task) bindCall(from *Task, opts []CallOption, timeout time.Duration) (bound bool) {
	if len(opts) == 0 && timeout == 0 {
		if from == nil || t.becomeWorkOf(from) {
			if observe.Observed() {
				t.offerToObserver()
			}
			return true
		}
		t.endUnbegun(true)
		return false
	}
	returned := false
	defer func() {
		if !returned {
			t.cancel(ErrCanceled)
		}
		if !bound {
			t.endUnbegun(returned)
		}
	}()
	if bound = t.bindOptions(from, opts, timeout); bound && observe.Observed() {
		t.offerToObserver()
	}
	returned = true
	return bound
}

func (t *Task) becomeWorkOf(from *Task) bool {
	if t.lifetime == child {
		return t.becomeChildOf(from)
	}
	return from.adoptKid(t)
}

// bindOptions is bind for a call that has options, without what follows from its end.
func (t *Task) bindOptions(from *Task, opts []CallOption, timeout time.Duration) bool {
	// alone: nobody knows the task before the contexts do, which give it the values, too.
	alone := from == nil && t.once.Load()&isPosted != 0
	if alone && hasOption(opts, setUntilStop) { // the stop event knows it first
		alone = false
	}
	own, ctx, expired := t.applyOptions(opts, timeout)
	creator := from
	if ctx != nil && !alone && t.boundValues() == nil {
		t.ext.Load().setValues(valuesOf(ctx))
	}
	if from != nil && hasOption(opts, setDetached) {
		if !t.detachFrom(from) {
			return false
		}
		from = nil
	}
	if from != nil && !t.becomeWorkOf(from) {
		return false
	}
	if hasOption(opts, setUntilStop) && !t.endAtStopOf(creator) {
		return false
	}
	if own == 0 && ctx == nil {
		return true
	}
	if own > 0 && (expired || !from.expiresBy(own)) { // else that reaches it anyway
		if expired {
			if ctx != nil && alone {
				t.ext.Load().setValues(valuesOf(ctx))
			}
			t.cancel(t.expiredError())
			return false
		}
		if alone {
			t.markEarly(isBudgeted) // as expireAt does
		} else {
			t.expireAt(own)
		}
	}
	if ctx == nil {
		return true
	}
	done := ctx.Done()
	if done != nil && ctx.Err() == nil {
		t.system().contexts.bindCall(t, ctx, done, alone)
		return true
	}
	if alone {
		t.ext.Load().setValues(valuesOf(ctx))
	}
	if done == nil { // it never ends
		return true
	}
	t.cancel(contextCause(ctx))
	return false
}

// endUnbegun is the end of a task that has been cancelled before anybody could begin
// it. heard says that whoever has made it hears of that by its future.
func (t *Task) endUnbegun(heard bool) {
	switch t.lifetime {
	case carrier: // its cancel has said that it is over
		t.noteSent()
	case aside: // so has this one's
	default:
		t.noteEnded()
	}
	if m, ok := t.lt.Body.(groupMember); ok {
		g := m.member().group
		if !heard { // no failure of the group's
			m = &groupTask[None]{}
		}
		g.memberEnded(m)
	}
}

// applyOptions sets a call's options. It returns its deadline, or 0, WithContext's
// context, or nil, whose values it does not set, and whether the deadline is over.
func (t *Task) applyOptions(opts []CallOption, timeout time.Duration) (deadline time.Duration, ctx context.Context, expired bool) {
	bounded := timeout > 0
	sc := t.scope()
	for i := range opts {
		switch o := &opts[i]; o.set {
		case setTimeout:
			bounded, timeout = o.timeout != Forever, max(o.timeout, 0)
		case setContext:
			ctx = o.ctx
		case setName:
			sc.set().name = o.name
		}
	}
	if bounded {
		deadline = t.system().in(timeout)
	}
	sc.deadline = deadline
	if ctx != nil {
		// It ends the task itself. Known here, it is a budget: it shows in the task's
		// context, and travels.
		if at, ok := ctx.Deadline(); ok {
			if d := max(at.Sub(t.system().pool.Time(0)), 1); sc.deadline == 0 || d < sc.deadline {
				sc.deadline = d
			}
		}
	}
	return deadline, ctx, bounded && timeout == 0
}

// contextCause is why ctx ended, as one of our errors that wraps ctx's. If its methods
// panic, that is what it wraps: where a watched context ends nobody could be told
// otherwise.
func contextCause(ctx context.Context) (why error) {
	defer func() {
		if p := recover(); p != nil {
			why = because(ErrCanceled, newPanicError(p))
		}
	}()
	cause := context.Cause(ctx)
	if ctx.Err() == context.DeadlineExceeded {
		return because(ErrTimeout, cause)
	}
	return because(ErrCanceled, cause)
}

// expireIn lets a request without a deadline expire. In its scope it still has
// none: that is read by anybody, and constant.
func (t *Task) expireIn(d time.Duration) {
	if s := t.scope(); s.deadline == 0 && s.gone.Load() == nil {
		t.system().clock.addDeadline(t.system().in(d), t)
	}
}
