// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"fmt"
	"sync"
	"time"

	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/loop"
)

// defaultOffloads is Options.MaxOffloads if that is 0.
const defaultOffloads = 128

// How long none of a limiter's functions returns while others wait, until that
// is logged, and until it is logged again.
const (
	stalledAfter = 10 * time.Second
	stalledAgain = time.Minute
)

// Limiter bounds how many of the functions that are offloaded [Through] it run
// at a time, whichever workers of whichever system they are for (anyio's
// CapacityLimiter): connections of a database, say, or calls of a backend.
//
// It is fair between workers: when one function returns, the turn goes to the
// next worker that has some waiting, and among a worker's own to the first. If
// none returns for ten seconds while others wait, the log says so.
//
// A function that waits, by whatever way, for one that needs a place of the same limiter
// may wait for ever: that is no [*DeadlockError], because what a goroutine waits for is
// not known. Give the inner calls a limiter of their own.
type Limiter struct {
	name string
	size int // 0: no bound

	mu      sync.Mutex
	running int
	waiting int
	// The queues of the workers whose functions wait are linked, and the one whose turn it is
	// comes first; queueOf has the same.
	first, last *workerQueue
	queueOf     map[*mailbox]*workerQueue
	returned    uint64 // how many have returned
	stallTimer  *time.Timer
	round       uint64 // of watch: grows when it is set or stopped
	seen        uint64 // ended, when watch was set

	armed, stalled time.Duration // what watch was set to, and for how long nothing has returned before
}

// workerQueue is the functions of one worker that wait, linked.
type workerQueue struct {
	mb          *mailbox
	prev, next  *workerQueue
	first, last *limited
}

// limited is one function of a limiter.
type limited struct {
	prev, next *limited
	queue      *workerQueue // that it waits in
	run        func()
}

// NewLimiter returns a limiter of n functions at a time. Its name is for logs.
// It panics with an [*OptionError] if n is less than 1.
func NewLimiter(name string, n int) *Limiter {
	if n < 1 {
		panic(&OptionError{fmt.Sprintf("actors: NewLimiter %q", name), "n", n, "is less than 1: nothing would run"})
	}
	return &Limiter{name: name, size: n}
}

// Through is an option of [Offload]: the function counts for l, and not for
// the MaxOffloads of its worker.
func Through(l *Limiter) CallOption {
	switch {
	case l == nil:
		panic(&OptionError{"actors: Through", "limiter", nil, "is nil"})
	case l.size == 0:
		panic(&OptionError{"actors: Through", "limiter", nil, "is one that NewLimiter has not made: it would bound nothing"})
	}
	return CallOption{set: setLimiter, limiter: l}
}

// startOrQueue runs c on a goroutine of its own: now, or when its turn has come.
func (l *Limiter) startOrQueue(mb *mailbox, c *limited) {
	l.mu.Lock()
	if l.size > 0 && l.running >= l.size {
		l.queueFunction(mb, c)
		l.mu.Unlock()
		return
	}
	l.running++
	l.mu.Unlock()
	go l.runLimited(c)
}

func (l *Limiter) runLimited(c *limited) {
	defer l.passPlaceOn() // also after a Goexit
	loop.ForgetLabels()
	run := c.run
	c.run = nil // a kept future does not keep what has run
	run()
}

// passPlaceOn gives the place of a function that has returned to the next one.
func (l *Limiter) passPlaceOn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.returned++
	q := l.first
	if q == nil {
		l.running--
		return
	}
	c := q.first
	l.unlinkFunction(c)
	if q.first != nil {
		l.removeQueue(q)
		l.appendQueue(q)
	}
	go l.runLimited(c)
}

// appendQueue puts a worker's queue behind those of the others. With mu held.
func (l *Limiter) appendQueue(q *workerQueue) {
	q.prev = l.last
	if l.last == nil {
		l.first = q
	} else {
		l.last.next = q
	}
	l.last = q
}

// removeQueue takes a worker's queue from among those of the others. With mu held.
func (l *Limiter) removeQueue(q *workerQueue) {
	if q.prev == nil {
		l.first = q.next
	} else {
		q.prev.next = q.next
	}
	if q.next == nil {
		l.last = q.prev
	} else {
		q.next.prev = q.prev
	}
	q.prev, q.next = nil, nil
}

// queueFunction puts c at the end of its worker's queue. With mu held.
func (l *Limiter) queueFunction(mb *mailbox, c *limited) {
	q := l.queueOf[mb]
	if q == nil {
		q = &workerQueue{mb: mb}
		if l.queueOf == nil {
			l.queueOf = map[*mailbox]*workerQueue{}
		}
		l.queueOf[mb] = q
		l.appendQueue(q)
	}
	c.queue, c.prev = q, q.last
	if q.last == nil {
		q.first = c
	} else {
		q.last.next = c
	}
	q.last = c
	mb.offloaded.noteWaiting(1)
	if l.waiting++; l.waiting == 1 {
		l.stalled = 0
		l.watchProgress(stalledAfter)
	}
}

// unlinkFunction takes c out of its queue, which ends with the last. With mu held.
func (l *Limiter) unlinkFunction(c *limited) {
	q := c.queue
	if c.prev == nil {
		q.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		q.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next, c.queue = nil, nil, nil
	if q.first == nil {
		l.removeQueue(q)
		delete(l.queueOf, q.mb)
	}
	q.mb.offloaded.noteWaiting(-1)
	if l.waiting--; l.waiting == 0 {
		l.stallTimer.Stop()
		l.stallTimer = nil
		l.round++
	}
}

// dropQueued takes c out of its queue if it still waits there: it will not run.
func (l *Limiter) dropQueued(c *limited) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.queue != nil {
		l.unlinkFunction(c)
		c.run = nil
	}
}

// isQueued reports whether c has not begun, for lack of a place.
func (l *Limiter) isQueued(c *limited) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return c.queue != nil
}

// watchProgress looks after d whether anything has returned. There is no timer
// while nothing waits, and none is used again: a limiter may be a variable of a
// package, and a timer of one synctest bubble must not turn up in another. With
// mu held.
func (l *Limiter) watchProgress(d time.Duration) {
	l.seen, l.armed = l.returned, d
	l.round++
	round := l.round
	l.stallTimer = time.AfterFunc(d, func() { l.reportStall(round) })
}

func (l *Limiter) reportStall(round uint64) {
	l.mu.Lock()
	if l.round != round {
		l.mu.Unlock()
		return
	}
	if l.returned != l.seen {
		l.stalled = 0
		l.watchProgress(stalledAfter)
		l.mu.Unlock()
		return
	}
	l.stalled += l.armed
	mb, running, waiting, stalled := l.first.mb, l.running, l.waiting, l.stalled
	l.watchProgress(stalledAgain)
	l.mu.Unlock()
	mb.logger().Warn("actors: no offloaded function returns, and others wait for a place",
		"limiter", l.name, "running", running, "waiting", waiting, "for", stalled)
	mb.tellFailure(failure.StalledWork, l.name,
		fmt.Errorf("actors: none of %d offloaded functions has returned for %v, and %d wait for a place", running, stalled, waiting))
}
