package loop

import "sync/atomic"

// runner is what runs a loop: a goroutine, the root, and the coroutines that
// are nested in it.
type runner struct {
	pool *Pool
	wake chan bool // it is called; false: to end
	loop *Loop     // the one it runs

	// looked tells the runner that somebody has looked at what it waits for, and
	// where it was when that began.
	looked chan uint64

	// serving is loop, for other goroutines.
	serving atomic.Pointer[Loop]

	// word is turn<<3 | where. Entering and leaving user code costs one
	// atomic operation each, 4 to 6 ns; all that other goroutines may do to a
	// turn, they do by changing the word of a runner that is in user code.
	word   atomic.Uint64
	turn   uint64
	batch  batch // loops to run next
	clock  turnClock
	starts uint32 // of messages, since it was idle or thought of giving way

	free  *coroutine // idle coroutines, for this root only
	nFree int

	// Guarded by Pool.mu.
	nextIdle *runner // in Pool.idle
	rested   bool    // it has been idle since the last look at what is spare
	seen     sample  // the watchdog's
	at       int     // its place in runqueue.moving, from 1 on; 0: it is not there
	moved    bool    // it has looked for a loop since the queue's guard has looked
	served   *Loop   // what it ran then
	held     bool    // … it has not, for long
}

// where a runner is, the low three bits of word
const (
	inLoop     uint64 = iota + 1
	inUser            // in user code
	inReported        // in user code, and the watchdog has reported the turn
	isPinned          // in user code, and somebody looks: leaving has to wait
	isAwaited         // … and waits
	isLost            // in user code, and its turn was taken away
	whereBits  = 3
	whereMask  = 1<<whereBits - 1
)

func newRunner(p *Pool) *runner {
	r := &runner{pool: p, wake: make(chan bool, 1), looked: make(chan uint64, 1)}
	r.word.Store(inLoop)
	return r
}

// begin lets r run what it was assigned.
func (r *runner) begin(isNew bool) {
	if isNew {
		go r.root()
	} else {
		r.wake <- true
	}
}

// enter begins user code.
func (r *runner) enter() {
	r.turn++
	r.word.Store(r.turn<<whereBits | inUser)
}

// leave ends user code. If it reports false the turn was taken away.
func (r *runner) leave() bool {
	return r.word.CompareAndSwap(r.turn<<whereBits|inUser, r.turn<<whereBits|inLoop) || r.leaveSlow()
}

func (r *runner) leaveSlow() bool {
	for {
		w := r.word.Load()
		turn := w &^ whereMask
		switch w & whereMask {
		case inLoop: // it was not entered
			return true
		case isLost:
			return false
		case isPinned: // not for long: see pin
			if r.word.CompareAndSwap(w, turn|isAwaited) {
				return r.left(<-r.looked)
			}
		case inReported:
			if r.word.CompareAndSwap(w, turn|inLoop) {
				return r.left(inReported)
			}
		default:
			if r.leave() {
				return true
			}
		}
	}
}

// left is the end of a turn that was seen last where it says.
func (r *runner) left(where uint64) bool {
	if where == inReported {
		r.pool.rearm(r)
	}
	return where != isLost
}

// pin keeps the runner in turn w of loop l, if it still is there, so that the
// caller may read what the loop owns, until unpin. It must be for a few
// microseconds: a turn that ends meanwhile waits for it.
func (r *runner) pin(l *Loop, w uint64) bool {
	if where := w & whereMask; where != inUser && where != inReported {
		return false
	}
	// A runner that has changed to another loop since w was read has ended
	// the turn, so the exchange fails.
	return r.serving.Load() == l && r.word.CompareAndSwap(w, w&^whereMask|isPinned)
}

// unpin lets a pinned runner go on as w. If it waits for that, its turn is over
// in the same moment: whoever pins it again at once would keep it waiting.
func (r *runner) unpin(w uint64) (held bool) {
	if r.word.CompareAndSwap(w&^whereMask|isPinned, w) {
		return false
	}
	if w&whereMask != isLost {
		r.word.Store(w&^whereMask | inLoop)
	} else {
		r.word.Store(w)
	}
	r.looked <- w & whereMask
	return true
}

// busy reports whether r is not idle. With Pool.mu held.
func (r *runner) busy() bool { return r.at > 0 || r.held }

func (r *runner) lost() bool { return r.word.Load()&whereMask == isLost }

// root is the runner's goroutine.
func (r *runner) root() {
	ForgetLabels() // of who has posted
	if !r.next(true) {
		r.close()
		return
	}
	for {
		c := r.get()
		c.r, c.pump = r, true
		c.co.Resume()
		if c.dead {
			c.reap()
		}
		switch {
		case r.lost():
			r.close()
			return
		case c.dead:
		case c.idle:
			r.put(c)
			r.close()
			return
		default: // a task keeps it
		}
	}
}

// next waits for another loop to run; false: there will be none. came is whether
// the runner has been called and is there now.
func (r *runner) next(came bool) bool {
	if came {
		r.pool.coming.Add(-1)
	}
	l := r.batch.take()
	if l == nil && r.loop != nil {
		r.loop = nil // it may be long
		r.serving.Store(nil)
	}
	for l == nil { // another runner may have taken what this one was called for
		var ok bool
		if l, ok = r.pool.next(r); !ok {
			return false
		}
		if l == nil {
			r.clock.forget()
			if !<-r.wake {
				return false
			}
			r.pool.coming.Add(-1)
			came = true
			l = r.batch.take()
		}
	}
	r.serve(l)
	if came {
		r.pool.arrived()
	}
	return true
}

func (r *runner) serve(l *Loop) {
	r.loop = l
	r.serving.Store(l)
	l.takeUp(r)
}

// maxFree is how many idle coroutines a runner keeps for itself: enough that
// the pool's lock is rare.
const maxFree = 64

// get returns an idle coroutine.
func (r *runner) get() *coroutine {
	if r.free == nil {
		r.free, r.nFree = r.pool.coroutines(maxFree / 2)
	}
	c := r.free
	if c == nil {
		return newCoroutine()
	}
	r.free = c.next
	r.nFree--
	c.next, c.idle = nil, false
	return c
}

// put keeps an idle coroutine for later.
func (r *runner) put(c *coroutine) {
	c.r, c.pump = nil, false
	c.next = r.free
	r.free = c
	r.nFree++
	if r.nFree > maxFree {
		r.give(maxFree / 2)
	}
}

// give hands all but keep of the idle coroutines to the pool.
func (r *runner) give(keep int) {
	if n := r.nFree - keep; n > 0 {
		first := cut(&r.free, n)
		r.nFree = keep
		r.pool.keep(first, n)
	}
}

// leaveBehind takes all idle coroutines of a runner that is pinned: its turn may
// last for ever. They are to be given to the pool.
func (r *runner) leaveBehind() (first *coroutine, n int) {
	first, n = r.free, r.nFree
	r.free, r.nFree = nil, 0
	return first, n
}

// enough reports whether there are so many idle coroutines that one which has
// nothing to do should end.
func (r *runner) enough() bool {
	return r.nFree >= maxFree/2 && r.pool.nFree.Load() >= maxPooled
}

// reuse looks at a coroutine that has come back from Resume. Neither dead nor
// idle: its task awaits, or it has ended.
func (r *runner) reuse(x *coroutine) {
	switch {
	case x.dead:
		x.reap()
	case x.idle:
		r.put(x)
	}
}

func (r *runner) close() {
	r.give(0)
	r.pool.remove(r)
}
