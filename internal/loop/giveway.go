// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"sync/atomic"
	"time"
)

// givingWay tracks when runners that have been busy for long, and have more to do,
// let other goroutines go first. What their messages have asked others for is
// answered sooner then, and fewer of them are suspended at a time; the runtime
// would let a goroutine that never waits go on for 10 ms.
//
// Beside goroutines that compute it is long until a runner goes on. So all of the
// pool work for a while before one gives way again, which grows with the square of
// that time: a quarter of 1 ms, which is what those take who do a little and wait,
// but 4 times 16 ms. What counts is the shorter one of the last two times, because
// now and then another process has the processor.
type givingWay struct {
	next atomic.Int64 // not before this reading of Pool.Now
	took atomic.Int64 // the last time
}

const (
	// giveWayEvery is after how many messages, of one loop or of many, a runner
	// thinks of it.
	giveWayEvery = 64
	// giveWayFirst is after how many it looks at the clock when it has been idle, and then again.
	giveWayFirst = 2
	// giveWayAfter is after how long it does, if these take longer. Beside turns of 5 ms,
	// who is asked now and then answered after three times that, because the runtime does not
	// look who waits before 10 ms are over, and then again (bench: fairness/worker-1/long).
	giveWayAfter = time.Millisecond
	// giveWayEven is how long it takes where the runner then works for as long.
	giveWayEven = 4 * time.Millisecond
)

// giveWay lets others go first unless nothing waits for the runner but the message
// that it is about to start, or that takes long.
func (l *Loop) giveWay(r *runner) {
	p := r.pool
	g := &p.givingWay
	began := p.Now()
	if !r.noteStarts(began) {
		return
	}
	waits := l.lane.head != l.lane.tail || !p.queue.empty() || !r.batch.empty()
	if !waits && !r.takesLong() || p.isCrowded() || int64(began) < g.next.Load() {
		return
	}
	r.clock.forgetReading()
	p.linger.yield()
	now := p.Now()
	r.thought = now
	took := now - began
	short := min(took, time.Duration(g.took.Swap(int64(took))), time.Second)
	g.next.Store(int64(now + short*short/giveWayEven))
}

// noteStarts learns from how long the last starts have taken after how many the runner is to think
// of giving way again. It reports false if the runner has been idle meanwhile.
func (r *runner) noteStarts(now time.Duration) bool {
	known := r.thought > 0
	if known {
		often := uint64(giveWayEvery)
		if took := now - r.thought; took > 0 {
			often = min(often, uint64(r.starts)*uint64(giveWayAfter)/uint64(took))
		}
		r.often = uint32(max(1, often))
	}
	r.starts, r.thought = 0, now
	if known {
		r.think = r.often
	}
	return known
}

// forgetStarts is for when the runner is idle.
func (r *runner) forgetStarts() {
	r.starts, r.thought, r.think = 0, 0, giveWayFirst
}

// takesLong reports whether the last messages have taken so long that it is no loss to let others
// go first before each.
func (r *runner) takesLong() bool { return r.often == 1 }
