// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/loop"
)

// internalTask is a task of the mailbox's own: setup, hooks, lifecycle
// messages.
type internalTask struct {
	work
	what   string
	run    func(t *Task)
	done   func(t *Task, how loop.How)
	isPart bool // a Background, or Main
}

func (mb *mailbox) newInternal(what string, run func(t *Task)) *internalTask {
	u := &internalTask{what: what, run: run}
	u.attached, u.lifetime = &mb.view, internal
	u.lt.Body = u
	return u
}

func (u *internalTask) label() string     { return u.what }
func (u *internalTask) future() completer { return nil }

func (u *internalTask) Run(*loop.Task) {
	t := &u.Task
	if !t.beginTurn() {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			t.failWorkerAtEnd(newPanicError(p))
		}
	}()
	u.run(t)
}

func (u *internalTask) Done(lt *loop.Task, how loop.How) {
	if how == loop.Exited && u.workerFailure() == nil {
		u.failWorkerAtEnd(fmt.Errorf("actors: %s: %w", u.what, ErrGoexit))
	}
	if u.done != nil {
		u.done(&u.Task, how)
	}
	u.work.Done(lt, how)
}

// setupTask is the first task of an incarnation.
type setupTask struct {
	internalTask
	actor *workerActor // nil: the actor is a plain one
	made  *Worker
}

func (mb *mailbox) newSetup() *setupTask {
	u := &setupTask{internalTask: internalTask{what: "setup", run: runSetup, done: setupEnded}}
	u.actor, _ = mb.raw().Actor().(*workerActor)
	u.attached, u.lifetime = &mb.view, internal
	u.lt.Body = u
	u.msg = &actor.Started{}
	return u
}

func runSetup(t *Task) {
	u := t.lt.Body.(*setupTask)
	if u.actor == nil || t.mb.hooked { // the user's middleware sees Started as under the engine
		t.holdLoop()
		t.mb.receive(t)
	}
	if u.actor == nil || t.workerFailure() != nil {
		return
	}
	made, err := u.actor.runSetup(t)
	if u.made = made; err != nil {
		t.failWorkerAtEnd(fmt.Errorf("actors: setup: %w", err))
	}
}

func setupEnded(t *Task, how loop.How) {
	u := t.lt.Body.(*setupTask)
	if how != loop.Lost && t.how == life.HowNeverRan {
		return
	}
	if how == loop.Lost {
		t.mb.handleOccurrence(occurrence{event: life.SetupFailed})
		return
	}
	if u.made != nil {
		u.actor.keep(u.made)
	}
	t.mb.setupReturned(t)
}

// setupReturned is the end of setup, however it went.
func (mb *mailbox) setupReturned(t *Task) {
	l := &mb.life
	err := t.workerFailure()
	switch {
	case err == nil:
		if l.ready != nil {
			l.ready.resolve(struct{}{}, nil)
			l.ready = nil
		}
		mb.handleOccurrence(occurrence{event: life.SetupSucceeded})
	case l.ready != nil:
		mb.sparse().failed = err
		t.failWorkerAtEnd(nil)
		mb.handleOccurrence(occurrence{event: life.SpawnFailed})
	default:
		mb.handleOccurrence(occurrence{event: life.SetupFailed})
	}
}

// newLifecycle delivers one of the engine's lifecycle messages to the actor.
func (mb *mailbox) newLifecycle(m any) *internalTask {
	u := mb.newInternal(fmt.Sprintf("%T", m), mb.receive)
	u.msg = m
	switch m.(type) {
	case *actor.Stopping, *actor.Stopped, *actor.Restarting, *actor.Terminated:
		if _, ok := m.(*actor.Terminated); ok && mb.life.Phase() <= life.PhaseRunning {
			break
		}
		u.rareScope().why = because(ErrStopped, mb.life.reason) // it runs after the end of the incarnation
		u.run = func(t *Task) {
			if mb.gate.Load() == gateStopped { // the same, heard as a watcher and as the parent, has ended it
				return
			}
			t.cancel(fmt.Errorf("actors: there is no await in %T: the actor ends", m))
			mb.receiveLast(t)
		}
	}
	return u
}

// receiveLast delivers what the actor hears at its end: a failure concerns nobody
// any more.
func (mb *mailbox) receiveLast(t *Task) {
	mb.receive(t)
	if err := t.workerFailure(); err != nil {
		mb.logger().ErrorContext(t.logContext(), "actors: panic in a lifecycle message", "message", typeOf(t.msg), "panic", err, "stack", stackIn(err))
		mb.tellPanic("a lifecycle message", err)
		t.failWorkerAtEnd(nil)
	}
}

// stopHooks are the OnStop hooks of the incarnation.
func (mb *mailbox) stopHooks() []func(t *Task) error {
	if a, ok := mb.inc.Load().actor.(*workerActor); ok && a.rest != nil {
		return a.rest.onStop
	}
	return nil
}

// backgroundParts are its Backgrounds and its Main.
func (mb *mailbox) backgroundParts() []*part {
	if a, ok := mb.inc.Load().actor.(*workerActor); ok && a.rest != nil {
		return a.rest.background
	}
	return nil
}

// hearsLifecycle reports whether somebody hears lifecycle messages: a plain actor, or the
// user's middleware.
func (mb *mailbox) hearsLifecycle() bool { return !mb.isWorker() || mb.hooked }

// startHooks runs the OnStop hooks, in a task.
func (mb *mailbox) startHooks() {
	hooks := mb.stopHooks()
	u := mb.newInternal("stop hooks", func(t *Task) { mb.runEach(t, hooks) })
	s := u.scope()
	s.set().why = mb.life.reason
	s.deadline = mb.sys.in(mb.giveUpHooks(&u.Task))
	mb.sys.clock.addDeadline(s.deadline, &u.Task)
	mb.loop.Go(&u.lt)
}

// tellActor delivers the engine's message of the end, in a task.
func (mb *mailbox) tellActor() {
	mb.giveUpHooks(nil)
	var m any = &actor.Restarting{}
	if mb.life.Want() == life.WantStop {
		m = &actor.Stopping{}
	}
	mb.loop.Go(&mb.newLifecycle(m).lt)
}

// runEach runs the hooks, the last one first. A Goexit in one, as a test's
// FailNow is, unwinds to here: the others run in deferred code then.
func (mb *mailbox) runEach(t *Task, hooks []func(t *Task) error) {
	for i := len(hooks) - 1; i >= 0; i-- {
		mb.runHook(t, hooks[i], hooks[:i])
	}
}

// runHook runs f, and if that does not return also those before it.
func (mb *mailbox) runHook(t *Task, f func(t *Task) error, before []func(t *Task) error) {
	returned := false
	defer func() {
		p := recover()
		switch {
		case p != nil:
			err := newPanicError(p)
			mb.logger().ErrorContext(t.logContext(), "actors: panic in an OnStop hook", "panic", p, "stack", string(err.Stack))
			mb.tellPanic("an OnStop hook", err)
		case !returned:
			mb.logger().ErrorContext(t.logContext(), "actors: an OnStop hook failed", "error", ErrGoexit)
			mb.tellPanic("an OnStop hook", ErrGoexit)
			mb.runEach(t, before)
		}
	}()
	err := f(t)
	returned = true
	if err != nil {
		mb.logger().ErrorContext(t.logContext(), "actors: an OnStop hook failed", "error", err)
		mb.tellFailure(failure.Unobserved, t.name(), fmt.Errorf("actors: an OnStop hook failed: %w", err))
	}
}

// deliverStopped tells a plain actor that it has stopped, before its watchers
// hear of it, as the engine does. The engine waits meanwhile, so it is given
// StopGrace and a goroutine of its own.
func (mb *mailbox) deliverStopped(m *actor.Stopped) {
	if !mb.hearsLifecycle() || mb.life.Setup() == life.SetupNone {
		return // nobody to tell, or nobody who was told of the start
	}
	u := mb.newLifecycle(m)
	u.firstTime(isOffLoop)
	mb.life.frame.Store(frameNone) // what the actor does now is no frame of the engine's
	done := make(chan struct{})
	go func() {
		defer close(done)
		mb.enterTask(&u.Task)
		u.run(&u.Task)
		if err := u.workerFailure(); err != nil {
			mb.logger().ErrorContext(u.logContext(), "actors: panic in Stopped", "panic", err, "stack", stackIn(err))
			mb.tellPanic("Stopped", err)
		}
	}()
	timer := time.NewTimer(max(mb.opts.StopGrace, look))
	defer timer.Stop()
	select {
	case <-done:
		mb.current.CompareAndSwap(&u.Task, nil)
	case <-timer.C:
		mb.logger().Error("actors: the actor did not return from Stopped; it is abandoned")
		mb.tellFailure(failure.AbandonedTask, typeOf(m), errors.New("actors: the actor did not return from Stopped"))
	}
}

// typeOf is the %T of fmt, which makes a new string for it.
func typeOf(m any) string {
	if m == nil {
		return "<nil>"
	}
	return reflect.TypeOf(m).String()
}
