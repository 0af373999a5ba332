// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"time"

	"github.com/protoloop/protoloop/socketio/internal/parser"
)

// intake tracks what a client has sent that has to run in order: events, the
// ends of sockets, and connects. Up to MaxEvents are with the worker; what comes
// then is held, so that acknowledgements and disconnects behind it are read: a
// handler may wait for one. It is guarded by the session's mu.
type intake struct {
	running int // events with the worker, and sockets that have left and have not ended
	held    []queued
	size    int           // of those
	room    chan struct{} // has a value when something has ended; nil: nobody waits
}

// queued is something that runs on the worker for a socket.
type queued struct {
	s    *Socket
	what queuedKind
	h    *handler       // of an event
	p    *parser.Packet // likewise
}

type queuedKind uint8

const (
	queuedEvent queuedKind = iota
	queuedConnect
	queuedEnd
)

// The sizes of what is held, in memory.
const (
	heldPayloads = 4 // MaxPayloads that are held at the most
	heldOverhead = 300
	heldArgument = 24
)

func (q *queued) size() int {
	n := heldOverhead
	if q.p == nil {
		return n
	}
	for _, arg := range q.p.Args {
		n += heldArgument + len(arg)
	}
	for _, b := range q.p.Attachments {
		n += heldArgument + len(b)
	}
	return n
}

// take has an event or a connect run after what came before, on the goroutine
// that reads. If too much is held it waits, and so holds up what reads from the
// client. Without an error false is that q came too late.
func (c *session) take(q queued) (taken bool, err error) {
	size := q.size()
	c.mu.Lock()
	if c.fits(size) {
		defer c.mu.Unlock()
		return c.passInTime(q, size), nil
	}
	c.mu.Unlock()
	c.eio.Pause()
	defer c.eio.Resume()
	timer := time.NewTimer(max(c.srv.opts.PingTimeout, 1))
	defer timer.Stop()
	for {
		c.mu.Lock()
		switch {
		case c.ended || c.stop != nil:
			c.mu.Unlock()
			return false, nil
		case c.fits(size):
			defer c.mu.Unlock()
			return c.passInTime(q, size), nil
		}
		if c.in.room == nil {
			c.in.room = make(chan struct{}, 1)
		}
		room := c.in.room
		c.mu.Unlock()
		select {
		case <-room:
			timer.Reset(max(c.srv.opts.PingTimeout, 1))
		case <-timer.C:
			c.srv.counts.overloads.Add(1)
			return false, errOverload
		}
	}
}

// takeEnd is take for the end of a socket, on any goroutine. It does not wait:
// before there is another one the socket has to connect again.
func (c *session) takeEnd(s *Socket) {
	q := queued{s: s, what: queuedEnd}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pass(q, q.size())
}

// fits reports whether something of that size can be passed on or held.
// With mu held.
func (c *session) fits(size int) bool {
	return c.in.size == 0 || int64(c.in.size)+int64(size) <= heldPayloads*c.srv.opts.MaxPayload
}

// passInTime passes q, but no event behind the end of its socket. With mu held.
func (c *session) passInTime(q queued, size int) bool {
	q.s.mu.Lock()
	late := q.what == queuedEvent && q.s.state == socketClosed
	q.s.mu.Unlock()
	if !late {
		c.pass(q, size)
	}
	return !late
}

// pass hands q on, or holds it. With mu held.
func (c *session) pass(q queued, size int) {
	if len(c.in.held) == 0 && c.in.running < c.srv.opts.MaxEvents {
		c.deliverQueued(q)
		return
	}
	c.srv.counts.held.Add(1)
	c.in.held = append(c.in.held, q)
	c.in.size += size
}

// deliverQueued gives q to its socket or the worker. With mu held.
func (c *session) deliverQueued(q queued) {
	s := q.s
	switch q.what {
	case queuedConnect:
		s.handed = true
		if s.leftEarly {
			c.count(s)
		}
		c.runOnWorker("socketio connect "+s.ns.name, s.connect)
	case queuedEnd:
		c.count(s)
		s.enqueue(q)
	case queuedEvent:
		c.in.running++
		s.enqueue(q)
	}
}

// count counts a socket that has left as an event until it has ended, so that a
// client cannot connect and leave without end. With mu held.
func (c *session) count(s *Socket) {
	c.in.running++
	s.counted = true
}

// release counts an event out.
func (c *session) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.letGo()
}

// letGo hands on what has been held for something that has ended. With mu held.
func (c *session) letGo() {
	c.in.running--
	for len(c.in.held) > 0 && c.in.running < c.srv.opts.MaxEvents {
		q := c.in.held[0]
		c.in.held[0] = queued{}
		if c.in.held = c.in.held[1:]; len(c.in.held) == 0 {
			c.in.held = nil
		}
		c.in.size -= q.size()
		c.deliverQueued(q)
	}
	c.wake()
}

// wake has take look again. With mu held.
func (c *session) wake() {
	if c.in.room == nil {
		return
	}
	select {
	case c.in.room <- struct{}{}:
	default:
	}
}
