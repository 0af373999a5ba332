// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/observe"
)

// Observer has functions that are told of work while it goes on: for traces. Any of them may be nil. They are called
// where the work is, by senders and in turns, so they must be quick and must not block. A panic in Offered is the
// caller's, and in Began the task's.
//
// Work has the context of whoever has created it: that of [actors.WithContext] or [actors.Task.SetContext], which work
// inherits. So a trace goes over asks, sends, Submit, Start, Offload and groups without anybody's doing; to another
// machine it goes by Inject and Extract.
type Observer struct {
	// Sample says whether work may begin a trace whose creator has no context. nil: it may not. It is called
	// for each such message and submission.
	Sample func(w Work) bool
	// Offered is called in the sender when work is created that has a context, or that Sample has chosen; then parent
	// is context.Background(). If it returns nil nobody is told anything more of this work. Otherwise the work has the values of
	// that context, as if by WithContext: it goes to Began, to what the work creates, and with a request to another machine to Inject.
	Offered func(parent context.Context, w Work) context.Context
	// Began is called in the first turn of the work, or when an offloaded function begins. The context that it returns
	// is from then on the task's, as if by Task.SetContext; nil, or that of Offered, changes nothing and costs least. It is not called for a request to a plain or
	// remote actor, nor for what ends before it has begun.
	Began func(ctx context.Context, w Work) context.Context
	// Ended is called once when the work has ended, with the context of Began, or of Offered where nothing began or that changed nothing. err is
	// what the work has failed of; nil: it has not.
	Ended func(ctx context.Context, w Work, err error)
	// Inject adds to the header of a message what Extract is to find: of a request to another machine, and of
	// what a task sends by Send or Request.
	Inject func(ctx context.Context, set func(key, value string))
	// Extract is the context that a message has brought in its header; nil: none.
	Extract func(get func(key string) string) context.Context
}

// Work is a message or a function, as an [Observer] is told of it. It must not be used after the call.
type Work struct{ w observe.Work }

// Is says what kind of work it is: "ask", a request to an actor of this process; "remote", one to an actor elsewhere;
// "send", a message that nobody waits for; "submit", "start" or "offload", a function. A group's member is a "start", too.
func (w Work) Is() string { return w.w.Is() }

// Name is the task's, as in logs: few different ones, unless [actors.Name] makes them up.
func (w Work) Name() string { return w.w.Name() }

// MessageType is the type of the message; empty of a function.
func (w Work) MessageType() string { return w.w.MessageType() }

// Worker is whose work it is, or the actor that is asked.
func (w Work) Worker() *actor.PID { return w.w.Worker() }

// Kind is that of the worker; empty if it is none of this process.
func (w Work) Kind() string { return w.w.Kind() }

// Incarnation is that of the worker in which it runs; 0 before that.
func (w Work) Incarnation() uint64 { return w.w.Incarnation() }

// Offered is when it was created, in Began and Ended.
func (w Work) Offered() time.Time { return w.w.Offered() }

func init() {
	observe.SampledBy = func(f any) func(observe.Work) bool {
		sample := f.(func(Work) bool)
		return func(w observe.Work) bool { return sample(Work{w}) }
	}
}

// Observe has o told of work from now on, in place of the one before; nil ends it. What is under way then need not be told to have
// ended. Where nobody observes, work costs a load and a test more than it would without.
func Observe(sys *actor.ActorSystem, o *Observer) {
	slot := observe.Of(systemOf(sys, "Observe"))
	if o == nil {
		slot.Observe(nil)
		return
	}
	in := &observe.Observer{
		Offered: func(parent context.Context, _ observe.Work) context.Context { return parent },
		Began:   func(context.Context, observe.Work) context.Context { return nil },
		Ended:   func(context.Context, observe.Work, error) {},
		Inject:  func(context.Context, func(key, value string)) {},
		Extract: func(func(key string) string) context.Context { return nil },
	}
	if f := o.Sample; f != nil {
		in.Sample = observe.SampledBy(f)
	}
	if f := o.Offered; f != nil {
		in.Offered = func(parent context.Context, w observe.Work) context.Context { return f(parent, Work{w}) }
	}
	if f := o.Began; f != nil {
		in.Began = func(ctx context.Context, w observe.Work) context.Context { return f(ctx, Work{w}) }
	}
	if f := o.Ended; f != nil {
		in.Ended = func(ctx context.Context, w observe.Work, err error) { f(ctx, Work{w}, err) }
	}
	if o.Inject != nil {
		in.Inject = o.Inject
	}
	if o.Extract != nil {
		in.Extract = o.Extract
	}
	slot.Observe(in)
}

// LabelTasks gives tasks that begin from now on the pprof labels protoloop.kind, the kind of their worker, and
// protoloop.task, their name, until it is called with false: CPU and goroutine profiles then tell them apart. Of each kind a thousand
// names at most have a label of their own; the others are "_OTHER". Each task costs more meanwhile.
func LabelTasks(sys *actor.ActorSystem, on bool) {
	observe.Of(systemOf(sys, "LabelTasks")).SetLabels(on)
}
