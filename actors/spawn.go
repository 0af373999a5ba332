// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/engine"
)

// Spawn starts a worker under s, a root context, an actor's context or a
// Task, and waits until its setup has succeeded. If setup fails, or ctx ends
// first, the worker is stopped and the error says why. Its name is free again
// then, unless it was ctx that ended: whoever wants to may try at once.
//
// The worker is an ordinary Proto.Actor actor at an ordinary PID: s is its
// parent and supervises it. Without a parent a worker that fails restarts
// itself, at most 10 times in 10 s, and then stops.
func Spawn(ctx context.Context, s actor.SpawnerContext, name string, setup func(w *Worker) error, o Options) (*actor.PID, error) {
	missing := func(what string) error {
		return &OptionError{fmt.Sprintf("actors: Spawn %q", name), what, nil, "is missing"}
	}
	switch {
	case name == "":
		return nil, missing("name")
	case setup == nil:
		return nil, missing("setup")
	case ctx == nil:
		return nil, missing("ctx")
	case s == nil: // a root context, an actor's context or a Task
		return nil, missing("the spawner")
	}
	ready := &Future[None]{}
	ready.known = true // its failure is told here, or nobody waits for it
	pid, err := s.SpawnNamed(spawnProps(setup, o, ready), name)
	if err != nil {
		return nil, fmt.Errorf("actors: spawn %q: %w", name, err)
	}
	if t, ok := s.(*Task); ok {
		err = t.awaitReady(ctx, ready)
	} else if err = ready.waitBlocking(ctx, &systemOf(s.ActorSystem()).signalNodes); err == nil {
		err = ready.failedWith()
	}
	if err != nil {
		if ready.failedWith() == nil { // it was the waiting that ended, be it as the setup did
			s.ActorSystem().Root.Stop(pid)
		}
		return nil, fmt.Errorf("actors: spawn %q: %w", name, err)
	}
	return pid, nil
}

// awaitReady waits for the end of a setup, or of ctx, as a task does.
func (t *Task) awaitReady(ctx context.Context, ready *Future[None]) error {
	if ctx.Done() == nil { // what is below is 6 of the 29 allocations of a start (bench: start/bare)
		_, err := Await(t, ready)
		return err
	}
	either := &Future[None]{}
	either.known = true
	ready.addCallback(&node{to: callback(func() { either.resolve(struct{}{}, ready.failedWith()) })})
	forget := context.AfterFunc(ctx, func() { either.fail(context.Cause(ctx)) })
	_, err := Await(t, either)
	forget()
	return err
}

// Props are the props of a worker, for whoever spawns: an actor, a
// supervisor, the engine's cluster. setup runs in every incarnation, so each
// begins with fresh state; an error of setup is a failure of the worker.
//
// opts may set anything but the mailbox and the producer; [EventLoop] among
// them sets the worker's Options.
func Props(setup func(w *Worker) error, opts ...actor.PropsOption) *actor.Props {
	all := append([]actor.PropsOption{EventLoop(Options{})}, opts...)
	return actor.PropsFromProducer(func() actor.Actor { return &workerActor{setup: setup} }, all...)
}

// workerProps has what the props of all workers have in common.
var workerProps = actor.PropsFromProducer(nil, actor.WithContextDecorator(decorate), actor.WithReceiverMiddleware(shield))

// spawnProps are those of one worker, to which nobody adds anything. They share the
// chains of workerProps: Props makes them anew, and a Spawn would allocate 43 times, not 25 (bench: start/worker).
// The engine needs them for the spawn, and again for a restart. Between the two, which is
// for ever for most, it has idleProps in their place: they are 0.3 kB of each idle worker.
func spawnProps(setup func(w *Worker) error, o Options, ready *Future[None]) *actor.Props {
	p := setupProps(setup)
	actor.WithMailbox(mailboxProducer(o, ready))(p)
	return p
}

// idleProps have no chains. So what the engine tells a worker that stops comes without an
// envelope, and without the context that it would decorate: see workerActor.Receive. These were
// six allocations of a stop (bench: stop/workers).
var idleProps = actor.PropsFromProducer(nil)

// setupProps are workerProps with a producer.
func setupProps(setup func(w *Worker) error) *actor.Props {
	p := *workerProps
	actor.WithProducer(func() actor.Actor { return &workerActor{setup: setup} })(&p)
	return &p
}

// dropProps gives the engine idleProps for the stop of a worker, unless there are hooks of the
// user's, or children, whose strategy the props may have.
func (mb *mailbox) dropProps() {
	if mb.isWorker() && !mb.hooked && !mb.sends && len(mb.raw().Children()) == 0 {
		engine.SetProps(mb.raw(), idleProps)
	}
}

// restoreProps gives the engine the props that it needs for a restart, if it has not got
// them.
func (mb *mailbox) restoreProps() {
	if engine.PropsOf(mb.raw()) == idleProps {
		engine.SetProps(mb.raw(), setupProps(mb.inc.Load().actor.(*workerActor).setup))
	}
}

// EventLoop gives an actor the event-loop mailbox. Under an actor of yours it
// is a drop-in: its messages are handled as before, and in its Receive
// [TaskOf] is the task that can await, in any message but Stopping, Stopped
// and Restarting. Name it before other options, so that your middleware
// sees each lifecycle message once.
//
// The loop has runners of its own; a WithDispatcher beside it has no
// effect.
func EventLoop(o Options) actor.PropsOption { return eventLoop(o, nil) }

// eventLoop completes ready when the first setup has ended, if it is not nil.
func eventLoop(o Options, ready *Future[None]) actor.PropsOption {
	produce := mailboxProducer(o, ready)
	return func(p *actor.Props) {
		actor.WithMailbox(produce)(p)
		actor.WithContextDecorator(decorate)(p)
		actor.WithReceiverMiddleware(shield)(p)
	}
}

// defaultOptions are Options{} with the defaults in place.
var defaultOptions = Options{}.resolved()

func mailboxProducer(o Options, ready *Future[None]) actor.MailboxProducer {
	opts := &defaultOptions // most workers have these: they share them
	if o != (Options{}) {
		resolved := o.resolved()
		opts = &resolved
	}
	return func() actor.Mailbox {
		mb := newMailbox(opts)
		mb.life.ready = ready
		return mb
	}
}

// decorate puts our context innermost.
func decorate(next actor.ContextDecoratorFunc) actor.ContextDecoratorFunc {
	return func(ctx actor.Context) actor.Context {
		if _, twice := ctx.(*loopContext); twice {
			return next(ctx)
		}
		// A WithOnInit asks for it before the mailbox knows its actor, and when
		// another actor of that name may still be known.
		mb, err := systemOf(ctx.ActorSystem()).locate(ctx.Self())
		if err != nil { // the props were given another mailbox
			return next(ctx)
		}
		mb.wrap(ctx)
		return next(&mb.own)
	}
}

// shield keeps user code out of the engine's own handling of lifecycle
// messages: the mailbox delivers those itself, as tasks.
func shield(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(c actor.ReceiverContext, env *actor.MessageEnvelope) {
		var mb *mailbox
		if own, ok := c.(*loopContext); ok { // no decorator of the user's is around it
			mb = own.mb
		} else {
			mb = systemOf(c.ActorSystem()).ownMailbox(c.Self())
		}
		if mb != nil && mb.life.frame.Load() != frameNone && isLifecycle(env.Message) {
			mb.framed(c, env.Message)
			return
		}
		next(c, env)
	}
}

// isLifecycle reports whether m is what the engine tells an actor in its own
// handling of lifecycle messages. A task that was abandoned in the user's
// middleware may come here with another message meanwhile.
func isLifecycle(m any) bool {
	switch m.(type) {
	case *actor.Started, *actor.Stopping, *actor.Stopped, *actor.Restarting, *actor.Terminated:
		return true
	}
	return false
}
