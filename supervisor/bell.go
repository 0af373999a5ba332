package supervisor

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// bell lets tasks of the supervisor's loop wait for a change. On the loop.
type bell struct{ p *actors.Promise[struct{}] }

// wait returns after the next raise. The caller looks again at what it waits
// for.
func (s *bell) wait(t *actors.Task) error {
	if s.p == nil {
		s.p = actors.NewPromise[struct{}]()
	}
	_, err := actors.Await(t, s.p.Future())
	return err
}

func (s *bell) raise() {
	if p := s.p; p != nil {
		s.p = nil
		p.Resolve(struct{}{})
	}
}

// inbox is what others want done on the supervisor's loop.
type inbox struct {
	mu    sync.Mutex
	queue []note
	spare []note // of those that have been read
	more  *actors.Promise[struct{}]
}

// note is one of them.
type note struct {
	do   func(t *actors.Task)           // this …
	news func(t *actors.Task, k *child) // … or this, for the child with that process …
	of   process
	gone *actor.PID // … or that of an actor the engine has forgotten
}

// mostSpare notes are kept for later; there can be one for each of all children
// at a time.
const mostSpare = 64

// post queues f. Any goroutine.
func (b *inbox) post(f func(t *actors.Task)) { b.put(note{do: f}) }

func (b *inbox) put(n note) {
	b.mu.Lock()
	b.queue = append(b.queue, n)
	more := b.more
	b.more = nil
	b.mu.Unlock()
	if more != nil {
		more.Resolve(struct{}{})
	}
}

// take returns all that is there, or what to wait for.
func (b *inbox) take() ([]note, *actors.Future[struct{}]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if q := b.queue; len(q) > 0 {
		b.queue, b.spare = b.spare, nil
		return q, nil
	}
	b.more = actors.NewPromise[struct{}]()
	return nil, b.more.Future()
}

// reuse keeps notes that have been read.
func (b *inbox) reuse(q []note) {
	if cap(q) > mostSpare {
		return
	}
	clear(q)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.queue == nil {
		b.queue = q[:0]
	} else {
		b.spare = q[:0]
	}
}

// lock keeps operations on the same children apart. On the loop.
type lock struct {
	held  bool
	round uint32 // grows with each restart of theirs
	free  bell
}

// holding is a lock as one operation holds it.
type holding struct {
	l    *lock
	held bool
}

func (h *holding) acquire(t *actors.Task) error {
	for h.l.held {
		if err := h.l.free.wait(t); err != nil {
			return err
		}
	}
	h.l.held, h.held = true, true
	return nil
}

// release does nothing the second time.
func (h *holding) release() {
	if h.held {
		h.l.held, h.held = false, false
		h.l.free.raise()
	}
}
