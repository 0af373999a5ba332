// SPDX-License-Identifier: Apache-2.0

//go:build race

package loop

import "sync/atomic"

// injectsYields: in builds with the race detector a test can hold up whoever makes a step
// between two that others may see. Go's own scheduler and sync.Pool do the like in such builds.
const injectsYields = true

var yieldHook atomic.Pointer[func(yieldPoint)]

// yieldAt gives up the processor if a test wants it here.
func yieldAt(p yieldPoint) {
	if f := yieldHook.Load(); f != nil {
		(*f)(p)
	}
}

func setYieldHook(f func(yieldPoint)) { yieldHook.Store(&f) }

func clearYieldHook() { yieldHook.Store(nil) }
