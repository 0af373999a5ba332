// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"fmt"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/condition"
	"github.com/protoloop/protoloop/internal/life"
)

// operationLock keeps operations on the same children apart. On the loop.
type operationLock struct {
	held         bool
	restartRound uint32 // grows with each restart of theirs
	released     condition.Condition
}

// lockHolder is a lock as one operation holds it.
type lockHolder struct {
	lock  *operationLock
	asker *child // that has asked for the operation; nil: none has
	held  bool
}

// acquire waits for the lock. It fails if that would be to wait for itself.
func (h *lockHolder) acquire(t *actors.Task) error {
	for h.lock.held {
		if k := h.asker; k != nil && k.life.State() == life.ChildStarting && k.core.lockFor(k) == h.lock {
			return fmt.Errorf("%w: %q", ErrInSetup, k.name)
		}
		if err := h.lock.released.Wait(t); err != nil {
			return err
		}
	}
	h.takeFree()
	return nil
}

// takeFree takes a lock that is free.
func (h *lockHolder) takeFree() { h.lock.held, h.held = true, true }

// release does nothing the second time.
func (h *lockHolder) release() {
	if h.held {
		h.lock.held, h.held = false, false
		h.lock.released.Broadcast()
	}
}
