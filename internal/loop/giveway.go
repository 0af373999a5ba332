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
	// giveWayEven is how long it takes where the runner then works for as long.
	giveWayEven = 4 * time.Millisecond
)

// giveWay lets others go first unless nothing waits for the runner but the message
// that it is about to start, or that takes long.
func (l *Loop) giveWay(r *runner) {
	p := r.pool
	g := &p.givingWay
	r.starts = 0
	if l.lane.head == l.lane.tail && p.queue.empty() && r.batch.empty() || p.isCrowded() {
		return
	}
	began := p.Now()
	if int64(began) < g.next.Load() {
		return
	}
	r.clock.forgetReading()
	p.linger.yield()
	now := p.Now()
	took := now - began
	short := min(took, time.Duration(g.took.Swap(int64(took))), time.Second)
	g.next.Store(int64(now + short*short/giveWayEven))
}
