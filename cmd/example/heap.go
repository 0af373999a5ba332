// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// gcPercent is how much may be allocated between two collections, to what
	// lives after one. What an item allocates is gone when all have heard of it,
	// and little else is there: with Go's default there are many collections that
	// find little.
	gcPercent = 200
	// defaultHeap is the size in MB that the heap has at least when garbage is
	// collected.
	defaultHeap = 256
	// lookEvery is how often the heap is looked at: before it has grown by much.
	lookEvery = 100 * time.Millisecond
)

// tuneCollector has garbage collected seldom, and memory at hand when a load
// comes. A process that has just started has a small heap, which would be
// collected again and again under load, and items wait meanwhile. And memory
// that is touched for the first time is a trap into the kernel for each page of
// 4 KiB, which is slow in a virtual machine.
//
// Whoever sets GOGC or GOMEMLIMIT knows better.
func tuneCollector(heap int) (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(gcPercent)
	if os.Getenv("GOMEMLIMIT") != "" || heap == 0 {
		return func() { debug.SetGCPercent(before) }
	}
	const mb = 1 << 20
	c := &collector{least: uint64(heap) * mb * 7 / 8, stop: make(chan struct{}), stopped: make(chan struct{})}
	c.aim()
	touch(make([]byte, heap*mb))
	c.collect() // what was touched is free
	go c.run()
	return func() {
		close(c.stop)
		<-c.stopped
		debug.SetGCPercent(before)
	}
}

// collector begins collections before the runtime would. Near its own goal the
// runtime has whoever allocates help, by as much as it has not got done itself,
// and here those are all that an item passes. A collection that begins far from
// the goal is done by a quarter of the processors, and little help.
type collector struct {
	least         uint64 // bytes in the heap before there is a collection
	stop, stopped chan struct{}
}

func (c *collector) run() {
	defer close(c.stopped)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-c.stop:
			return
		}
		if heapBytes("/memory/classes/heap/objects:bytes") >= c.due() {
			c.collect()
		}
	}
}

// due is the size of the heap at which garbage is to be collected.
func (c *collector) due() uint64 {
	return max(c.least, heapBytes("/gc/heap/live:bytes")*(100+gcPercent)/100)
}

func (c *collector) collect() {
	runtime.GC()
	c.aim()
}

// aim sets the runtime's own goal to twice what is due, for when this comes too
// late.
func (c *collector) aim() {
	const smallest = 4 << 20 // what the runtime takes a smaller live heap for
	live := max(heapBytes("/gc/heap/live:bytes"), smallest)
	debug.SetGCPercent(int((2*c.due() - live) * 100 / live))
}

func heapBytes(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// touch has the system give the memory.
func touch(memory []byte) {
	inLargePages(memory)
	for i := 0; i < len(memory); i += 4 << 10 {
		memory[i] = 1
	}
}
