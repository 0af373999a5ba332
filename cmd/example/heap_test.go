// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

// TestCollector: garbage is collected when the heap has grown to what is due, and
// the runtime, whose goal is twice that, does not come to it.
func TestCollector(t *testing.T) {
	const mb = 1 << 20
	count := func() (all, own uint32) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.NumGC, m.NumForcedGC
	}
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	synctest.Test(t, func(t *testing.T) {
		c := &collector{stop: make(chan struct{}), stopped: make(chan struct{})}
		c.collect()
		c.least = (100+gcPercent)/100*heapBytes("/gc/heap/live:bytes") + 64*mb
		c.aim()
		if goal, want := heapBytes("/gc/heap/goal:bytes"), 2*c.least; goal < want*9/10 || goal > want*11/10 {
			t.Errorf("the runtime's goal is %d MB, want %d", goal/mb, want/mb)
		}
		go c.run()
		all, own := count()
		garbage := func(size uint64) {
			for ; size > 0; size -= mb {
				runtime.KeepAlive(make([]byte, mb))
			}
			time.Sleep(lookEvery + 1)
			synctest.Wait()
		}
		garbage(32 * mb)
		if _, n := count(); n != own {
			t.Errorf("%d collections at half of what is due", n-own)
		}
		garbage(c.least / mb * mb)
		if n, mine := count(); mine != own+1 || n != all+1 {
			t.Errorf("%d collections, %d of them our own, want one", n-all, mine-own)
		}
		if due := heapBytes("/gc/heap/live:bytes") * (100 + gcPercent) / 100; due > c.least {
			t.Errorf("%d MB are due, want the least, %d", due/mb, c.least/mb)
		}
		close(c.stop)
		<-c.stopped
	})
}
