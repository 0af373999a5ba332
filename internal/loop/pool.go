package loop

import (
	"sync"
	"sync/atomic"
	"time"
)

// Pool holds what the loops of one actor system share: runners and idle
// coroutines. It is never shared wider, because a parked goroutine that
// crosses from one synctest bubble to another hangs both. When its last loop
// ends it lets all of them go.
type Pool struct {
	start time.Time
	// looked is Now at the watchdog's last look, or when it was set: a clock
	// that costs one load, and is late by a look at most while anything runs
	// that is watched.
	looked atomic.Int64

	mu      sync.Mutex
	loops   int
	runners map[*runner]struct{} // all
	active  int                  // those that run a loop
	idle    *runner              // the others, most recently parked first
	nIdle   int

	// coming is how many runners have been given a loop and have not begun it.
	// While one comes no other is called: it calls the next itself when it is
	// there and loops wait, as Go's scheduler has one processor at a time look for
	// work. Otherwise whoever sends to many idle loops calls a runner for nearly
	// each, which costs more than the message: a tenth of a burst to 10,000
	// workers.
	coming atomic.Int32

	queue runqueue

	free  *coroutine
	nFree atomic.Int32 // read by anybody
	spare spare

	watchdog watchdog
}

const (
	// maxIdle runners wait for work; beyond that a goroutine is cheap to make.
	maxIdle = 16
	// maxPooled coroutines are kept, 3 kB each: a burst of as many suspended
	// tasks costs no new ones (a new one takes 320 ns and 6 allocations). Those
	// that nothing has needed for a while are let go, see spare.
	maxPooled = 1024
)

// NewPool returns an empty pool.
func NewPool() *Pool {
	// So that Now is never zero, not even where time stands still.
	start := time.Now().Add(-1)
	p := &Pool{start: start, runners: map[*runner]struct{}{}}
	p.queue.init()
	return p
}

// Now is the time since the pool was made: 21 ns, half of time.Now.
func (p *Pool) Now() time.Duration { return time.Since(p.start) }

// Time turns a reading of Now into a time.
func (p *Pool) Time(d time.Duration) time.Time { return p.start.Add(d) }

func (p *Pool) attach() {
	p.mu.Lock()
	p.loops++
	p.mu.Unlock()
}

func (p *Pool) detach() {
	p.mu.Lock()
	p.loops--
	if p.loops > 0 {
		p.mu.Unlock()
		return
	}
	p.active += p.nIdle // to end
	idle, free := p.idle, p.free
	p.idle, p.free, p.nIdle = nil, nil, 0
	p.nFree.Store(0)
	p.queue.calm()
	p.mu.Unlock()
	for r := idle; r != nil; {
		next := r.nextIdle
		r.nextIdle = nil
		r.wake <- nil
		r = next
	}
	stopAll(free)
}

func stopAll(c *coroutine) {
	for c != nil {
		next := c.next
		c.next = nil
		c.co.Stop()
		c = next
	}
}

// wake gives l, which has become busy, to a runner.
func (p *Pool) wake(l *Loop) {
	p.mu.Lock()
	if !p.watchdog.armed && l.cfg.BlockedTurn > 0 {
		p.watchdog.arm(p, l.cfg.BlockedTurn)
	}
	// It is in the queue before coming is looked at: a runner that comes in this
	// moment sees the one or the other.
	p.queue.add(&p.queue.woken, l)
	p.call()
}

// call has another runner come for the loop that is next in the queue, if there
// is one and not enough run or come already. With p.mu held, which it gives up.
func (p *Pool) call() {
	var l *Loop
	if !p.queue.full(p.active) && p.coming.Load() == 0 {
		l = p.queue.take()
	}
	if l == nil {
		if p.queue.length.Load() > 0 {
			p.queue.watch(p)
		}
		p.mu.Unlock()
		return
	}
	r, isNew := p.assign(l)
	p.mu.Unlock()
	r.begin(l, isNew)
}

// arrived is where a runner that was called begins.
func (p *Pool) arrived() {
	if p.coming.Add(-1) == 0 && p.queue.length.Load() > 0 {
		p.mu.Lock()
		p.call()
	}
}

// assign finds a runner for l, an idle or a new one; begin has it run. With
// p.mu held.
func (p *Pool) assign(l *Loop) (r *runner, isNew bool) {
	p.active++
	p.coming.Add(1)
	if r = p.idle; r != nil {
		p.idle = r.nextIdle
		p.nIdle--
		r.nextIdle = nil
		r.moved = true
		return r, false
	}
	r = newRunner(p, l)
	p.runners[r] = struct{}{}
	return r, true
}

// next returns another loop for r, at once or later through its channel;
// false: r is not needed.
func (p *Pool) next(r *runner) (l *Loop, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue.release(r)
	if l = p.queue.take(); l != nil {
		r.batch.fill(&p.queue)
		return l, true
	}
	if p.loops == 0 || p.nIdle >= maxIdle {
		return nil, false
	}
	p.active--
	r.served = nil // it would keep all of a worker that ends
	r.nextIdle = p.idle
	p.idle = r
	p.nIdle++
	return nil, true
}

// remove forgets r, which has been active.
func (p *Pool) remove(r *runner) {
	p.mu.Lock()
	p.queue.release(r)
	delete(p.runners, r)
	p.active--
	r.batch.giveBack(&p.queue) // it has lost its turn
	p.call()
}

// keep takes n idle coroutines, which are linked by next, and ends those that
// are too many.
func (p *Pool) keep(first *coroutine, n int) {
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
	p.mu.Unlock()
	stopAll(first)
}

// coroutines hands out up to n idle ones, linked by next.
func (p *Pool) coroutines(n int) (first *coroutine, got int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free == nil {
		return nil, 0
	}
	first = p.free
	last := first
	for got = 1; got < n && last.next != nil; got++ {
		last = last.next
	}
	p.free, last.next = last.next, nil
	p.spare.note(int(p.nFree.Add(int32(-got))))
	return first, got
}
