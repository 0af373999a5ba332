// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"sync/atomic"
	"time"
)

// runner is what runs a loop: a goroutine, the root, and the coroutines that
// are nested in it.
type runner struct {
	pool *Pool
	wake chan bool // it is called; false: to end
	loop *Loop     // the one it runs

	// serving is loop, for other goroutines.
	serving atomic.Pointer[Loop]

	word   turnWord // written by all who have to do with the turn: see word.go
	turn   uint64
	timed  time.Duration // when the turn began that is being timed; 0: none is
	batch  batch         // loops to run next
	clock  turnClock
	starts uint32 // of messages, since it was idle or thought of giving way
	think  uint32 // after so many it does
	often  uint32 // … as the last ones have taught it
	looks  uint32 // so often has it looked at what has arrived; it wraps
	since  uint32 // how many loops that were idle it has taken since one that had its share
	nested uint32 // how many pumps are nested in the one that the root has resumed; see goOnAsPump

	free  *coroutine // idle coroutines, for this root only
	nFree int

	body  func(yield func(struct{}) bool) // of the coroutines that it makes; nil: it has made none
	first *tagged                         // the one of these that begins next; apart, as they keep it

	thought time.Duration // when it thought of giving way, a reading of Pool.Now; 0: it has been idle since

	// Guarded by Pool.mu.
	nextIdle *runner // in Pool.idle
	rested   bool    // it has been idle since the last look at what is spare
	seen     sample  // the watchdog's
	at       int     // its place in runqueue.moving, from 1 on; 0: it is not there
	served   *Loop   // what it ran when the queue's guard looked last

	// Written with Pool.mu, but that anybody notes that it has moved on.
	moved atomic.Bool // it has looked for a loop since then
	held  atomic.Bool // … it has not, for long
}

func newRunner(p *Pool) *runner {
	r := &runner{pool: p, wake: make(chan bool, 1), often: giveWayEvery, think: giveWayFirst}
	r.word.initWord()
	r.batch.begin = batchSize
	return r
}

// beginRunning lets r run what it was assigned.
func (r *runner) beginRunning(isNew bool) {
	if isNew {
		go r.runRoot()
	} else {
		r.wake <- true
	}
}

// enterUser begins user code.
func (r *runner) enterUser() {
	r.turn++
	r.word.enterTurn(r.turn)
}

// leaveUser ends user code. If it reports false the turn was taken away.
func (r *runner) leaveUser() bool { return r.word.leaveTurn(r.turn) || r.leaveUserSlow() }

func (r *runner) leaveUserSlow() bool {
	from := r.word.leaveSlow()
	if from == inReported {
		r.pool.rearmWatchdog(r)
	}
	return from != isLost
}

// pinTurn keeps the runner in turn w of loop l, if it still is there, so that the
// caller may read what the loop owns, until it unpins the word. That has to be soon,
// see stretch: a turn that ends meanwhile waits for it.
func (r *runner) pinTurn(l *Loop, w word) bool {
	// A runner that has changed to another loop since w was read has ended
	// the turn, so the exchange fails.
	if r.serving.Load() != l || !r.word.pinWord(w) {
		return false
	}
	l.pinned = 0
	return true
}

// isBusy reports whether r is not idle. With Pool.mu held.
func (r *runner) isBusy() bool { return r.at > 0 || r.held.Load() }

// noteMoved notes that r, which is not held, moves on. Most often it is known.
func (r *runner) noteMoved() {
	if !r.moved.Load() {
		r.moved.Store(true)
	}
}

func (r *runner) hasLostTurn() bool { return r.word.isTurnLost() }

// runRoot is the runner's goroutine.
func (r *runner) runRoot() {
	ForgetLabels() // of who has posted
	if !r.nextLoop(true) {
		r.endRunner()
		return
	}
	for {
		c := r.getCoroutine()
		c.r, c.pump, r.nested = r, true, 0
		c.co.Resume()
		if c.dead {
			c.reapDead()
		}
		switch {
		case r.hasLostTurn():
			r.endRunner()
			return
		case c.dead:
		case c.idle:
			r.putCoroutine(c)
			r.endRunner()
			return
		default: // a task keeps it
		}
	}
}

// nextLoop waits for another loop to run; false: there will be none. came is whether
// the runner has been called and is there now.
func (r *runner) nextLoop(came bool) bool {
	if came {
		r.pool.coming.Add(-1)
	}
	l := r.batch.take()
	if l == nil {
		r.letGoOfLoop() // it may be long
	}
	for l == nil { // another runner may have taken what this one was called for
		var ok bool
		if l, ok = r.pool.nextLoop(r); !ok {
			return false
		}
		if l == nil {
			r.clock.forgetReading()
			if !<-r.wake {
				return false
			}
			r.pool.coming.Add(-1)
			came = true
			l = r.batch.take()
		}
	}
	r.serveLoop(l)
	if came {
		r.pool.runnerArrived()
	}
	return true
}

// letGoOfLoop forgets the loop that r has run last.
func (r *runner) letGoOfLoop() {
	if r.loop != nil {
		r.loop = nil
		r.serving.Store(nil)
	}
}

func (r *runner) serveLoop(l *Loop) {
	r.loop = l
	r.serving.Store(l)
	yieldAt(atServe)
	l.setRunner(r)
}

// maxFree is how many idle coroutines a runner keeps for itself: enough that
// the pool's lock is rare.
const maxFree = 64

// getCoroutine returns an idle coroutine.
func (r *runner) getCoroutine() *coroutine {
	if r.free == nil {
		r.free, r.nFree = r.pool.takeCoroutines(maxFree / 2)
	}
	c := r.free
	if c == nil {
		return r.newCoroutine()
	}
	r.free = c.next
	r.nFree--
	c.next, c.idle = nil, false
	return c
}

// putCoroutine keeps an idle coroutine for later.
func (r *runner) putCoroutine(c *coroutine) {
	c.r, c.pump = nil, false
	c.next = r.free
	r.free = c
	r.nFree++
	if r.nFree > maxFree {
		r.giveCoroutines(maxFree / 2)
	}
}

// giveCoroutines hands all but keep of the idle coroutines to the pool.
func (r *runner) giveCoroutines(keep int) {
	if n := r.nFree - keep; n > 0 {
		first := cutCoroutines(&r.free, n)
		r.nFree = keep
		r.pool.keepCoroutines(first, n)
	}
}

// leaveCoroutines takes all idle coroutines of a runner that is pinned: its turn may
// last for ever. They are to be given to the pool.
func (r *runner) leaveCoroutines() (first *coroutine, n int) {
	first, n = r.free, r.nFree
	r.free, r.nFree = nil, 0
	return first, n
}

// hasEnoughCoroutines reports whether there are so many idle coroutines that one which has
// nothing to do should end. Those of a loop that is being stopped are hardly needed again: to keep and end them
// later takes two switches more for each, and 1.38 times the CPU time of a stop (bench: stop/suspended).
func (r *runner) hasEnoughCoroutines() bool {
	enough := int32(maxPooled)
	if r.loop.hold {
		enough = manyPooled
	}
	return r.nFree >= maxFree/2 && r.pool.nFree.Load() >= enough
}

// reuseCoroutine looks at a coroutine that has come back from Resume. Neither dead nor
// idle: its task awaits, or it has ended.
func (r *runner) reuseCoroutine(x *coroutine) {
	switch {
	case x.dead:
		x.reapDead()
	case x.idle:
		r.putCoroutine(x)
	}
}

func (r *runner) endRunner() {
	r.giveCoroutines(0)
	r.pool.removeRunner(r)
}
