// SPDX-License-Identifier: Apache-2.0

package loop

import "sync/atomic"

// batch is loops that a runner is to run next: the one it was called for, or those it has taken
// from the lines of the queue beyond the one it runs. With 10,000 in the queue its lock, once for
// each, was a fifth of the time (bench: workers/burst-10000). They are still anybody's: the guard
// takes them from a runner that does not move on, and a runner that has nothing to do takes
// the one for which another has been called.
type batch struct {
	loops [batchSize]atomic.Pointer[Loop]
	begin int // where the runner looks first; the runner's own
}

const (
	batchSize = 31
	// batchShare is which part of the lines a runner takes at most.
	batchShare = 4
)

// fillFrom takes loops from the lines of the queue. With Pool.mu held, by r, whose batch it is.
func (b *batch) fillFrom(q *runqueue, r *runner) {
	n := min(batchSize, int(q.nWoken.Load()+q.nSpent.Load())/batchShare)
	b.begin = batchSize - n
	for i := b.begin; i < batchSize; i++ {
		b.loops[i].Store(q.takeFromLine(r))
	}
}

// putNext has l as the next loop of a runner that is idle or new. With Pool.mu held.
func (b *batch) putNext(l *Loop) {
	b.begin = batchSize - 1
	b.loops[b.begin].Store(l)
}

// steal takes the last loop, or nil. By anybody.
func (b *batch) steal() *Loop {
	yieldAt(atBatch)
	return b.loops[batchSize-1].Swap(nil)
}

// take returns the next loop, or nil. By the runner.
func (b *batch) take() *Loop {
	for b.begin < batchSize {
		b.begin++
		yieldAt(atBatch)
		if l := b.loops[b.begin-1].Swap(nil); l != nil {
			return l
		}
	}
	return nil
}

// empty reports whether there is none. By anybody.
func (b *batch) empty() bool {
	for i := range b.loops {
		if b.loops[i].Load() != nil {
			return false
		}
	}
	return true
}

// giveBack puts all into the queue. With Pool.mu held, by anybody.
func (b *batch) giveBack(q *runqueue) {
	for i := range b.loops {
		if l := b.loops[i].Swap(nil); l != nil {
			q.addWoken(l)
		}
	}
}
