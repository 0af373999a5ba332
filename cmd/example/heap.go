package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

const (
	// gcPercent is how much may be allocated between two collections, to what
	// lives after one. What an item allocates is gone when all have heard of it,
	// and little else is there: with Go's default the collector takes a fifth of
	// the time.
	gcPercent = 200
	// defaultHeap is the size in MB that the heap has at least when garbage is
	// collected: under a full load about once a second. That takes some 10 ms, in
	// which items wait; in a comparison of the two p99 was a third higher with 128 MB.
	defaultHeap = 192
)

// tuneCollector has garbage collected seldom, and memory at hand when a load
// comes. A process that has just started has a small heap, which would be
// collected ten times a second under load, and items wait meanwhile. And memory
// that is touched for the first time is a trap into the kernel for each 4 kB,
// which takes 15 microseconds in a virtual machine: a third of the time of a load
// that has the heap grow.
//
// The ballast that it returns counts as in use for as long as the caller keeps
// it, so that the collector lets the heap grow to a multiple of it. It is never
// touched: the system gives no memory for it.
//
// Whoever sets GOGC or GOMEMLIMIT knows better.
func tuneCollector(heap int) (ballast []byte) {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	debug.SetGCPercent(gcPercent)
	if os.Getenv("GOMEMLIMIT") != "" || heap == 0 {
		return nil
	}
	const mb = 1 << 20
	ballast = make([]byte, heap*100/(100+gcPercent)*mb)
	touch(make([]byte, heap*mb))
	runtime.GC() // the collector learns of the ballast, and what was touched is free
	return ballast
}

// touch has the system give the memory.
func touch(memory []byte) {
	inLargePages(memory)
	for i := 0; i < len(memory); i += 4 << 10 {
		memory[i] = 1
	}
}
