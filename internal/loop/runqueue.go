// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"runtime"
	"sync/atomic"
	"time"
)

// runqueue tracks the loops that are to run while enough runners are active
// already. Pool.mu guards it.
//
// More runners than processors do not make loops run sooner: they only wake,
// hand over and go to sleep. With 16 times as many, a burst that reaches 10,000
// workers takes 1.3 times as long as with twice as many (bench: workers/burst-10000).
// But a runner whose turn blocks, or whose loop has always something to do, must not hold up others, and
// which ones do can only be seen when they have. So the queue has a guard, which
// looks whether it moves.
type runqueue struct {
	woken  line         // loops that were idle, in order
	spent  line         // those that had their share of turns: see rotate
	since  int          // how many woken ones have been taken since a spent one
	length atomic.Int32 // of both; read by anybody

	// moving are the runners that are called or run a loop and move on, as far as
	// is known; limit is how many there should be. Those that do not move on are
	// nowhere: thousands of blocked turns must not cost the guard anything.
	moving  []*runner
	limit   atomic.Int32 // see followProcessors; read by anybody
	held    atomic.Int32 // how many do not move on; read by anybody
	guard   *time.Timer
	guarded bool
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
	limit := int32(runnersPerProcessor * runtime.GOMAXPROCS(0))
	if limit == p.queue.limit.Load() {
		return
	}
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
func (q *runqueue) isFull() bool { return len(q.moving) >= int(q.limit.Load()) }

// addMoving counts r, which has been called or has looked for a loop, among those that
// move on.
func (q *runqueue) addMoving(r *runner) {
	q.unholdRunner(r)
	r.moved = true
	q.moving = append(q.moving, r)
	r.at = len(q.moving)
}

// removeMoving takes r out of those that move on.
func (q *runqueue) removeMoving(r *runner) {
	q.unholdRunner(r)
	r.served = nil // it would keep all of a worker that ends
	if r.at == 0 {
		return
	}
	n := len(q.moving) - 1
	last := q.moving[n]
	q.moving[r.at-1], last.at = last, r.at
	q.moving[n] = nil
	q.moving, r.at = q.moving[:n], 0
}

// addLoop puts l into one of the two lines.
func (q *runqueue) addLoop(to *line, l *Loop) {
	to.push(l)
	q.length.Add(1)
}

// wokenPerSpent is how many woken loops go before one that has had its share: so
// many that have a message or two each take about as long as rotateEvery turns.
const wokenPerSpent = 64

// takeLoop returns the next loop, or nil.
func (q *runqueue) takeLoop() *Loop {
	from := &q.woken
	if q.since++; q.since > wokenPerSpent && !q.spent.empty() || from.empty() {
		from, q.since = &q.spent, 0
	}
	if from.empty() {
		return nil
	}
	q.length.Add(-1)
	return from.pop()
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
	r.held = true
	q.held.Add(1)
}

func (q *runqueue) unholdRunner(r *runner) {
	if r.held {
		r.held = false
		q.held.Add(-1)
	}
}

// noteMoved notes that r has moved on.
func (q *runqueue) noteMoved(r *runner) {
	if r.held {
		q.addMoving(r)
	} else {
		r.moved = true
	}
}

// armGuard arms the guard.
func (q *runqueue) armGuard(p *Pool) {
	switch {
	case q.guarded:
		return
	case q.guard == nil:
		q.guard = time.AfterFunc(stall, p.relieveRunners)
	default:
		q.guard.Reset(stall)
	}
	q.guarded = true
}

// disarmGuard ends the guard when there are no loops any more. One that has ended may
// still have something to refuse.
func (q *runqueue) disarmGuard() {
	if q.guarded && q.length.Load() == 0 {
		q.guarded = false
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
	if p.queue.length.Load() == 0 && l.runner.Load().batch.empty() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue.addLoop(&p.queue.spent, l)
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
	q.guarded = false
	p.followProcessors()
	if !p.hasWaitingLoop() {
		p.mu.Unlock()
		return
	}
	idle := q.length.Load() == 0 && !q.isFull()
	for i := 0; i < len(q.moving); {
		r := q.moving[i]
		serves := r.serving.Load()
		stuck := !r.moved && serves == r.served
		if stuck || idle {
			r.batch.giveBack(q)
		}
		if stuck {
			q.holdRunner(r) // another one is at i now
			continue
		}
		r.moved, r.served = false, serves
		i++
	}
	var begin []func()
	for !q.isFull() {
		l := q.takeLoop()
		if l == nil {
			break
		}
		r, isNew := p.assignRunner(l)
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
	if p.queue.length.Load() > 0 {
		return true
	}
	for _, r := range p.queue.moving {
		if !r.batch.empty() {
			return true
		}
	}
	return false
}
