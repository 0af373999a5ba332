package supervisor

import (
	"fmt"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
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

// lock keeps operations on the same children apart. On the loop.
type lock struct {
	held  bool
	round uint32 // grows with each restart of theirs
	free  bell
}

// holding is a lock as one operation holds it.
type holding struct {
	l    *lock
	by   *child // that asked for the operation; nil: somebody else did
	held bool
}

func (h *holding) acquire(t *actors.Task) error {
	for h.l.held {
		if k := h.by; k != nil && k.life.State() == life.ChildStarting && k.core.lockOf(k) == h.l {
			return fmt.Errorf("%w: %q", ErrInSetup, k.name)
		}
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
