// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/protoloop/protoloop/internal/coro"
)

// Here and in least_task.go are workers that keep the promises of package actors which an order and an await
// need, with as little as these need: what bare.go and order_bare.go leave out. By the numbers of the guarantees in the
// documentation of actors, they need:
//
//   - 1, turns: runLoops, and a coroutine for each task that awaits. A pump goes on nested, so that an await takes two switches.
//   - 2, eager: the inbox, a queue without a bound to which anybody posts; leastStart.
//   - 3, 4: leastCore, which many wait for, in tasks and goroutines, each of whom may give up.
//   - 5, 6: run recovers each turn's panic; leastFailure notes whether somebody has looked at a failure.
//   - 8: leastPID and its name, the gate of a worker that has stopped, and the account, which holds at every moment.
//   - 9, and what is said of cancel and budgets: the tree of tasks, state, by which a task is woken once, and leastEnding.
//   - 10: leaveTree and release; what is done is let go of by its parent, the clock and the context.
//   - 11: the runner's word, by which a turn is seen and taken away, awaits, and the list of suspended tasks.
//
// They are no product: there is no restart, no limit, no middleware, no option, no exclusive handler, no search for rings, no
// fairness between tasks or workers, no end of idle coroutines, and no check for misuse.

// leastSystem is what all workers share: names, and the runners of loops that have something to do.
type leastSystem struct {
	names    sync.RWMutex
	byName   map[string]*leastLoop
	deadline leastDeadlines
	unseen   atomic.Int64 // failures that nobody has looked at
	blocked  atomic.Int64 // turns that lasted long
	waiters  sync.Pool    // of *leastWaiting, with their channels

	mu          sync.Mutex
	first, last *leastLoop // those that wait for a runner
	runners     []*leastRunner
	idle        []*leastRunner
	active      int // runners that are not idle
	limit       int // of those; to ask for GOMAXPROCS takes the scheduler's lock
	coming      int // runners that were called and are not there yet: one at a time is enough, and calls the next
	free        *leastPump
	closed      bool
	running     sync.WaitGroup
	over        chan struct{}
}

func newLeastSystem(e *env) *leastSystem {
	s := &leastSystem{byName: map[string]*leastLoop{}, limit: runtime.GOMAXPROCS(0), over: make(chan struct{})}
	watch := time.NewTicker(leastLook)
	s.running.Go(func() { s.watchTurns(watch.C) })
	e.onClose(func() error {
		watch.Stop()
		return s.close()
	})
	return s
}

// leastPID is a worker's name, with the worker that it was found to be last.
type leastPID struct {
	name string
	loop atomic.Pointer[leastLoop]
}

// spawn starts a worker.
func (s *leastSystem) spawn(name string, setup func(*leastLoop)) *leastPID {
	l := &leastLoop{sys: s}
	l.inbox.Store(leastAsleep)
	setup(l)
	s.names.Lock()
	s.byName[name] = l
	s.names.Unlock()
	return &leastPID{name: name}
}

// find returns the worker of pid, or nil.
func (s *leastSystem) find(pid *leastPID) *leastLoop {
	if l := pid.loop.Load(); l != nil {
		return l
	}
	s.names.RLock()
	l := s.byName[pid.name]
	s.names.RUnlock()
	if l != nil {
		pid.loop.Store(l)
	}
	return l
}

// leastLoop is a worker. What is not atomic is its turn's, or the runner's between two.
type leastLoop struct {
	inbox    atomic.Pointer[leastTask] // a stack; leastAsleep: nobody runs the loop
	accepted atomic.Int64
	refused  atomic.Int64
	gate     atomic.Bool // it has stopped, and takes nothing new
	sys      *leastSystem
	handlers []leastHandler // by the type of the message

	ready       leastFIFO // those to go on with: before the others, so that few are suspended at a time
	fresh       leastFIFO // those that have not begun
	polls       uint32
	taken       atomic.Int64
	finished    atomic.Int64
	failed      atomic.Int64
	canceled    atomic.Int64
	current     *leastPump // on which a turn runs, or ran last
	suspended   *leastPump // those whose tasks have awaited: what a look walks over
	runner      atomic.Pointer[leastRunner]
	nextWaiting *leastLoop // for a runner
}

// leastHandler is what a worker does with messages of one type.
type leastHandler struct {
	of   unsafe.Pointer
	call func(t *leastTask)
}

// leastTypeOf is the type of a message: the first word of an interface.
func leastTypeOf(m any) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&m)) }

// leastAsleep is the inbox of a loop that nobody runs.
var leastAsleep = new(leastTask)

var (
	errLeastGone      = errors.New("no such worker")
	errLeastStopped   = errors.New("the worker has stopped")
	errLeastUnhandled = errors.New("no handler for the message")
	errLeastAbandoned = errors.New("the task was abandoned")
	errLeastLate      = errors.New("the budget is used up")
)

// offer gives a worker work from outside, or refuses it.
func (l *leastLoop) offer(t *leastTask) {
	if l.gate.Load() {
		l.refused.Add(1)
		t.refuse(errLeastStopped)
		return
	}
	t.counted = true
	l.accepted.Add(1) // before: what was taken was accepted
	l.push(t)
}

// push queues a task that is to begin or to go on.
func (l *leastLoop) push(t *leastTask) {
	for {
		old := l.inbox.Load()
		if t.next = old; old == leastAsleep {
			t.next = nil
		}
		if l.inbox.CompareAndSwap(old, t) {
			if old == leastAsleep {
				l.sys.wakeLoop(l)
			}
			return
		}
	}
}

// leastFIFO is tasks in order.
type leastFIFO struct{ first, last *leastTask }

// prepend puts t before the others.
func (q *leastFIFO) prepend(t *leastTask) {
	if t.next = q.first; t.next == nil {
		q.last = t
	}
	q.first = t
}

// appendAll puts all of other behind.
func (q *leastFIFO) appendAll(other leastFIFO) {
	if other.first == nil {
		return
	}
	if q.first == nil {
		q.first = other.first
	} else {
		q.last.next = other.first
	}
	q.last = other.last
}

func (q *leastFIFO) pop() *leastTask {
	t := q.first
	if t != nil {
		if q.first, t.next = t.next, nil; q.first == nil { // done tasks keep nothing, and nothing keeps them
			q.last = nil
		}
	}
	return t
}

// collectInbox takes what has come: a stack, the newest first.
func (l *leastLoop) collectInbox() {
	var ready, fresh leastFIFO
	for t := l.inbox.Swap(nil); t != nil; {
		next := t.next
		if t.pump != nil {
			ready.prepend(t)
		} else {
			fresh.prepend(t)
		}
		t = next
	}
	l.ready.appendAll(ready)
	l.fresh.appendAll(fresh)
}

// takeTask returns the task that has the next turn, or nil.
func (l *leastLoop) takeTask() *leastTask {
	l.polls++
	if (l.polls%8 == 0 || l.ready.first == nil && l.fresh.first == nil) && l.inbox.Load() != nil {
		l.collectInbox()
	}
	if t := l.ready.pop(); t != nil {
		return t
	}
	return l.fresh.pop()
}

// counts is the account. What is read first happens last, so it holds whenever it is read.
func (l *leastLoop) counts() (accepted, ended int64) {
	ended = l.finished.Load() + l.failed.Load() + l.canceled.Load()
	return l.accepted.Load(), ended
}

// leastRunner runs one loop at a time: a goroutine, and the pumps that are nested in it.
type leastRunner struct {
	sys     *leastSystem
	word    atomic.Uint64 // the number of the turn, and where it is: what a watchdog sees, and takes away
	turn    uint64
	seen    uint64                    // the watchdog's: the word when it looked last
	loop    *leastLoop                // the one it runs
	serving atomic.Pointer[leastLoop] // … for those who take its turn
	batch   *leastLoop                // those it runs next
	wake    chan struct{}
	nested  int // pumps below the one that runs
	free    *leastPump
	nFree   int
	over    bool
}

const (
	leastInUser uint64 = 1 << iota // a turn runs
	leastIsLost                    // … which has lost its loop
	leastTurn                      // the number of the turn counts in these
)

func (r *leastRunner) enterTurn() {
	r.turn += leastTurn
	r.word.Store(r.turn | leastInUser)
}

// leaveTurn ends a turn; false: it was taken away.
func (r *leastRunner) leaveTurn() bool {
	return r.word.CompareAndSwap(r.turn|leastInUser, r.turn)
}

func (r *leastRunner) hasLostTurn() bool { return r.word.Load()&leastIsLost != 0 }

// watchTurns counts the turns that last from one look to the next.
func (s *leastSystem) watchTurns(look <-chan time.Time) {
	for {
		select {
		case <-look:
			s.mu.Lock()
			for _, r := range s.runners {
				w := r.word.Load()
				if w&leastInUser != 0 && w == r.seen {
					s.blocked.Add(1)
				}
				r.seen = w
			}
			s.mu.Unlock()
		case <-s.over:
			return
		}
	}
}

// takeTurn takes the loop from the turn that runs, and fails its tasks. It reports whether there was one.
func (l *leastLoop) takeTurn() bool {
	r := l.runner.Load()
	if r == nil {
		return false
	}
	w := r.word.Load()
	if w&leastInUser == 0 || r.serving.Load() != l || !r.word.CompareAndSwap(w, w|leastIsLost) {
		return false
	}
	for c := l.current; c != nil; c = c.outer {
		t := c.task
		l.unlistSuspended(c)
		t.end(errLeastAbandoned)
		if t.counted {
			l.failed.Add(1)
		}
	}
	s := l.sys
	s.mu.Lock()
	s.runners = slices.DeleteFunc(s.runners, func(x *leastRunner) bool { return x == r })
	s.active--
	s.givePumps(r)
	for x := r.batch; x != nil; {
		next := x.nextWaiting
		s.addWaiting(x)
		x = next
	}
	s.mu.Unlock()
	s.wakeLoop(l)
	return true
}

// addWaiting puts l behind those that wait for a runner. With mu held, as the next.
func (s *leastSystem) addWaiting(l *leastLoop) {
	l.nextWaiting = nil
	if s.first == nil {
		s.first = l
	} else {
		s.last.nextWaiting = l
	}
	s.last = l
}

// callRunner returns one that is to be called, if loops wait for one and may have another.
func (s *leastSystem) callRunner() (r *leastRunner, isNew bool) {
	if s.first == nil || s.coming > 0 || s.active >= s.limit {
		return nil, false
	}
	s.coming++
	s.active++
	if n := len(s.idle); n > 0 {
		r, s.idle = s.idle[n-1], s.idle[:n-1]
		return r, false
	}
	r = &leastRunner{sys: s, wake: make(chan struct{}, 1)}
	s.runners = append(s.runners, r)
	return r, true
}

func (r *leastRunner) beginRunning(isNew bool) {
	if isNew {
		r.sys.running.Go(r.runRoot)
	} else {
		r.wake <- struct{}{}
	}
}

// wakeLoop gives a loop that was asleep to a runner.
func (s *leastSystem) wakeLoop(l *leastLoop) {
	s.mu.Lock()
	s.addWaiting(l)
	r, isNew := s.callRunner()
	s.mu.Unlock()
	if r != nil {
		r.beginRunning(isNew)
	}
}

// leastBatch loops are taken at a time: the lock is then rare.
const leastBatch = 32

// nextLoop waits for a loop; nil: there will be none. came: the runner was called.
func (r *leastRunner) nextLoop(came bool) *leastLoop {
	s := r.sys
	l := r.batch
	for lingered := false; l == nil; {
		s.mu.Lock()
		if came {
			came = false
			s.coming--
		}
		if l = s.first; l != nil {
			end := l
			for n := 1; n < leastBatch && end.nextWaiting != nil; n++ {
				end = end.nextWaiting
			}
			s.first, end.nextWaiting = end.nextWaiting, nil
			other, isNew := s.callRunner()
			s.mu.Unlock()
			if other != nil {
				other.beginRunning(isNew)
			}
			break
		}
		if s.closed {
			s.mu.Unlock()
			return nil
		}
		if lingered = !lingered; lingered { // cheaper than to wait and be called, where an asker has the next message ready
			s.mu.Unlock()
			runtime.Gosched()
			continue
		}
		s.active--
		s.idle = append(s.idle, r)
		s.mu.Unlock()
		<-r.wake
		came = true
	}
	r.batch, l.nextWaiting = l.nextWaiting, nil
	r.loop = l
	r.serving.Store(l)
	if l.runner.Load() != r {
		l.runner.Store(r)
	}
	return l
}

// close ends the runners, which have nothing to do, and all coroutines.
func (s *leastSystem) close() error {
	close(s.over)
	s.mu.Lock()
	s.closed = true
	for _, r := range s.idle {
		s.coming++ // it is called as for a loop
		s.active++
		r.wake <- struct{}{}
	}
	s.idle = nil
	s.mu.Unlock()
	s.running.Wait()
	s.deadline.stopTimer()
	for c := s.free; c != nil; c = c.next {
		c.co.Stop()
	}
	return nil
}

// leastPump is a coroutine. It runs loops until a task of theirs awaits, which keeps it. When that task goes on and
// ends, it runs loops again, nested in the pump that has resumed it, which goes on when a task awaits
// the next time. So an await takes two switches.
type leastPump struct {
	co   coro.Coro
	r    *leastRunner // who has resumed it
	task *leastTask   // the one that runs or is suspended on it
	wait leastWaiting // by which its task waits
	next *leastPump   // of those that are free

	older, newer *leastPump // in its loop's list of suspended tasks
	outer        *leastPump // whose task has started this one's, in the same turn
	listed       bool
	nested       bool // its task was suspended: it is no pump until that ends
	idle         bool
}

// leastNested is how many pumps may be nested in each other; see maxNested of package loop.
const leastNested = 1024

// leastFree is how many idle pumps a runner keeps for itself, without a lock.
const leastFree = 64

func (r *leastRunner) takePump() *leastPump {
	c := r.free
	if c != nil {
		r.free = c.next
		r.nFree--
	} else {
		s := r.sys
		s.mu.Lock()
		if c = s.free; c != nil {
			s.free = c.next
		}
		s.mu.Unlock()
	}
	if c == nil {
		c = &leastPump{}
		c.wait.pump = c
		c.co.Init(c.main)
	}
	c.next, c.idle = nil, false
	return c
}

func (r *leastRunner) keepPump(c *leastPump) {
	c.task, c.r, c.nested = nil, nil, false
	if r.nFree < leastFree {
		c.next, r.free = r.free, c
		r.nFree++
		return
	}
	r.sys.mu.Lock()
	c.next, r.sys.free = r.sys.free, c
	r.sys.mu.Unlock()
}

// givePumps gives those that r has to all. With mu held.
func (s *leastSystem) givePumps(r *leastRunner) {
	for c := r.free; c != nil; {
		next := c.next
		c.next, s.free = s.free, c
		c = next
	}
	r.free, r.nFree = nil, 0
}

// runRoot is a runner's goroutine.
func (r *leastRunner) runRoot() {
	r.nextLoop(true)
	for !r.over {
		c := r.takePump()
		c.r, r.nested = r, 0
		c.co.Resume()
		if r.hasLostTurn() {
			return
		}
		if c.idle {
			r.keepPump(c)
		}
	}
	r.sys.mu.Lock()
	r.sys.givePumps(r)
	r.sys.mu.Unlock()
}

func (c *leastPump) main(yield func(struct{}) bool) {
	if !c.co.Begin(yield) {
		return
	}
	for {
		if t := c.task; t != nil { // of Start
			t.run()
			if c.finishTask(t) && c.nested {
				c.goOnAsPump()
			}
		} else {
			c.runLoops()
		}
		if c.r.hasLostTurn() {
			return
		}
		c.idle = true
		if !c.co.Yield() {
			return
		}
	}
}

// goOnAsPump runs loops, after a task that was suspended on c has ended.
func (c *leastPump) goOnAsPump() {
	if c.r.nested < leastNested {
		c.r.nested++
		c.nested = false
		c.runLoops()
	}
}

// runLoops is a pump's life: one turn after the other.
func (c *leastPump) runLoops() {
	for {
		r := c.r
		l := r.loop
		if l == nil {
			if l = r.nextLoop(false); l == nil {
				r.over = true
				return
			}
		}
		t := l.takeTask()
		switch {
		case t == nil:
			if l.inbox.CompareAndSwap(nil, leastAsleep) {
				r.loop = nil
			}
		case t.pump != nil:
			x, nested := t.pump, r.nested
			x.r = r
			l.current = x
			r.enterTurn()
			x.co.Resume()
			r.nested = nested
			if r.hasLostTurn() {
				return
			}
			if x.idle {
				r.keepPump(x)
			}
			if r.over {
				return
			}
		default:
			l.taken.Add(1)
			if t.why() != nil { // it was ended in the queue, and never begins
				t.conclude(l)
				continue
			}
			c.task, l.current = t, c
			t.pump = c
			r.enterTurn()
			t.run() // here: each frame below is one more that the collector walks of each suspended task
			if !c.finishTask(t) {
				return
			}
			c.task = nil
			if c.nested {
				if c.r.nested >= leastNested {
					return
				}
				c.r.nested++
				c.nested = false
			}
		}
	}
}

// finishTask is for a task whose user code has returned. It reports false if its turn was taken away.
func (c *leastPump) finishTask(t *leastTask) bool {
	if !c.r.leaveTurn() { // the loop is not ours, and all else was done
		t.leaveTree()
		return false
	}
	t.loop.unlistSuspended(c)
	t.conclude(t.loop)
	return true
}

func (l *leastLoop) listSuspended(c *leastPump) {
	if c.listed {
		return
	}
	c.listed = true
	if c.older = l.suspended; c.older != nil {
		c.older.newer = c
	}
	l.suspended = c
}

func (l *leastLoop) unlistSuspended(c *leastPump) {
	if !c.listed {
		return
	}
	c.listed = false
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		l.suspended = c.older
	}
	if c.older != nil {
		c.older.newer = c.newer
	}
	c.older, c.newer = nil, nil
}
