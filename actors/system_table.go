// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"
)

// withWorkers has the systems that have workers, so that a call finds its system
// without the process registry, which hashes its id twice. Actor systems have
// extensions for this, but reading one races with its registration. It holds
// nothing that its workers do not hold anyway.
var withWorkers systemTable

// systemTable finds systems by their actor system, whose address is hashed: a
// process may have thousands, as tests do. Reading takes no lock.
type systemTable struct {
	first atomic.Pointer[system]                   // one of them: most processes have one
	slots atomic.Pointer[[]atomic.Pointer[system]] // a power of two, at least a quarter free
	mu    sync.Mutex                               // guards all changes
	used  int                                      // slots that are not nil
	n     int                                      // systems
}

// removed is in the place of a system that has no workers any more: what is
// behind it is still to be found.
var removed = new(system)

// find returns the system of as if it is in the table.
func (t *systemTable) find(as *actor.ActorSystem) *system {
	slots := t.slots.Load()
	if slots == nil {
		return nil
	}
	for i := hashOf(as); ; i++ {
		switch s := (*slots)[i&uintptr(len(*slots)-1)].Load(); {
		case s == nil:
			return nil
		case s.as == as:
			return s
		}
	}
}

// any reports whether f holds for one of them.
func (t *systemTable) any(f func(*system) bool) bool {
	slots := t.slots.Load()
	if slots == nil {
		return false
	}
	for i := range *slots {
		if s := (*slots)[i].Load(); s != nil && f(s) {
			return true
		}
	}
	return false
}

func hashOf(as *actor.ActorSystem) uintptr {
	const golden = 0x9e3779b97f4a7c15
	return uintptr(uint64(uintptr(unsafe.Pointer(as))) * golden >> 32)
}

// put adds s, or takes it out. With mu held.
func (t *systemTable) put(s *system, in bool) {
	old := t.slots.Load()
	if old != nil {
		for i := hashOf(s.as); ; i++ {
			at := &(*old)[i&uintptr(len(*old)-1)]
			o := at.Load()
			if o == nil {
				break
			}
			if o == s {
				if !in {
					at.Store(removed)
					if t.n--; len(*old) > 16*(t.n+1) {
						t.rebuild(old)
					}
					if t.first.CompareAndSwap(s, nil) {
						t.any(func(o *system) bool { return o != removed && t.first.CompareAndSwap(nil, o) })
					}
				}
				return
			}
		}
	}
	if !in {
		return
	}
	if t.n++; old == nil || 4*(t.used+1) > 3*len(*old) {
		t.rebuild(old)
	}
	t.enter(s)
}

// enter puts s into a free slot.
func (t *systemTable) enter(s *system) {
	slots := *t.slots.Load()
	for i := hashOf(s.as); ; i++ {
		if at := &slots[i&uintptr(len(slots)-1)]; at.Load() == nil {
			at.Store(s)
			t.used++
			t.first.CompareAndSwap(nil, s)
			return
		}
	}
}

// rebuild makes a table with room for n, at most half full.
func (t *systemTable) rebuild(old *[]atomic.Pointer[system]) {
	slots := make([]atomic.Pointer[system], max(8, 1<<bits.Len(uint(2*t.n))))
	// Whoever does not find a system meanwhile asks the registry.
	t.slots.Store(&slots)
	t.used = 0
	if old == nil {
		return
	}
	for i := range *old {
		if s := (*old)[i].Load(); s != nil && s != removed {
			t.enter(s)
		}
	}
}
