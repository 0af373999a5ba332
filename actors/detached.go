// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"errors"

	"github.com/protoloop/protoloop/internal/safeerr"
)

// detachFrom makes t work that from has created, and that does not end with from: it has
// the values of from's context, and a child of Start has from's message. It returns false
// if t has ended, because from was abandoned or its incarnation is over.
func (t *Task) detachFrom(from *Task) bool {
	top := from.coroutineTask()
	if ps := from.ext.Load(); ps != nil {
		if v := ps.inheritedByWork(); v != nil {
			t.scope().inheritValues(v)
		}
	}
	if t.kin == nil {
		t.kin = new(kinship)
	}
	if t.lifetime == child || t.lifetime == grouping || t.lifetime == aside { // of from's worker
		t.inc = from.mb.inc.Load() // from may be a Cleanup, which has one of its own
		if t.lifetime != aside {
			if o := top.messageTask(); o.message() != nil { // not the group that from is in
				t.kin.setOrigin(o)
			}
		}
		if p := t.inc.cause.Load(); p != nil {
			t.cancel(p.why)
			return false
		}
	}
	if top.lt.Lost() {
		t.cancel(from.abandonedError())
		return false
	}
	return true
}

// errStopEvent is what a cancel by UntilStop wraps. It is not ErrStopping, which says that
// the work never ran.
var errStopEvent = errors.New("the worker was told to stop")

var errUntilStop = because(ErrCanceled, errStopEvent)

// errToldToStop is an ErrStopping for work that has begun, and is to end because of the
// stop event.
var errToldToStop error = toldToStopError{}

type toldToStopError struct{}

func (toldToStopError) Error() string        { return "actors: the worker was told to stop" }
func (toldToStopError) Unwrap() error        { return ErrStopping }
func (toldToStopError) Is(target error) bool { return target == errStopEvent }

// endedByStopEvent reports whether err says no more than that a stop event has ended what
// was to last until then.
func endedByStopEvent(err error) bool {
	return err != nil && safeerr.Is(err, errStopEvent) && saysOnly(err, ErrCanceled, ErrStopping, context.Canceled)
}

// stopCall is work that a stop event ends.
type stopCall struct {
	node
	event *core
}

// endAtStopOf lets t end at the stop event of the worker of from, who has created it; of
// its own worker, if it comes from outside. It returns false if it has ended already.
func (t *Task) endAtStopOf(from *Task) bool {
	mb := t.mailboxOf(from)
	if mb == nil {
		return true // an actor without a stop event
	}
	event := mb.stopEvent()
	if event.done.Load() {
		t.cancel(errUntilStop)
		return false
	}
	sc := &stopCall{event: event}
	sc.to = promptCallback(func() { t.cancel(errUntilStop) })
	r := t.rareScope()
	r.mu.Lock()
	r.stop = sc
	r.mu.Unlock()
	event.addCallback(&sc.node)
	if t.has(hasLeftTree) { // a carrier that has been ended by who has created it
		event.removeWaiter(&sc.node.Waiter)
	}
	return true
}

// mailboxOf is that of from, or else of t; nil: there is none.
func (t *Task) mailboxOf(from *Task) *mailbox {
	switch {
	case from != nil && from.attached != nil:
		return from.mb
	case t.attached != nil:
		return t.mb
	}
	return nil
}

// endsAtStop reports whether a stop event ends the task by itself.
func (s *scope) endsAtStop() bool { return s.stopCall() != nil }

// stopEventCame reports whether the stop event has come that ends the task.
func (s *scope) stopEventCame() bool {
	sc := s.stopCall()
	return sc != nil && sc.event.done.Load()
}

// stopCall is how a stop event ends the task, or nil.
func (s *scope) stopCall() *stopCall {
	r := s.seldom()
	if r == &noRare {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stop
}
