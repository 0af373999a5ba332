package actors

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// incarnation is one life of a worker, from one start to the next.
type incarnation struct {
	n     uint64
	actor actor.Actor // the engine's, which is not to be asked for it while an abandoned turn may run
	cause atomicError // why it has been ended

	mu   sync.Mutex
	ctxs map[*Task]struct{} // tasks that have made a context
	open map[*Task]struct{} // requests to be answered by somebody who has their sender's PID

	offloads *Limiter // of its own functions; nil: it has offloaded none
}

// leaveOpen keeps a request whose handler has returned: whoever has its
// sender's PID may answer it for as long as the incarnation lives.
func (inc *incarnation) leaveOpen(t *Task) {
	t.inClock()
	inc.mu.Lock()
	if inc.open == nil {
		inc.open = map[*Task]struct{}{}
	}
	inc.open[t] = struct{}{}
	inc.mu.Unlock()
	t.future().base().call(&node{f: func() {
		inc.mu.Lock()
		delete(inc.open, t)
		inc.mu.Unlock()
		t.forgotten(t.ext.Load())
		t.unlink()
	}})
	if p := inc.cause.Load(); p != nil {
		t.future().fail(*p)
	}
}

func (inc *incarnation) remember(t *Task) {
	inc.mu.Lock()
	defer inc.mu.Unlock()
	if inc.ctxs == nil {
		inc.ctxs = map[*Task]struct{}{}
	}
	inc.ctxs[t] = struct{}{}
}

func (inc *incarnation) forget(t *Task) {
	inc.mu.Lock()
	defer inc.mu.Unlock()
	delete(inc.ctxs, t)
}

// finish ends the incarnation: from now on every await of its tasks returns
// cause, their contexts end, and so does what they have offloaded, also if the
// task has returned. Any goroutine.
func (inc *incarnation) finish(cause error) {
	if inc.cause.Load() == nil {
		if cause == ErrStopped { // by far the most often
			inc.cause.CompareAndSwap(nil, &ErrStopped)
		} else {
			first := cause
			inc.cause.CompareAndSwap(nil, &first)
		}
	}
	cause = *inc.cause.Load()
	// Also if another call has been first: it may not be through yet.
	inc.mu.Lock()
	var ends []context.CancelCauseFunc
	var asides []*Task
	for t := range inc.ctxs {
		if t.lifetime == aside {
			asides = append(asides, t)
		}
		ends = append(ends, t.ext.Load().seldom().end)
	}
	open := slices.Collect(maps.Keys(inc.open))
	inc.mu.Unlock()
	for _, end := range ends {
		end(cause)
	}
	for _, t := range asides {
		t.cancel(cause)
	}
	for _, t := range open {
		t.future().fail(cause)
	}
}
