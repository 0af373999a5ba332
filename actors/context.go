// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"cmp"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/ctxext"

	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/loop"
)

// loopContext is the innermost decorator of the engine's context. The engine
// keeps the current message in the context, which is another task's after an
// await; this one asks the loop which task runs.
//
// A plain actor and a Worker have one for each incarnation, so that one that was
// abandoned does not act in the next. Middleware and decorators have one for all.
type loopContext struct {
	actor.Context
	mb  *mailbox
	inc *incarnation // nil: any
}

// task is the one that runs; between tasks, an empty one; for an incarnation
// that is over, one that has been ended with it.
func (c *loopContext) task() *Task {
	if c.over() {
		t := &Task{attached: &c.mb.view, inc: c.inc}
		t.markEarly(isOffLoop)
		t.endKeepingStash(c.inc.endCause())
		return t
	}
	if t := c.mb.current.Load(); t != nil {
		return t
	}
	return &Task{attached: &c.mb.view}
}

// over reports whether another incarnation goes on, or none.
func (c *loopContext) over() bool {
	return c.inc != nil && (c.mb.inc.Load().n != c.inc.n || c.mb.gate.Load() == gateStopped)
}

// runOnLoop is for what is the loop's or the engine's: see Task.alone. Who calls is
// not known; once a task of the incarnation has been abandoned it may be that.
func (c *loopContext) runOnLoop(f func()) bool {
	if c.inc != nil && c.inc.lost.Load() || c.over() {
		return false
	}
	f()
	return true
}

func (c *loopContext) Message() any                               { return c.task().Message() }
func (c *loopContext) MessageHeader() actor.ReadonlyMessageHeader { return c.task().MessageHeader() }
func (c *loopContext) Sender() *actor.PID                         { return c.task().Sender() }
func (c *loopContext) Respond(response any)                       { c.task().Respond(response) }
func (c *loopContext) Forward(pid *actor.PID)                     { c.task().Forward(pid) }

// Stash is the task's.
func (c *loopContext) Stash() {
	if !c.over() {
		c.task().Stash()
	}
}

// ReenterAfter is the task's.
func (c *loopContext) ReenterAfter(f *actor.Future, cont func(res any, err error)) {
	if !c.over() {
		c.task().ReenterAfter(f, cont)
	}
}

// Spawn is as Task.Spawn, and so are the others here.
func (c *loopContext) Spawn(props *actor.Props) *actor.PID {
	return must(c.SpawnNamed(props, c.mb.sys.as.ProcessRegistry.NextId()))
}

func (c *loopContext) SpawnPrefix(props *actor.Props, prefix string) *actor.PID {
	return must(c.SpawnNamed(props, prefix+c.mb.sys.as.ProcessRegistry.NextId()))
}

func (c *loopContext) SpawnNamed(props *actor.Props, name string) (*actor.PID, error) {
	t, inc := c.mb.current.Load(), cmp.Or(c.inc, c.mb.inc.Load())
	if inc == nil { // a WithOnInit's
		return c.Context.SpawnNamed(props, name)
	}
	return c.mb.spawnChild(inc, spawningContext{c, t}, props, name)
}

// spawningContext is c for a spawn by t, or by nobody that is known.
type spawningContext struct {
	c *loopContext
	t *Task
}

func (s spawningContext) runOnLoop(f func()) bool {
	return (s.t == nil || !s.t.isAbandoned()) && s.c.runOnLoop(f)
}

func (c *loopContext) Children() (all []*actor.PID) {
	c.runOnLoop(func() { all = c.Context.Children() })
	return all
}

func (c *loopContext) Actor() actor.Actor {
	if c.inc != nil {
		return c.inc.actor
	}
	return c.Context.Actor()
}

func (c *loopContext) Get(id ctxext.ContextExtensionID) (x ctxext.ContextExtension) {
	c.runOnLoop(func() { x = c.Context.Get(id) })
	return x
}

func (c *loopContext) Set(x ctxext.ContextExtension) { c.runOnLoop(func() { c.Context.Set(x) }) }
func (c *loopContext) Watch(pid *actor.PID)          { c.runOnLoop(func() { c.Context.Watch(pid) }) }
func (c *loopContext) Unwatch(pid *actor.PID)        { c.runOnLoop(func() { c.Context.Unwatch(pid) }) }
func (c *loopContext) SetReceiveTimeout(d time.Duration) {
	c.runOnLoop(func() { c.mb.sparse().idle.set(d) })
}
func (c *loopContext) CancelReceiveTimeout() { c.SetReceiveTimeout(0) }

func (c *loopContext) ReceiveTimeout() (d time.Duration) {
	c.runOnLoop(func() { d = c.mb.receiveTimeout() })
	return d
}

func (c *loopContext) Send(pid *actor.PID, message any) {
	if c.over() {
		c.mb.sendToDeadLetters(pid, message)
		return
	}
	c.Context.Send(pid, message)
}

func (c *loopContext) Request(pid *actor.PID, message any) {
	if c.over() {
		c.mb.sendToDeadLetters(pid, message)
		return
	}
	c.Context.Request(pid, message)
}

func (c *loopContext) RequestWithCustomSender(pid *actor.PID, message any, sender *actor.PID) {
	if c.over() {
		c.mb.sendToDeadLetters(pid, message)
		return
	}
	c.Context.RequestWithCustomSender(pid, message, sender)
}

func (c *loopContext) RequestFuture(pid *actor.PID, message any, timeout time.Duration) *actor.Future {
	if c.over() {
		return c.mb.failUnanswered(pid, message, timeout)
	}
	return c.Context.RequestFuture(pid, message, timeout)
}

func (c *loopContext) Stop(pid *actor.PID) {
	if !c.over() {
		c.Context.Stop(pid)
	}
}

func (c *loopContext) StopFuture(pid *actor.PID) *actor.Future {
	if c.over() {
		return c.mb.failUnanswered(pid, nil, stopTimeout)
	}
	return c.Context.StopFuture(pid)
}

func (c *loopContext) Poison(pid *actor.PID) {
	if !c.over() {
		c.Context.Poison(pid)
	}
}

func (c *loopContext) PoisonFuture(pid *actor.PID) *actor.Future {
	if c.over() {
		return c.mb.failUnanswered(pid, nil, stopTimeout)
	}
	return c.Context.PoisonFuture(pid)
}

// Receive is the end of the chain of middleware and decorators: here, and not
// in the engine's context, the actor is called. The engine's would note the
// message in a field that a task whose turn was taken away still writes.
func (c *loopContext) Receive(env *actor.MessageEnvelope) {
	if c.over() {
		c.mb.sendToDeadLetters(c.mb.pid, env)
		return
	}
	t := c.task()
	// A middleware may have changed it. Otherwise nothing is written here: who
	// looks at a turn from outside reads the task's name.
	if was := t.envelope(); env != was && (was != nil || env.Sender != nil || env.Header != nil || !same(env.Message, t.msg)) {
		t.msg = env.Message
		t.setEnvelope(env)
	}
	c.mb.handle(t)
}

// same reports whether a and b are one value, also of a type that cannot be
// compared.
func same(a, b any) bool {
	return *(*[2]unsafe.Pointer)(unsafe.Pointer(&a)) == *(*[2]unsafe.Pointer)(unsafe.Pointer(&b))
}

// TaskOf returns the Task of the message that a plain actor on an [EventLoop]
// works on: ctx is what its Receive was called with. For a context of another
// actor it returns nil.
func TaskOf(ctx actor.Context) *Task {
	if t, ok := ctx.(*Task); ok {
		return t
	}
	if c, ok := ctx.(*loopContext); ok && c.over() {
		return c.task()
	}
	mb := systemOf(ctx.ActorSystem()).worker(ctx.Self())
	if mb == nil {
		return nil
	}
	return mb.current.Load()
}

// Stash keeps the task's message, with its sender, for the next incarnation:
// it gets what was stashed in the order of arrival, before all else. Once for
// a message counts, until its handler returns; afterwards Stash panics. A
// lifecycle message is not kept: the next incarnation gets its own.
//
// If the worker stops before there is another incarnation, the asker gets
// ErrStopped: the handler has run. If it has panicked after Stash, that panic is
// what the asker gets.
func (t *Task) Stash() {
	o := t.messageTask()
	if o.message() == nil {
		panic("actors: Stash called in task " + t.name() + ", which has no message")
	}
	t.checkCurrent("Stash")
	switch {
	case o.lifetime != offered, o.has(isStashed), o.lt.Lost():
		return // the account knows nothing of a message like that, or no more of this one
	case o.lt.Ended():
		panic("actors: Stash called in task " + t.name() + " when the handler of its message had returned")
	}
	o.handBack(t, o.handlingSoFar()) // a turn that was taken over has nothing to hand back
}

// ReenterAfter calls cont in a turn of this worker when f is complete, with
// this task's message and sender. It is bound to the incarnation: after a
// restart or stop cont is not called, and an asker still without an answer
// hears why.
func (t *Task) ReenterAfter(f *actor.Future, cont func(res any, err error)) {
	t.checkCurrent("ReenterAfter")
	piped := newCarried[any](t.mb.sys, nil, nil)
	piped.lifetime = carrier
	piped.markEarly(isSent)
	piped.to.openSlot(&piped.Task)
	f.PipeTo(&piped.to.pid)
	t.Go(func(t *Task) error {
		v, err := Await(t, piped.fut)
		if ended := t.endCause(); ended != nil {
			piped.Task.cancel(ended)
			return ended
		}
		if e, ok := v.(error); ok && (e == actor.ErrTimeout || e == actor.ErrDeadLetter) {
			v, err = nil, e // the engine pipes an error as a message
		}
		cont(v, err)
		return nil
	})
}

// idleTimer is the receive timeout. The engine's races with its own timer.
type idleTimer struct {
	on    atomic.Bool
	mb    *mailbox
	after time.Duration
	timer *time.Timer
	round atomic.Uint64 // grows when the timer is set anew, so that a late one is known
}

func (i *idleTimer) set(d time.Duration) {
	if d < time.Millisecond {
		d = 0
	}
	i.stop()
	if i.after = d; d > 0 {
		i.on.Store(true)
		i.start()
	}
}

func (mb *mailbox) receiveTimeout() time.Duration {
	if s := mb.rare.Load(); s != nil {
		return s.idle.after
	}
	return 0
}

func (i *idleTimer) start() {
	round, inc := i.round.Add(1), i.mb.inc.Load().n
	i.timer = time.AfterFunc(i.after, func() {
		if i.round.Load() == round {
			u := &idleMessage{inc: inc}
			u.init(i.mb, &actor.ReceiveTimeout{}, nil)
			u.lt.Body = u
			i.mb.offer(&u.Task)
		}
	})
}

// idleMessage is a ReceiveTimeout for the incarnation that has asked for it.
type idleMessage struct {
	message
	inc uint64
}

// Run is the loop's.
func (u *idleMessage) Run(lt *loop.Task) {
	if u.mb.inc.Load().n != u.inc { // it was queued when that ended
		u.how = life.HowCut
		u.mb.counts.taken.Add(1)
		return
	}
	u.message.Run(lt)
}

func (i *idleTimer) stop() {
	i.round.Add(1)
	if i.timer != nil {
		i.timer.Stop()
		i.timer = nil
	}
	i.on.Store(false)
}

// touch is called for each message.
func (i *idleTimer) touch(msg any) {
	if _, not := msg.(actor.NotInfluenceReceiveTimeout); not || i.after == 0 {
		return
	}
	if i.timer != nil {
		i.timer.Stop()
	}
	if _, is := msg.(*actor.ReceiveTimeout); !is {
		i.start()
	} else {
		i.stop() // once, until it is set again
		i.after = 0
	}
}

var _ loop.Body = (*message)(nil)
