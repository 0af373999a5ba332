// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"runtime"
	"sync/atomic"
	"time"
)

// runqueue tracks the loops that are to run while enough runners are active
// already. Pool.mu guards it, but for what came last and what is atomic.
//
// More runners than processors do not make loops run sooner: they only wake,
// hand over and go to sleep. With 16 times as many, a burst that reaches 10,000
// workers takes 1.3 times as long as with twice as many (bench: workers/burst-10000).
// But a runner whose turn blocks, or whose loop has always something to do, must not hold up others, and
// which ones do can only be seen when they have. So the queue has a guard, which
// looks whether it moves.
type runqueue struct {
	arrivals arrivals     // loops that were idle; anybody's
	woken    line         // those that found no room there
	spent    line         // those that had their share of turns: see rotateLoop
	nWoken   atomic.Int32 // the length of woken
	nSpent   atomic.Int32 // the length of spent

	// moving are the runners that are called or run a loop and move on, as far as
	// is known; limit is how many there should be. Those that do not move on are
	// nowhere: thousands of blocked turns must not cost the guard anything.
	moving  []*runner
	nMoving atomic.Int32 // its length
	limit   atomic.Int32 // see followProcessors
	held    atomic.Int32 // how many do not move on
	guard   *time.Timer
	guarded atomic.Bool
}

// stall is how long a loop may wait for a runner until one that has not moved
// on is counted no more: that is at the second look.
const stall = 100 * time.Microsecond

// runnersPerProcessor are active at a time: while one is on its way, or in the kernel,
// another one runs.
const runnersPerProcessor = 2

// followProcessors has the limits follow GOMAXPROCS, which the runtime changes itself when
// a container is given more or less of the machine. To ask for it takes a lock of Go's
// scheduler, so no message does. The guard does, which ticks where a limit holds up a
// loop. So do the watchdog, which ticks while anything runs, and whoever makes a runner.
// With p.mu held.
func (p *Pool) followProcessors() {
	processors := runtime.GOMAXPROCS(0)
	limit := int32(runnersPerProcessor * processors)
	if limit == p.queue.limit.Load() {
		return
	}
	p.queue.arrivals.grow(processors)
	p.queue.limit.Store(limit)
	for p.nIdle > p.maxIdle() {
		r := p.idle
		p.idle = r.nextIdle
		p.nIdle--
		r.nextIdle, r.rested = nil, false
		r.wake <- false
	}
}

// isFull reports whether a loop has to wait.
func (q *runqueue) isFull() bool { return q.nMoving.Load() >= q.limit.Load() }

// isOverfull reports whether more runners move on than should.
func (q *runqueue) isOverfull() bool { return q.nMoving.Load() > q.limit.Load() }

// len is how many loops wait. Any goroutine.
func (q *runqueue) len() int {
	return q.arrivals.len() + int(q.nWoken.Load()+q.nSpent.Load())
}

// mayHaveLoops reports whether any loop may wait that nobody is about to look after. Any
// goroutine; it costs a load where none does.
func (q *runqueue) mayHaveLoops() bool { return q.guarded.Load() && !q.empty() }

// empty reports whether none waits. Any goroutine.
func (q *runqueue) empty() bool {
	return q.nWoken.Load() == 0 && q.nSpent.Load() == 0 && q.arrivals.empty()
}

// addMoving counts r, which has been called or has looked for a loop, among those that
// move on.
func (q *runqueue) addMoving(r *runner) {
	q.unholdRunner(r)
	r.noteMoved()
	q.moving = append(q.moving, r)
	r.at = len(q.moving)
	q.nMoving.Store(int32(r.at))
}

// removeMoving takes r out of those that move on.
func (q *runqueue) removeMoving(r *runner) {
	q.unholdRunner(r)
	if r.served != nil {
		r.served = nil // it would keep all of a worker that ends
	}
	if r.at == 0 {
		return
	}
	n := len(q.moving) - 1
	if last := q.moving[n]; last != r {
		q.moving[r.at-1], last.at = last, r.at
	}
	q.moving[n] = nil
	q.moving, r.at = q.moving[:n], 0
	q.nMoving.Store(int32(n))
}

// addWoken puts l, which was idle, into the line for those.
func (q *runqueue) addWoken(l *Loop) {
	q.woken.push(l)
	q.nWoken.Add(1)
}

// addSpent puts l, which has had its share of turns, into the line for those.
func (q *runqueue) addSpent(l *Loop) {
	q.spent.push(l)
	q.nSpent.Add(1)
}

// wokenPerSpent is how many woken loops go before one that has had its share: so
// many that have a message or two each take about as long as rotateEvery turns.
const wokenPerSpent = 64

// takeArrival returns the next of the loops that have arrived last, or nil if there is none
// or others are to go first. By r, without a lock.
func (q *runqueue) takeArrival(r *runner) *Loop {
	if r.since >= wokenPerSpent && q.nSpent.Load() > 0 {
		return nil
	}
	r.looks++
	l := q.arrivals.take(r.looks)
	if l != nil {
		r.since++
	}
	return l
}

// takeLoop returns the next loop for r, or nil.
func (q *runqueue) takeLoop(r *runner) *Loop {
	if l := q.takeArrival(r); l != nil {
		return l
	}
	return q.takeFromLine(r)
}

// takeFromLine is takeLoop without those that have arrived last.
func (q *runqueue) takeFromLine(r *runner) *Loop {
	switch {
	case !q.spent.empty() && (r.since >= wokenPerSpent || q.woken.empty()):
		r.since = 0
		q.nSpent.Add(-1)
		return q.spent.pop()
	case !q.woken.empty():
		r.since++
		q.nWoken.Add(-1)
		return q.woken.pop()
	}
	return nil
}

// line is a queue of loops. It keeps its memory, unlike a fifo.Queue: each burst
// to thousands of workers fills it, and it is soon empty again.
type line struct {
	loops []*Loop
	head  int
}

func (q *line) empty() bool { return q.head == len(q.loops) }

func (q *line) push(l *Loop) {
	if q.head > 0 && len(q.loops) == cap(q.loops) && q.head >= len(q.loops)/2 {
		// It may never be empty.
		n := copy(q.loops, q.loops[q.head:])
		clear(q.loops[n:])
		q.loops, q.head = q.loops[:n], 0
	}
	q.loops = append(q.loops, l)
}

func (q *line) pop() *Loop {
	l := q.loops[q.head]
	q.loops[q.head] = nil
	if q.head++; q.empty() {
		q.loops, q.head = q.loops[:0], 0
	}
	return l
}

// holdRunner notes that r, which moved on until now, does not.
func (q *runqueue) holdRunner(r *runner) {
	q.removeMoving(r)
	r.held.Store(true)
	q.held.Add(1)
}

func (q *runqueue) unholdRunner(r *runner) {
	if r.held.Load() {
		r.held.Store(false)
		q.held.Add(-1)
	}
}

// armGuard arms the guard.
func (q *runqueue) armGuard(p *Pool) {
	switch {
	case q.guarded.Load():
		return
	case q.guard == nil:
		q.guard = time.AfterFunc(stall, p.relieveRunners)
	default:
		q.guard.Reset(stall)
	}
	q.guarded.Store(true)
}

// disarmGuard ends the guard when there are no loops any more. One that has ended may
// still have something to refuse.
func (q *runqueue) disarmGuard() {
	if q.guarded.Load() && q.empty() {
		q.guarded.Store(false)
		q.guard.Stop()
	}
}

// rotateEvery is after how many turns, and more than these, a loop that still
// has something to do makes room for those that wait. The guard would see to
// that, too, but not where time stands still because the loop is busy.
const rotateEvery = 1024

// rotateLoop puts l, which its runner runs, behind some of those that wait for a
// runner, if there are any. Behind all of them it would be last of thousands: a
// supervisor that stops 10,000 workers waited for the last of them before it
// looked after the first. After a true return l may be run by somebody else.
func (p *Pool) rotateLoop(l *Loop) bool {
	if p.queue.empty() && l.runner.Load().batch.empty() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue.addSpent(l)
	p.queue.armGuard(p)
	return true
}

// relieveRunners is the guard: it lets others take the place of runners that have not
// moved on since it looked last, and gives away what these have not come to. When
// some have nothing to do it gives them what others have taken.
//
// A turn that computes for that long is taken for one that blocks. Go does not say
// which of them a goroutine does, and both keep a runner of their own, as a
// goroutine each would.
func (p *Pool) relieveRunners() {
	q := &p.queue
	p.mu.Lock()
	q.guarded.Store(false) // before: whoever adds a loop from here on arms it again
	p.followProcessors()
	if !p.hasWaitingLoop() {
		p.mu.Unlock()
		return
	}
	idle := q.empty() && !q.isFull()
	for i := 0; i < len(q.moving); {
		r := q.moving[i]
		serves := r.serving.Load()
		stuck := !r.moved.Load() && serves == r.served
		if stuck || idle {
			r.batch.giveBack(q)
		}
		if stuck {
			q.holdRunner(r) // another one is at i now
			continue
		}
		r.moved.Store(false)
		r.served = serves
		i++
	}
	var begin []func()
	for n := q.len() - int(p.coming.Load()); n > 0 && !q.isFull(); n-- {
		r, isNew := p.assignRunner(nil)
		begin = append(begin, func() { r.beginRunning(isNew) })
	}
	if p.hasWaitingLoop() {
		q.armGuard(p)
	}
	p.mu.Unlock()
	for _, f := range begin {
		f()
	}
}

// hasWaitingLoop reports whether any loop waits for a runner. Those that do not move on
// have none. With p.mu held.
func (p *Pool) hasWaitingLoop() bool {
	if !p.queue.empty() {
		return true
	}
	for _, r := range p.queue.moving {
		if !r.batch.empty() {
			return true
		}
	}
	return false
}
