// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"runtime"
	"testing"
	"time"
)

// TestIdleAfterCostsNoMemory: a worker that is watched takes no more than an entry in a
// map, and none when it has ended.
func TestIdleAfterCostsNoMemory(t *testing.T) {
	const n, most = 20_000, 64
	inUse := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	opts := Options{IdleAfter: time.Hour}
	all := make([]*mailbox, n)
	for i := range all {
		all[i] = &mailbox{opts: &opts}
		all[i].inc.Store(&incarnation{})
	}
	var s idlers
	before := inUse()
	for _, mb := range all {
		s.watchIdle(mb)
	}
	if each := (int64(inUse()) - int64(before)) / n; each > most {
		t.Errorf("each takes %d bytes, want at most %d", each, most)
	} else {
		t.Logf("each takes %d bytes", each)
	}
	for _, mb := range all {
		s.forgetIdle(mb)
	}
	for i := range s {
		if len(s[i].rounds) != 0 {
			t.Error("something is watched that has ended")
		}
	}
	runtime.KeepAlive(all)
}
