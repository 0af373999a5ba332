// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
)

// startCall is a Start or a GetOrStart of a Dynamic. Unlike other operations it begins in the
// turn in which messages are handled, which must not wait. So it spawns the child and leaves
// the rest to the event that tells of the end of its setup. What does not go that way, a setup
// that fails or takes too long, or a child that is there but not up, goes on in a task of its own, as
// all other operations do. A task for each start was half of its time (bench: start/dynamic).
type startCall struct {
	core       *core
	what, name string
	spec       *Child
	get        bool       // a child that is there will do
	from       *actor.PID // the worker that asks, or nil
	outcome    chan outcome[*actor.PID]
	begin      func(t *actors.Task) // beginStart; made once
	startWait
}

// startWait waits for the end of a child's start, without a task: see lookAtStarter.
type startWait struct {
	call   *startCall    // whose it is; nil: a restart's, see restartAlone
	holder lockHolder    // the lock of the child that starts
	limit  time.Duration // how long its setup may take
}

// runStartCall is runOperation for a start.
func (n *node) runStartCall(ctx context.Context, what, name string, spec *Child, get bool) (*actor.PID, error) {
	notInTask(ctx, what, offload)
	s, _ := n.startCalls.Get().(*startCall)
	if s == nil {
		s = &startCall{outcome: make(chan outcome[*actor.PID], 1)}
		s.begin = s.beginStart
	}
	c := n.core.Load()
	s.core, s.what, s.name, s.spec, s.get, s.from = c, what, name, spec, get, askingWorker(ctx)
	c.queue.postFunc(s.begin)
	o, came := awaitOutcome(ctx, c, s.outcome)
	if came { // else it is still to come
		*s = startCall{outcome: s.outcome, begin: s.begin}
		n.startCalls.Put(s)
	}
	return o.v, o.err
}

// answerCaller is the end of the call, for whose caller it is the next one then.
func (s *startCall) answerCaller(pid *actor.PID, err error) {
	s.outcome <- outcome[*actor.PID]{pid, err}
}

// beginStart is called where messages are handled.
func (s *startCall) beginStart(t *actors.Task) {
	c := s.core
	if !s.get {
		s.startNewChild(t)
		return
	}
	switch k := c.children[s.name]; {
	case k == nil && !c.isStopping():
		s.startNewChild(t)
	case c.isStopping():
		s.answerCaller(nil, errStopping)
	case k.life.State() == life.ChildUp:
		s.answerCaller(k.pid, nil)
	default:
		s.goOnInTask(t, func(t *actors.Task) (*actor.PID, error) {
			return c.getOrStartChild(t, c.callerChild(s.from), s.name, s.spec)
		})
	}
}

// startNewChild adds the child, whose lock is free.
func (s *startCall) startNewChild(t *actors.Task) {
	c, name := s.core, s.name
	if err := c.refuseDynamicChild(name); err != nil {
		s.answerCaller(nil, err)
		return
	}
	if name == "" {
		name = c.freeName()
	}
	k := c.registerChild(name, s.spec)
	k.unnamed, k.sameTime = s.name == "", true // its start is now
	s.holder = lockHolder{lock: &k.operations}
	s.holder.takeFree()
	s.call = s
	s.beginWait(t, k)
}

// beginWait begins the start of a child whose lock it holds.
func (s *startWait) beginWait(t *actors.Task, k *child) {
	c := k.core
	limit, err := c.beginChildStart(t, k)
	switch {
	case err != nil:
		s.startFailed(t, k, k, err)
	case k.startResult == startPending:
		k.starter, s.limit = s, limit
		if k.kind != KindSupervisor { // whose children have their own
			c.armStartTimer(k.startedAt + limit)
		}
	default:
		s.endStart(k, nil)
	}
}

// lookAtStarter lets what waits for the child's start go on, if that is over.
func (k *child) lookAtStarter(t *actors.Task) {
	s, c := k.starter, k.core
	if s == nil {
		return
	}
	switch {
	case c.isStopping(): // it is in the list: the stop sees to it
		s.endStart(k, errStopping)
	case k.startResult == startedUp:
		s.endStart(k, nil)
	case k.startResult == startedNot, k.kind != KindSupervisor && c.sinceStart()-k.startedAt >= s.limit:
		k.starter = nil
		s.startFailed(t, k, nil, nil)
	}
}

// startFailed goes on, in a task, after a start that has failed with err, or else is over: then the task asks how.
func (s *startWait) startFailed(t *actors.Task, k, bad *child, err error) {
	c := k.core
	failure := func(t *actors.Task) (*child, exitReason) {
		if err == nil {
			bad, err = c.awaitChildStart(t, k, c.sinceStart(), s.limit)
		}
		return bad, exitReason{failed: true, err: err}
	}
	if s.call != nil {
		s.call.goOnInTask(t, func(t *actors.Task) (*actor.PID, error) {
			bad, e := failure(t)
			return c.finishAdd(t, &s.holder, k, bad, e)
		})
		return
	}
	c.startTask(t, k.restartTaskName(), func(t *actors.Task) error {
		defer s.holder.release()
		bad, e := failure(t)
		if bad == nil || c.isInterrupted(t) {
			return nil
		}
		return c.handleExit(t, &s.holder, bad, e)
	})
}

// endStart is the end of a start that has succeeded, or that a stop has ended.
func (s *startWait) endStart(k *child, err error) {
	k.starter = nil
	s.holder.release()
	switch {
	case s.call == nil:
	case err != nil:
		s.call.answerCaller(nil, err)
	default:
		s.call.answerCaller(k.pid, nil)
	}
}

// goOnInTask is the rest of a call that has to wait.
func (s *startCall) goOnInTask(t *actors.Task, f func(t *actors.Task) (*actor.PID, error)) {
	s.core.startTask(t, s.core.taskName(s.what, s.name), func(t *actors.Task) error {
		o := outcome[*actor.PID]{err: errStopping} // of a panic
		defer func() {
			s.holder.release()
			s.answerCaller(o.v, o.err)
		}()
		o.v, o.err = f(t)
		return nil
	})
}
