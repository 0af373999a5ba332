// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"runtime"
	"sync"
	"weak"
)

// tracked knows of values whether anything still leads to them.
type tracked struct {
	mu  sync.Mutex
	all []weak.Pointer[[64]byte]
}

// value returns a new one.
func (h *tracked) value() *[64]byte {
	v := new([64]byte)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, weak.Make(v))
	return v
}

// count is how many are still there after a collection.
func (h *tracked) count() (n int) {
	runtime.GC()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, v := range h.all {
		if v.Value() != nil {
			n++
		}
	}
	return n
}
