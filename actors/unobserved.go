// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"cmp"
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/safeerr"
	"github.com/protoloop/protoloop/internal/safelog"
	"github.com/protoloop/protoloop/messages"
)

// failureNote outlives a failed future, to tell whether anybody looked at it.
type failureNote struct {
	seen        atomic.Bool
	err         error
	what        string // the task, or what kind of future it is
	address, id string // of the PID of who had to do the work; "": nobody, or it is not known
	isOurs      bool   // that is of the own actor system

	// Not the mailbox, nor what is the users': what that leads to may lead to the future,
	// and then that is never collected, nor the worker and its actor system.
	log    *slog.Logger
	unseen *throttle
	hooks  weak.Pointer[failure.Hooks] // zero: of all actor systems
}

// toldToCreator is the note of all failures that are only the end of the budget of whoever
// has created the work: that one's asker is told. A combination shares it as any other.
var toldToCreator = func() *failureNote {
	n := &failureNote{}
	n.seen.Store(true)
	return n
}()

// unseenOfNobody is for futures that belong to no actor system.
var unseenOfNobody throttle

// watchFailure arranges that a failure nobody looks at is logged when its
// future is collected, as asyncio does with an exception that was never
// retrieved, and that the failure hooks are told. Ends that came from outside (cancel,
// restart, stop, the creator's budget) are no news.
// Only a failure pays for that: about a microsecond and seven allocations, and half a
// microsecond more if nobody looks at it (BenchmarkFailedFuture). d is what the future has
// waited for, or nil.
func watchFailure(c *core, d *deps, err error) *failureNote {
	if saysOnly(err, ErrCanceled, ErrStopped, ErrStopping, ErrRestarted, context.Canceled) {
		return nil
	}
	o := c.owner.Load()
	switch {
	case o == nil:
	case o.isStopOfNobody(err):
		return nil
	case o.isExpiryOfCreator(err):
		return toldToCreator
	}
	n := &failureNote{}
	switch {
	case o != nil && o.attached != nil:
		mb := o.mb
		n.of(mb.sys, cmp.Or(mb.opts.Logger, mb.sys.as.Logger()), mb.pid)
		n.err, n.what = err, o.nameHeld()
	case o != nil:
		n.err, n.what = heldApart(err), o.nameHeld()
		if s := o.system(); s != nil { // a request to a plain actor, or to another machine
			n.of(s, s.as.Logger(), o.ext.Load().replyTo().whom)
		}
	case d != nil:
		n.err, n.what = heldApart(err), d.name()
	default:
		n.err, n.what = heldApart(err), "promise"
	}
	if n.unseen == nil {
		n.unseen, n.log = &unseenOfNobody, safelog.Contain(slog.Default())
	}
	runtime.AddCleanup(c, (*failureNote).collected, n)
	return n
}

// of says which system the failure is in, and whose it is. pid may be nil.
func (n *failureNote) of(s *system, log *slog.Logger, pid *actor.PID) {
	n.log, n.unseen, n.hooks = safelog.Contain(log), s.unseen, s.failuresWeak
	n.address, n.id, n.isOurs = pid.GetAddress(), pid.GetId(), pid != nil && s.local(pid)
}

// isStopOfNobody reports whether t is a request to stop an actor that was gone, as is
// wanted.
func (t *Task) isStopOfNobody(err error) bool {
	if t.lifetime != carrier {
		return false
	}
	_, stop := t.msg.(*messages.Stop)
	return stop && safeerr.Is(err, ErrDeadLetter)
}

// isExpiryOfCreator reports whether t fails of err because the budget of whoever has
// created it is used up, and not one of its own.
func (t *Task) isExpiryOfCreator(err error) bool {
	p := t.parent()
	if p == nil || !saysOnly(err, ErrTimeout) {
		return false
	}
	if p.endCause() == err { // both are ours: see saysOnlyEnd
		return true
	}
	s, sys := t.ext.Load(), t.system() // the clock may be about to end the creator
	return s != nil && s.deadline > 0 && sys != nil && sys.pool.Now() >= s.deadline && p.expiresBy(s.deadline)
}

// worker is whose failure it is, as in logs.
func (n *failureNote) worker() string {
	if n.isOurs {
		return n.id
	}
	return n.address + "/" + n.id
}

func (n *failureNote) collected() {
	if n.seen.Load() {
		return
	}
	err := printable(n.err)
	if n.unseen.allow() {
		log := n.log
		if n.id != "" {
			log = log.With("worker", n.worker())
		}
		log.Warn("actors: the failure of a future was never looked at", "task", n.what, "error", err)
	}
	f := failure.Failure{Kind: failure.Unobserved, Task: n.what, Err: err, Stack: stackOf(err)}
	if n.id != "" {
		f.Worker = actor.NewPID(n.address, n.id)
	}
	if n.hooks == (weak.Pointer[failure.Hooks]{}) {
		tellAllFailure(f)
	} else if h := n.hooks.Value(); h != nil {
		h.Tell(f)
	}
}

// throttle lets ten events a second through.
type throttle struct {
	mu    sync.Mutex
	since time.Time
	n     int
}

func (th *throttle) allow() bool {
	th.mu.Lock()
	defer th.mu.Unlock()
	if now := time.Now(); now.Sub(th.since) > time.Second || now.Before(th.since) {
		th.since, th.n = now, 0
	}
	th.n++
	return th.n <= 10
}
