package actors

import (
	"fmt"
	"sync"
	"time"

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
	// lines are the workers whose functions wait, and the one whose turn it is
	// first; of has the same.
	lines []*line
	of    map[*mailbox]*line
	ended uint64 // how many have returned
	watch *time.Timer
	seen  uint64 // ended, when watch was set

	armed, stalled time.Duration // what watch was set to, and for how long nothing has returned before
}

// line is what of one worker waits, linked.
type line struct {
	mb          *mailbox
	first, last *limited
}

// limited is one function of a limiter.
type limited struct {
	prev, next *limited
	line       *line // that it waits in
	run        func()
}

// NewLimiter returns a limiter of n functions at a time. Its name is for logs.
// It panics if n is less than 1.
func NewLimiter(name string, n int) *Limiter {
	if n < 1 {
		panic(fmt.Sprintf("actors: NewLimiter(%q, %d): it would let nothing run", name, n))
	}
	return &Limiter{name: name, size: n}
}

// Through is an option of [Offload]: the function counts for l, and not for
// the MaxOffloads of its worker.
func Through(l *Limiter) CallOption {
	if l == nil {
		panic("actors: Through called with a nil limiter")
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
	if len(l.lines) == 0 {
		l.running--
		return
	}
	ln := l.lines[0]
	l.lines[0] = nil
	l.lines = l.lines[1:]
	c := ln.first
	l.unlink(c)
	if ln.first != nil {
		l.lines = append(l.lines, ln)
	} else {
		delete(l.of, ln.mb)
	}
	go l.runLimited(c)
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
		l.lines = append(l.lines, ln)
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

// unlink takes c out of its line. With mu held.
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
	ln.mb.offloadsWaiting.Add(-1)
	if l.waiting--; l.waiting == 0 {
		l.watch.Stop()
	}
}

// dropQueued takes c out of its line if it still waits there: it will not run.
func (l *Limiter) dropQueued(c *limited) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := c.line
	if ln == nil {
		return
	}
	l.unlink(c)
	c.run = nil
	if ln.first == nil {
		delete(l.of, ln.mb)
		for i, other := range l.lines {
			if other == ln {
				l.lines = append(l.lines[:i], l.lines[i+1:]...)
				break
			}
		}
	}
}

// isQueued reports whether c has not begun, for lack of a place.
func (l *Limiter) isQueued(c *limited) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return c.line != nil
}

// watchProgress looks after d whether anything has returned. There is no timer while
// nothing waits. With mu held.
func (l *Limiter) watchProgress(d time.Duration) {
	l.seen, l.armed = l.ended, d
	if l.watch == nil {
		l.watch = time.AfterFunc(d, l.reportStall)
		return
	}
	l.watch.Reset(d)
}

func (l *Limiter) reportStall() {
	l.mu.Lock()
	if l.waiting == 0 {
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
	mb, running, waiting, stalled := l.lines[0].mb, l.running, l.waiting, l.stalled
	l.watchProgress(stalledAgain)
	l.mu.Unlock()
	mb.logger().Warn("actors: no offloaded function returns, and others wait for a place",
		"limiter", l.name, "running", running, "waiting", waiting, "for", stalled)
}
