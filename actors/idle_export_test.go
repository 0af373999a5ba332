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

// BenchmarkIdleLook is one look at a worker of half a million that are idle, of which there are
// idleLooks in an IdleAfter.
func BenchmarkIdleLook(b *testing.B) {
	const n = 500_000
	opts := Options{IdleAfter: time.Hour}
	all := make([]*mailbox, n)
	var s idlers
	for i := range all {
		all[i] = newMailbox(&opts)
		all[i].inc.Store(&incarnation{})
		s.watchIdle(all[i])
	}
	rounds := func(f func(h *idleShard, r *idleRound)) {
		for i := range s {
			if r := s[i].rounds[time.Hour]; r != nil { // an allocator that aligns leaves some empty
				f(&s[i], r)
			}
		}
	}
	looks := 0
	for b.Loop() {
		if looks++; looks >= n {
			looks = 0
		}
		if looks != 1 {
			continue
		}
		b.StopTimer()
		rounds(func(_ *idleShard, r *idleRound) {
			for mb, is := range r.workers {
				is.idle, is.since = true, r.looks // the loop has said that it is idle
				r.workers[mb] = is
			}
		})
		b.StartTimer()
		rounds(func(h *idleShard, _ *idleRound) { h.lookForIdle(time.Hour) })
	}
	for _, mb := range all {
		s.forgetIdle(mb)
	}
}
