// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// incarnation is one life of a worker, from one start to the next.
type incarnation struct {
	n     uint64
	actor actor.Actor  // the engine's, which is not to be asked for it while an abandoned turn may run
	cause atomicEnd    // why it has been ended
	lost  atomic.Bool  // a task of it has been abandoned
	own   *loopContext // what its plain actor sees; nil: middleware's

	made atomic.Pointer[outstanding] // see needOutstanding
}

// outstanding is what an incarnation ends that is no work in flight. Many incarnations have none of it.
type outstanding struct {
	mu   sync.Mutex
	ctxs map[*Task]struct{} // tasks whose context somebody may wait for
	open map[*Task]struct{} // requests to be answered by somebody who has their sender's PID

	offloads *Limiter // of its own functions; nil: it has offloaded none
}

// needOutstanding is for writing. Whoever has added something looks at the cause afterwards: who ends
// the incarnation sets that before it looks here.
func (inc *incarnation) needOutstanding() *outstanding {
	if o := inc.made.Load(); o != nil {
		return o
	}
	inc.made.CompareAndSwap(nil, new(outstanding))
	return inc.made.Load()
}

// newIncarnation makes the one of that number, of the engine's actor as it is.
func (mb *mailbox) newIncarnation(n uint64) *incarnation {
	inc := &incarnation{n: n, actor: mb.raw().Actor()}
	if !mb.isWorker() && !mb.decorated() {
		inc.own = &loopContext{Context: mb.raw(), mb: mb, inc: inc}
	}
	return inc
}

// decorated reports whether there is a context decorator of the user's.
func (mb *mailbox) decorated() bool { return mb.view.actorContext != actor.Context(&mb.own) }

// contextSeen is the context that a plain actor is called with.
func (inc *incarnation) contextSeen(mb *mailbox) actor.Context {
	if inc.own != nil {
		return inc.own
	}
	return mb.view.actorContext
}

// endCause is why it has been ended.
func (inc *incarnation) endCause() error {
	if p := inc.cause.Load(); p != nil {
		return p.why
	}
	return ErrStopped
}

// leaveOpen keeps a request whose handler has returned: whoever has its
// sender's PID may answer it for as long as the incarnation lives.
func (inc *incarnation) leaveOpen(t *Task) {
	t.putInClock()
	o := inc.needOutstanding()
	o.mu.Lock()
	if o.open == nil {
		o.open = map[*Task]struct{}{}
	}
	o.open[t] = struct{}{}
	o.mu.Unlock()
	t.future().base().addCallback(&node{to: callback(func() {
		o.mu.Lock()
		delete(o.open, t)
		o.mu.Unlock()
		if s := t.ext.Load(); s != nil {
			t.releaseScope(s)
		}
		t.noteSpendable()
		t.leaveParent().leaveTree()
	})})
	if p := inc.cause.Load(); p != nil {
		t.tellCauseElsewhere(p.why)
	}
}

func (inc *incarnation) rememberContext(t *Task) {
	o := inc.needOutstanding()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ctxs == nil {
		o.ctxs = map[*Task]struct{}{}
	}
	o.ctxs[t] = struct{}{}
}

func (inc *incarnation) forgetContext(t *Task) {
	o := inc.needOutstanding()
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.ctxs, t)
}

// endIncarnation ends the incarnation: from now on every await of its tasks returns
// cause, their contexts end, and so does what they have offloaded, also if the
// task has returned. Any goroutine.
func (inc *incarnation) endIncarnation(cause error) {
	if inc.cause.Load() == nil {
		if cause == ErrStopped { // by far the most often
			inc.cause.CompareAndSwap(nil, &stoppedNote)
		} else {
			inc.cause.CompareAndSwap(nil, &endNote{why: cause})
		}
	}
	cause = inc.cause.Load().why
	// Also if another call has been first: it may not be through yet.
	o := inc.made.Load()
	if o == nil {
		return
	}
	o.mu.Lock()
	if len(o.ctxs)+len(o.open) == 0 {
		o.mu.Unlock()
		return
	}
	var asides []*Task
	withContext := slices.Collect(maps.Keys(o.ctxs))
	for _, t := range withContext {
		if t.lifetime == aside {
			asides = append(asides, t)
		}
	}
	open := slices.Collect(maps.Keys(o.open))
	o.mu.Unlock()
	var later callbacks
	// First: a function that fails because its context has ended is not to decide
	// its future by that, which nobody may look at.
	for _, t := range asides {
		t.endTree(cause, true, &later)
	}
	for _, t := range withContext {
		t.ext.Load().endContext(cause)
	}
	for _, t := range open {
		t.tellCause(cause, &later)
	}
	later.callElsewhere()
}
