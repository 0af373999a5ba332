package loop

import (
	"sync"
	"time"
)

// Pool holds what the loops of one actor system share: runners and idle
// coroutines. It is never shared wider, because a parked goroutine that
// crosses from one synctest bubble to another hangs both. When its last loop
// ends it lets all of them go.
type Pool struct {
	start time.Time

	mu      sync.Mutex
	loops   int
	runners map[*runner]struct{} // all
	active  int                  // those that run a loop
	idle    *runner              // the others, most recently parked first
	nIdle   int

	// Loops that are to run while maxRunners are active. Starting a runner
	// for each of 10,000 workers that get a message at once took 3.4 µs a
	// worker; letting the active ones take them in turn takes 1.4.
	queue   []*Loop
	head    int
	served  uint64 // grows with each loop taken from the queue
	guard   *time.Timer
	guarded bool

	free  *coroutine
	nFree int

	watchdog watchdog
}

const (
	// maxRunners may be active before loops have to queue. It is not about
	// processors, which are fewer: a runner whose turn blocks must not hold
	// up other workers. If all of them do, stall adds one more.
	maxRunners = 64
	// stall is how long the queue may stand still.
	stall = time.Millisecond
	// maxIdle runners wait for work; beyond that a goroutine is cheap to make.
	maxIdle = 16
	// maxPooled coroutines are kept, 3 kB each: a burst of as many suspended
	// tasks costs no new ones (a new one takes 320 ns and 6 allocations).
	maxPooled = 1024
)

// NewPool returns an empty pool.
func NewPool() *Pool {
	// So that Now is never zero, not even where time stands still.
	start := time.Now().Add(-1)
	return &Pool{start: start, runners: map[*runner]struct{}{}}
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
	p.idle, p.free, p.nIdle, p.nFree = nil, nil, 0, 0
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
	if l.cfg.BlockedTurn > 0 && !p.watchdog.armed {
		p.watchdog.arm(p, l.cfg.BlockedTurn)
	}
	if r := p.idle; r != nil {
		p.idle = r.nextIdle
		p.nIdle--
		p.active++
		r.nextIdle = nil
		p.mu.Unlock()
		r.wake <- l
		return
	}
	if p.active >= maxRunners {
		p.queue = append(p.queue, l)
		p.watchQueue()
		p.mu.Unlock()
		return
	}
	r := p.newRunner(l)
	p.mu.Unlock()
	go r.root()
}

func (p *Pool) newRunner(l *Loop) *runner {
	r := newRunner(p, l)
	p.runners[r] = struct{}{}
	p.active++
	return r
}

// take returns the next loop of the queue, or nil.
func (p *Pool) take() *Loop {
	if p.head == len(p.queue) {
		return nil
	}
	l := p.queue[p.head]
	p.queue[p.head] = nil
	p.head++
	p.served++
	if p.head == len(p.queue) {
		p.queue, p.head = p.queue[:0], 0
	}
	return l
}

// watchQueue arms the guard of the queue.
func (p *Pool) watchQueue() {
	if p.guarded {
		return
	}
	p.guarded = true
	served := p.served
	p.guard = time.AfterFunc(stall, func() { p.stalled(served) })
}

// stalled adds a runner if the queue stands still.
func (p *Pool) stalled(served uint64) {
	p.mu.Lock()
	p.guarded = false
	if p.head == len(p.queue) {
		p.mu.Unlock()
		return
	}
	var r *runner
	if p.served == served {
		r = p.newRunner(p.take())
	}
	if p.head < len(p.queue) {
		p.watchQueue()
	}
	p.mu.Unlock()
	if r != nil {
		r.root()
	}
}

// next returns another loop for r, at once or later through its channel;
// false: r is not needed.
func (p *Pool) next(r *runner) (l *Loop, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l = p.take(); l != nil {
		return l, true
	}
	if p.loops == 0 || p.nIdle >= maxIdle {
		return nil, false
	}
	p.active--
	r.nextIdle = p.idle
	p.idle = r
	p.nIdle++
	return nil, true
}

// remove forgets r, which has been active.
func (p *Pool) remove(r *runner) {
	p.mu.Lock()
	delete(p.runners, r)
	p.active--
	p.mu.Unlock()
}

// keep takes an idle coroutine, or ends it if there are enough.
func (p *Pool) keep(c *coroutine) {
	p.mu.Lock()
	if p.loops > 0 && p.nFree < maxPooled {
		c.next = p.free
		p.free = c
		p.nFree++
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	c.co.Stop()
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
	p.nFree -= got
	return first, got
}
