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
type Limiter struct {
	name string
	size int // 0: no bound

	mu      sync.Mutex
	running int
	waiting int
	// The workers whose functions wait are linked, and the one whose turn it is
	// comes first; of has the same.
	first, last *line
	of          map[*mailbox]*line
	ended       uint64 // how many have returned
	watch       *time.Timer
	round       uint64 // of watch: grows when it is set or stopped
	seen        uint64 // ended, when watch was set

	armed, stalled time.Duration // what watch was set to, and for how long nothing has returned before
}

// line is what of one worker waits, linked.
type line struct {
	mb          *mailbox
	prev, next  *line
	first, last *limited
}

// limited is one function of a limiter.
type limited struct {
	prev, next *limited
	line       *line // that it waits in
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
		l.queueUp(mb, c)
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
	l.ended++
	ln := l.first
	if ln == nil {
		l.running--
		return
	}
	c := ln.first
	l.unlink(c)
	if ln.first != nil {
		l.leave(ln)
		l.goLast(ln)
	}
	go l.runLimited(c)
}

// goLast puts a worker's line behind those of the others. With mu held.
func (l *Limiter) goLast(ln *line) {
	ln.prev = l.last
	if l.last == nil {
		l.first = ln
	} else {
		l.last.next = ln
	}
	l.last = ln
}

// leave takes a worker's line from among those of the others. With mu held.
func (l *Limiter) leave(ln *line) {
	if ln.prev == nil {
		l.first = ln.next
	} else {
		ln.prev.next = ln.next
	}
	if ln.next == nil {
		l.last = ln.prev
	} else {
		ln.next.prev = ln.prev
	}
	ln.prev, ln.next = nil, nil
}

// queueUp puts c at the end of its worker's line. With mu held.
func (l *Limiter) queueUp(mb *mailbox, c *limited) {
	ln := l.of[mb]
	if ln == nil {
		ln = &line{mb: mb}
		if l.of == nil {
			l.of = map[*mailbox]*line{}
		}
		l.of[mb] = ln
		l.goLast(ln)
	}
	c.line, c.prev = ln, ln.last
	if ln.last == nil {
		ln.first = c
	} else {
		ln.last.next = c
	}
	ln.last = c
	mb.offloadsWaiting.Add(1)
	if l.waiting++; l.waiting == 1 {
		l.stalled = 0
		l.watchProgress(stalledAfter)
	}
}

// unlink takes c out of its line, which ends with the last. With mu held.
func (l *Limiter) unlink(c *limited) {
	ln := c.line
	if c.prev == nil {
		ln.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		ln.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next, c.line = nil, nil, nil
	if ln.first == nil {
		l.leave(ln)
		delete(l.of, ln.mb)
	}
	ln.mb.offloadsWaiting.Add(-1)
	if l.waiting--; l.waiting == 0 {
		l.watch.Stop()
		l.watch = nil
		l.round++
	}
}

// dropQueued takes c out of its line if it still waits there: it will not run.
func (l *Limiter) dropQueued(c *limited) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.line != nil {
		l.unlink(c)
		c.run = nil
	}
}

// isQueued reports whether c has not begun, for lack of a place.
func (l *Limiter) isQueued(c *limited) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return c.line != nil
}

// watchProgress looks after d whether anything has returned. There is no timer
// while nothing waits, and none is used again: a limiter may be a variable of a
// package, and a timer of one synctest bubble must not turn up in another. With
// mu held.
func (l *Limiter) watchProgress(d time.Duration) {
	l.seen, l.armed = l.ended, d
	l.round++
	round := l.round
	l.watch = time.AfterFunc(d, func() { l.reportStall(round) })
}

func (l *Limiter) reportStall(round uint64) {
	l.mu.Lock()
	if l.round != round {
		l.mu.Unlock()
		return
	}
	if l.ended != l.seen {
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
