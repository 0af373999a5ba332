// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Pool holds what the loops of one actor system share: runners and idle
// coroutines. It is never shared wider, because a waiting goroutine that
// crosses from one synctest bubble to another hangs both. When its last loop
// ends it lets all of them go.
type Pool struct {
	start time.Time
	// looked is Now at the watchdog's last look, or when it was set: a clock
	// that costs one load, and is late by a look at most while anything runs
	// that is watched.
	looked atomic.Int64

	// BetweenTurns, if not nil, is called in turns of tasks that have a deadline, at most each
	// betweenTurnsEvery, with the time: for what is to be done at times and cannot wait
	// for the runtime's timers, which come late where there is too much to do. It
	// reports whether there is more to do. Constant.
	BetweenTurns  func(now time.Duration) (more bool)
	calledBetween atomic.Int64 // when it was called last

	mu      sync.Mutex
	loops   int
	lines   uint64               // the most that a loop has had which has ended: see Loop.ID
	homes   uint8                // given out
	runners map[*runner]struct{} // all
	idle    *runner              // those that have nothing to do, the last one first
	nIdle   int

	// coming is how many runners have been called and are not there yet. While
	// one comes no other is called: it calls the next itself when it is there and
	// loops wait, as Go's scheduler has one processor at a time look for work.
	// Otherwise whoever sends to many idle loops calls a runner for nearly each,
	// which costs more than the message: a tenth of a burst to 10,000 workers (bench:
	// workers/burst-10000).
	coming atomic.Int32
	called *runner // the one that was called for a loop last; it may be there by now

	queue     runqueue
	linger    linger
	givingWay givingWay

	free  *coroutine
	nFree atomic.Int32 // read by anybody
	spare spare

	watchdog watchdog
	passes   passes
}

const (
	// fewIdle runners wait for work where there are few processors; see maxIdle.
	fewIdle = 16
	// maxPooled coroutines are kept, 3 kB each (bench: memory/task): a burst of as
	// many suspended tasks costs no new ones, which take 8 allocations each with their goroutine
	// (BenchmarkNewCoroutine). With 1,024 of them 1,000 orders at a time, which suspend three
	// tasks each, made 0.4 an order, an eighth of its time (bench: order/worker-0s). Those that nothing has needed for a while are let go,
	// and soon if they are many: see spare.
	maxPooled = 128 << 10
)

// NewPool returns an empty pool.
func NewPool() *Pool {
	// So that Now is never zero, not even where time stands still.
	start := time.Now().Add(-1)
	p := &Pool{start: start, runners: map[*runner]struct{}{}}
	p.followProcessors()
	p.linger.yield, p.linger.yieldNear = runtime.Gosched, goyield
	return p
}

// Now is the time since the pool was made. It takes half as long as time.Now (BenchmarkNow).
func (p *Pool) Now() time.Duration { return time.Since(p.start) }

// maxIdle runners wait for work: as many as may be active at a time, or else each lull
// would end some that are made anew after it. Beyond that a goroutine is cheap to make.
func (p *Pool) maxIdle() int { return max(fewIdle, int(p.queue.limit.Load())) }

// Time turns a reading of Now into a time.
func (p *Pool) Time(d time.Duration) time.Time { return p.start.Add(d) }

func (p *Pool) attachLoop(l *Loop) {
	p.mu.Lock()
	p.loops++
	p.homes++
	l.home = p.homes
	l.lines = p.lines // a worker may get the name of one that has ended, and its tasks other numbers
	p.mu.Unlock()
}

func (p *Pool) detachLoop(l *Loop) {
	p.mu.Lock()
	p.loops--
	p.lines = max(p.lines, l.lines)
	if p.loops > 0 {
		p.mu.Unlock()
		return
	}
	idle, free := p.idle, p.free
	p.idle, p.free, p.nIdle = nil, nil, 0
	p.nFree.Store(0)
	p.queue.disarmGuard()
	p.spare.disarmTimer()
	p.mu.Unlock()
	for r := idle; r != nil; {
		next := r.nextIdle
		r.nextIdle = nil
		r.wake <- false
		r = next
	}
	stopCoroutines(free)
}

func stopCoroutines(c *coroutine) {
	for c != nil {
		next := c.next
		c.next = nil
		c.co.Stop()
		c = next
	}
}

// wakeLoop gives l, which has become busy, to a runner.
//
// Where enough runners run, or one comes, that takes no lock. The loop is in the queue before
// anything is looked at, and each of the others changes what is looked at before it looks at
// the queue for the last time: a runner before it is idle, the guard and the watchdog before they
// end. So one of the two sees the other. And whenever a loop is in the queue, and whoever has put
// it there has left, the guard is armed: where it is not, nobody need look.
func (p *Pool) wakeLoop(l *Loop) {
	q := &p.queue
	limit := l.blockedTurn
	added := p.needsNoRunner() && q.nWoken.Load() == 0 && q.arrivals.add(l)
	if added && p.needsNoRunner() && q.guarded.Load() && (limit <= 0 || p.watchdog.armed.Load()) {
		return
	}
	p.mu.Lock()
	if limit > 0 && !p.watchdog.armed.Load() {
		p.watchdog.armTimer(p, limit)
	}
	switch {
	case added:
	case !q.guarded.Load() && !p.needsNoRunner(): // nothing else waits
		r, isNew := p.assignRunner(l)
		p.mu.Unlock()
		r.beginRunning(isNew)
		return
	default:
		q.addWoken(l)
	}
	p.callRunner()
}

// needsNoRunner reports whether enough runners run already, or one comes.
func (p *Pool) needsNoRunner() bool { return p.coming.Load() > 0 || p.queue.isFull() }

// callRunner has another runner come for the loop that is next in the queue, if there
// is one and not enough run or come already. With p.mu held, which it gives up.
func (p *Pool) callRunner() {
	q := &p.queue
	var r *runner
	var isNew bool
	if !q.empty() {
		if !p.needsNoRunner() {
			r, isNew = p.assignRunner(nil)
		}
		q.armGuard(p)
	}
	p.mu.Unlock()
	if r != nil {
		r.beginRunning(isNew)
	}
}

// runnerArrived is called by a runner that was called when it is there and has a loop:
// it calls the next, if loops wait.
func (p *Pool) runnerArrived() {
	if p.coming.Load() == 0 && p.queue.mayHaveLoops() {
		p.mu.Lock()
		p.callRunner()
	}
}

// assignRunner finds a runner for l, or for whatever waits in the queue if that is nil: an idle
// or a new one; beginRunning has it run. The loop is not bound to it: until it is there, one that
// has nothing else to do may take the loop. With p.mu held.
func (p *Pool) assignRunner(l *Loop) (r *runner, isNew bool) {
	p.coming.Add(1)
	if r = p.idle; r != nil {
		p.idle = r.nextIdle
		p.nIdle--
		r.nextIdle, r.rested = nil, false
	} else {
		p.followProcessors()
		r, isNew = newRunner(p), true
		p.runners[r] = struct{}{}
	}
	if l != nil {
		r.batch.putNext(l)
		p.called = r
	}
	p.queue.addMoving(r)
	return r, isNew
}

// nextLoop returns another loop for r. Without one, r is idle and waits until it is
// called, or is not needed: then ok is false.
func (p *Pool) nextLoop(r *runner) (l *Loop, ok bool) {
	q := &p.queue
	if !r.held.Load() {
		r.noteMoved()
		if q.guarded.Load() && !q.isOverfull() {
			if l = q.takeArrival(r); l != nil {
				return l, true
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.held.Load() {
		q.addMoving(r)
	}
	waits := q.guarded.Load()
	if !q.isOverfull() {
		if waits {
			if l = q.takeFromLine(r); l != nil {
				r.batch.fillFrom(q, r)
				return l, true
			}
		}
		if p.called != nil {
			if l = p.called.batch.steal(); l != nil {
				return l, true
			}
		}
	}
	q.removeMoving(r)
	// Whoever has added a loop meanwhile, and found enough runners, leaves it to this one.
	if waits && !q.isFull() {
		if l = q.takeLoop(r); l != nil {
			q.addMoving(r)
			return l, true
		}
	}
	r.forgetStarts()
	if p.loops == 0 || p.nIdle >= p.maxIdle() {
		return nil, false
	}
	r.nextIdle = p.idle
	p.idle = r
	p.nIdle++
	if r.nFree > minFree {
		p.spare.armTimer(p)
	}
	return nil, true
}

// removeRunner forgets r, which is not idle.
func (p *Pool) removeRunner(r *runner) {
	p.mu.Lock()
	p.queue.removeMoving(r)
	delete(p.runners, r)
	if p.called == r {
		p.called = nil
	}
	r.batch.giveBack(&p.queue) // it has lost its turn
	p.callRunner()
}

// keepCoroutines takes n idle coroutines, which are linked by next, and ends those that
// are too many.
func (p *Pool) keepCoroutines(first *coroutine, n int) {
	p.mu.Lock()
	room := 0
	if p.loops > 0 {
		room = min(n, maxPooled-int(p.nFree.Load()))
	}
	for ; room > 0; room-- {
		c := first
		first = c.next
		c.next = p.free
		p.free = c
		p.nFree.Add(1)
	}
	if p.nFree.Load() > minPooled {
		p.spare.armTimer(p)
	}
	p.mu.Unlock()
	stopCoroutines(first)
}

// takeCoroutines hands out up to n idle ones, linked by next.
func (p *Pool) takeCoroutines(n int) (first *coroutine, got int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free == nil {
		return nil, 0
	}
	got = min(n, int(p.nFree.Load()))
	p.spare.noteIdle(int(p.nFree.Add(int32(-got))))
	return cutCoroutines(&p.free, got), got
}
