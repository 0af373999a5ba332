// SPDX-License-Identifier: Apache-2.0

package nats

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// outbox is a connection to a server on which a Write does not wait: the client of NATS writes with its lock held, and
// with a server that does not read, each Send would wait for that lock. What the system does not take at once waits here, and
// [line.Send] looks how much that is.
type outbox struct {
	net.Conn
	// epoch is greater than those of all connections before. See [line.frame].
	epoch uint64
	phase phase
	// ping is how often something comes from a server that is there: an answer to a ping.
	ping time.Duration
	// patientSince is when the deadline of what is read was moved last. By whoever reads.
	patientSince time.Time
	// size is how many bytes wait or are being written.
	size atomic.Int64

	raw    syscall.RawConn // nil: the connection has none
	filled chan struct{}
	mu     sync.Mutex
	// All below with mu held.
	waiting []byte
	writing bool // what waited is being written
	broken  error
}

// phase is what a connection to a server can be used for.
//
//	dialled ──opened──▶ open ──▶ over
//	   └─────────────────────────▲
//
// The client makes a connection with its lock held: whoever sent something meanwhile would wait until a server is found, or the
// last has not answered for Options.Timeout. So nobody calls it but between enter and leave.
type phase struct {
	is    atomic.Int32
	using sync.RWMutex // by those who are between enter and leave
}

const (
	isDialled = iota // the client and the server greet each other
	isOpen
	isOver
)

func (p *phase) opened() { p.is.CompareAndSwap(isDialled, isOpen) }

// end returns when nobody uses the connection any more.
func (p *phase) end() {
	p.using.Lock()
	defer p.using.Unlock()
	p.is.Store(isOver)
}

func (p *phase) isOpen() bool { return p.is.Load() == isOpen }

// enter reports whether the connection is open. Then the client makes no other one until leave is called.
func (p *phase) enter() bool {
	if !p.isOpen() { // most often known without the lock
		return false
	}
	p.using.RLock()
	if p.isOpen() {
		return true
	}
	p.using.RUnlock()
	return false
}

func (p *phase) leave() { p.using.RUnlock() }

// keptBuffer is how large a buffer may be that is kept for what is written next.
const keptBuffer = 1 << 20

func newOutbox(c net.Conn, epoch uint64, ping time.Duration) *outbox {
	o := &outbox{Conn: c, epoch: epoch, ping: ping, filled: make(chan struct{}, 1)}
	if s, is := c.(syscall.Conn); is {
		o.raw, _ = s.SyscallConn()
	}
	go o.write()
	return o
}

const (
	// silentPings is after how many pings a server is given up from which nothing has come: neither an answer nor anything else.
	silentPings = 5
	// unansweredPings is after how many it is given up in any case. An answer comes behind all that waits for this node, which may
	// be 64 MiB: if it counted alone, a node to which much is sent would be cut off, lose all of that, and get no less of it then.
	unansweredPings = 50
)

// opened: the client and the server have greeted each other, by the client's own deadlines. From here on it is to be heard of the server.
func (o *outbox) opened() {
	o.phase.opened()
	_ = o.Conn.SetReadDeadline(time.Now().Add(silentPings * o.ping)) // of the Read that has begun; it fails if the connection is closed
}

// Read is [net.Conn]'s. It fails when the server is silent. The client makes no other connection before it has returned with an error.
func (o *outbox) Read(p []byte) (int, error) {
	if o.phase.isOpen() {
		// Not each time: that takes a fifth as long as what the system takes to read.
		if now := time.Now(); now.Sub(o.patientSince) >= o.ping/4 {
			o.patientSince = now
			_ = o.Conn.SetReadDeadline(now.Add(silentPings * o.ping))
		}
	}
	n, err := o.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) && o.phase.isOpen() {
		// This machine may have stood still, and something may be there.
		_ = o.Conn.SetReadDeadline(time.Now().Add(o.ping / 4))
		o.patientSince = time.Time{}
		if n, err = o.Conn.Read(p); errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("nothing has come from the server for %v", silentPings*o.ping)
		}
	}
	if err != nil {
		o.phase.end()
	}
	return n, err
}

// Write is [net.Conn]'s. It fails if an earlier one has not succeeded after all.
func (o *outbox) Write(p []byte) (int, error) {
	o.mu.Lock()
	if o.broken != nil {
		defer o.mu.Unlock()
		return 0, o.broken
	}
	whole := len(p)
	// To wake another goroutine for this took longer than to write: an eighth of the time of an ask that is alone
	// (bench: asks/near-1). Its price is that whoever sends meanwhile waits for one call of the system.
	if o.raw != nil && !o.writing && len(o.waiting) == 0 {
		p = p[tryWrite(o.raw, p):]
		if len(p) == 0 {
			o.mu.Unlock()
			return whole, nil
		}
	}
	o.waiting = append(o.waiting, p...)
	o.size.Add(int64(len(p)))
	o.mu.Unlock()
	o.signal()
	return whole, nil
}

func (o *outbox) signal() {
	select {
	case o.filled <- struct{}{}:
	default:
	}
}

// write writes what waits, all of it at a time.
func (o *outbox) write() {
	var buf []byte
	for range o.filled {
		if cap(buf) > keptBuffer {
			buf = nil
		}
		o.mu.Lock()
		buf, o.waiting = o.waiting, buf[:0]
		broken := o.broken
		o.writing = len(buf) > 0
		o.mu.Unlock()
		if broken != nil {
			return
		}
		if _, err := o.Conn.Write(buf); err != nil {
			o.end(err)
			return
		}
		o.size.Add(-int64(len(buf)))
		o.mu.Lock()
		o.writing = false
		o.mu.Unlock()
	}
}

func (o *outbox) end(why error) error {
	o.mu.Lock()
	if o.broken == nil {
		o.broken = why
	}
	o.waiting = nil
	o.mu.Unlock()
	o.signal()
	return o.Conn.Close() // so that the client reads an error
}

// Close is [net.Conn]'s. What waits is not written.
func (o *outbox) Close() error { return o.end(net.ErrClosed) }

// SetDeadline is [net.Conn]'s, and is for reading alone.
func (o *outbox) SetDeadline(t time.Time) error { return o.SetReadDeadline(t) }

// SetWriteDeadline is [net.Conn]'s. A Write does not wait; a server that does not read is given up because it answers no ping.
func (o *outbox) SetWriteDeadline(time.Time) error { return nil }
