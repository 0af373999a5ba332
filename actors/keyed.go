// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/protoloop/protoloop/internal/engine"
	"github.com/protoloop/protoloop/internal/keyed"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/safeerr"
	"github.com/protoloop/protoloop/internal/supervision"
	"github.com/protoloop/protoloop/messages"
)

// A keyed worker is one of package grid: whoever asks it knows its key, and not its PID. See
// package keyed for what the two share.

func init() {
	keyed.NewKind = newKeyedKind
	keyed.AddAccount = func(w any, what string, make func() func() supervision.Ended) {
		worker := w.(*Worker)
		worker.open(what)
		if s := worker.mb.sparse(); s.accounts.Load() == nil && !worker.task.isAbandoned() {
			more := make()
			s.accounts.Store(&more)
		}
	}
}

// keyedKind is keyed.Kind.
type keyedKind struct {
	sys   *system
	opts  *Options
	owner supervision.Supervisor
}

func newKeyedKind(as *actor.ActorSystem, options any, owner supervision.Supervisor) keyed.Kind {
	o := options.(Options).resolved()
	return &keyedKind{systemOf(as), &o, owner}
}

// NewWorker makes the mailbox: it is all that there is of the worker until it begins.
func (k *keyedKind) NewWorker(name string) keyed.Worker {
	mb := newMailbox(k.opts)
	mb.keyed, mb.super = true, k.owner
	k.sys.introduce(mb, k.sys.as.NewLocalPID(name))
	return keyedWorker{supervised{mb}}
}

// keyedWorker is keyed.Worker.
type keyedWorker struct{ supervised }

var (
	_ keyed.Worker  = keyedWorker{}
	_ keyed.Failing = supervised{}
)

// Reserve counts first and then looks at the gate, as offer does: a worker that has closed it
// waits for whoever has found it open, see onTheWay.
func (w keyedWorker) Reserve() keyed.Place {
	mb := w.mb
	n := mb.accepted.Add(1)
	switch {
	case mb.gate.Load() != gateOpen:
		w.Leave()
		return keyed.Closed
	case mb.limit > 0 && n-mb.counts.taken.Load() > mb.limit:
		mb.counts.needSeldom().refused.Add(1)
		w.Leave()
		return keyed.Full
	}
	if n&sampleMask == 0 && mb.registered() {
		mb.noteQueued(n)
	}
	return keyed.Reserved
}

func (w keyedWorker) Leave() {
	mb := w.mb
	mb.accepted.Add(-1)
	if mb.gate.Load() != gateOpen { // it may wait for nothing else
		mb.loop.PostControl(pendingMayBeZero{})
	}
}

func (w keyedWorker) FullError() error {
	return &fullError{w.mb.pid.Address, w.mb.pid.Id, w.mb.opts.MailboxSize}
}

func (w keyedWorker) Post(msg any, env *actor.MessageEnvelope, copies bool) keyed.Work {
	if copies && env != nil {
		if asker := w.mb.sys.askerOf(env.Sender); asker != nil {
			asker.firstTime(isCopied) // of an answer that somebody sends to its PID
		}
	}
	t := w.mb.incoming(msg, env)
	if copies {
		t.firstTime(isCopied)
	}
	w.mb.loop.Post(&t.lt)
	return (*posted)(t)
}

// posted is a task as keyed.Work: no allocation of its own.
type posted Task

// Cancel is keyed.Work's. Once somebody has answered it does nothing, as that of a future.
func (p *posted) Cancel(why error) {
	t := (*Task)(p)
	if t.isAnsweredAlready() {
		return
	}
	switch b := bare(why); {
	case why == ErrTimeout:
		why = t.expiredError()
	case b != ErrCanceled && b != ErrTimeout:
		why = because(ErrCanceled, why)
	}
	t.cancel(why)
}

// postReserved is offer and offerBounded for a task that has a place.
func (mb *mailbox) postReserved(t *Task, bounded bool) {
	if !bounded {
		mb.loop.Post(&t.lt)
		return
	}
	own, when := t.has(isBudgeted), t.ext.Load().deadline
	if own && (!mb.registered() || int64(when) < mb.budgets.crowded.Load()) { // one that has not begun looks after none
		t.putInClock()
		own = false
	}
	mb.loop.Post(&t.lt)
	if own {
		mb.expectBy(when)
	}
}

// Begin has the engine spawn the worker, with props that only this spawn needs: see spawnProps.
func (w keyedWorker) Begin(setup any) {
	mb := w.mb
	spawn := func(name string, setup func(w *Worker) error) error {
		p := setupProps(setup)
		actor.WithMailbox(func() actor.Mailbox { return mb })(p)
		_, err := mb.sys.plain.SpawnNamed(p, name)
		return err
	}
	err := spawn(mb.pid.Id, setup.(func(w *Worker) error))
	for err != nil { // another actor has the name: what waits is told so by a setup that fails
		why := fmt.Errorf("the actor %s: %w", mb.pid.Id, err)
		err = spawn(mb.sys.as.ProcessRegistry.NextId(), func(*Worker) error { return why })
	}
}

// FailQueued is keyed.Failing's.
func (s supervised) FailQueued(why error) {
	s.mb.sparse().unstarted.Store(&why)
	s.Stop(NoGrace)
}

// FailedStart is keyed.Failing's. On the loop.
func (s supervised) FailedStart() bool { return s.mb.life.Setup() == life.SetupRan }

func (w keyedWorker) IsStopping() bool           { return w.mb.gate.Load() != gateOpen }
func (w keyedWorker) Counts() supervision.Counts { return supervision.Counts(w.mb.readCounts()) }

// unstartedError is why what has not started fails when the worker ends. It is not true of a
// message that a handler has had before.
func (mb *mailbox) unstartedError(t *Task) error {
	if s := mb.rare.Load(); s != nil {
		if why := s.unstarted.Load(); why != nil && !t.isAgain() {
			return *why
		}
	}
	return ErrStopping
}

// onTheWay reports whether somebody has a place in the mailbox of a keyed worker, and has
// not posted yet: what was let in is not to be turned away. On the loop, with nothing queued.
func (mb *mailbox) onTheWay() bool {
	if !mb.keyed {
		return false
	}
	n := mb.queued()
	if s := mb.rare.Load(); s != nil {
		n -= int64(len(s.stash))
	}
	return n > 0
}

// ownGrace is that of a stop which the worker has asked for itself. Of a keyed one the next
// begins when it has ended, so nothing is to be won by cutting it off.
func (mb *mailbox) ownGrace() Grace {
	if mb.keyed {
		return Forever
	}
	return mb.opts.StopGrace
}

// doorOf returns the door that messages to the PID go through, or nil.
func (s *system) doorOf(pid *actor.PID) keyed.Door {
	if s.local(pid) {
		return nil
	}
	p := engine.ProcessKept(pid)
	if p == nil {
		p, _ = s.as.ProcessRegistry.Get(pid)
	}
	door, _ := p.(keyed.Door)
	return door
}

// requestKeyed is requestFuture through a door: straight into the mailbox, as to any worker
// of this process. It returns nil if the worker is of another: see carried.
func requestKeyed[Resp any](from *Task, door keyed.Door, to *actor.PID, msg any, opts []CallOption) *Future[Resp] {
	admitted, copied, err := door.Admit(to, msg)
	if err != nil {
		f := new(Future[Resp])
		f.fail(err)
		return f
	}
	if admitted == nil {
		return nil
	}
	w := admitted.(keyedWorker)
	if copied != nil {
		msg = copied
	}
	posted := false
	defer func() {
		if !posted { // it has ended already, or code of the user's has panicked
			w.Leave()
		}
	}()
	u := newRequest[Resp](from, msg, needOf(from, opts))
	u.attachTo(w.mb)
	u.markEarly(isPosted)
	if copied != nil || w.mb.lease() != nil {
		u.markEarly(isCopied)
	}
	if u.bindCall(from, opts, 0) {
		posted = true
		w.mb.postReserved(&u.Task, len(opts) > 0)
	}
	return &u.fut
}

// lease is that of a worker of a cluster, else nil.
func (mb *mailbox) lease() keyed.Lease {
	if !mb.keyed {
		return nil
	}
	l, is := mb.super.(keyed.Leased)
	if !is {
		return nil
	}
	return l.Lease()
}

// isFenced reports whether the worker may do nothing any more, because the lease is over under which its node owns
// its key. Its stop may be a moment later: a process that stood still runs whatever comes first.
func (mb *mailbox) isFenced() bool {
	l := mb.lease()
	return l != nil && !l.Holds()
}

// fencedError is what the asker of a task is told that was cut off because the lease is over: nobody has stopped the worker, and
// no grace would have helped. The task itself has the error of any stop.
func (t *Task) fencedError(stopped error) error {
	return fmt.Errorf("%w: a %s was cut off: the lease of its node was over: %w", ErrFenced, t.name(), stopped)
}

// isLeased reports whether a task may go on only as long as the lease lasts: all but setup, which says why it fails, and what
// ends the worker.
func (t *Task) isLeased() bool {
	if t.lifetime == internal {
		switch b := t.lt.Body.(type) {
		case *delayed:
			return true
		case *internalTask:
			return b.isPart
		}
	}
	return t.lifetime == offered || t.lifetime == child
}

// beginTapped is enterTask at the begin of a task, which must not be if the lease is over.
func (mb *mailbox) beginTapped(t *Task) bool {
	if t.lifetime == offered && mb.isFenced() {
		t.neverBegin(ErrStopping)
		return false
	}
	mb.current.Store(t)
	return true
}

// copiedFor is the answer as the asker of t gets it. If that is copied it is what it would be
// had it crossed a process: nothing in it is shared with the worker. What a worker has done whose
// lease is over may not be saved, and another may have begun.
func (a answer) copiedFor(t *Task) answer {
	if t.once.Load()&isCopied == 0 { // inlined: the call is 2 % of a request to a plain actor (bench: burst/plain)
		return a
	}
	return a.copyFor(t)
}

func (a answer) copyFor(t *Task) answer {
	if t.attached != nil {
		if l := t.mb.lease(); l != nil {
			switch {
			case a.how&answerFailed == 0:
				if !l.Holds() {
					a = failedAnswer(fmt.Errorf("%w: the answer to a %s: the lease of its node was over", ErrFenced, t.name()), answerRan)
				}
			case safeerr.Is(a.err(), ErrStopped) && !l.Holds():
				a = failedAnswer(t.fencedError(a.err()), a.how)
			}
			if l.Shares() {
				return a
			}
		}
	}
	if a.how&answerFailed == 0 {
		v, why := a.is, error(nil)
		switch m := v.(type) {
		case None:
		case proto.Message:
			a.is, why = keyed.Copy(m)
		default:
			why = errors.New("it is no proto.Message: make it one, or set Share of the grid.Kind")
		}
		if why != nil {
			a = failedAnswer(fmt.Errorf("%w: the answer %T to a %s: %w", ErrUnsendable, v, t.name(), why), answerRan)
		}
	}
	if err := a.err(); err != nil {
		if _, is := err.(*messages.Failure); !is {
			a.is = failureOf(err, a.how&answerRan != 0)
		}
	}
	return a
}
