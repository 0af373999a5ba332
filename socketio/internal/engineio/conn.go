// SPDX-License-Identifier: Apache-2.0

package engineio

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"time"
)

// conn is the network connection below a WebSocket. Its turn keeps our frames
// apart from the close frames that the WebSocket library writes: each of those
// fits its write buffer, and so comes as one Write.
type conn struct {
	net.Conn
	head []byte // read from the connection already, by net/http

	turn  chan struct{} // full while a frame is written; first come, first served
	pongs pongs
}

// pongs tracks the answer to the client's pings. The library would write it
// while nothing is read, and give up after five seconds: a client that takes
// longer to read a frame would be cut off because it pings.
type pongs struct {
	mu     sync.Mutex
	owed   []byte // the answer to the last ping, which is enough; nil: none
	sender sync.WaitGroup
	busy   bool // there is a sender
}

// pong has the last ping answered between two frames.
func (c *conn) pong(payload []byte) {
	p := &c.pongs
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owed = append([]byte{0x8a, byte(len(payload))}, payload...) // up to 125 bytes
	if !p.busy {
		p.busy = true
		p.sender.Go(c.sendPongs)
	}
}

func (c *conn) sendPongs() {
	p := &c.pongs
	for {
		c.turn <- struct{}{}
		p.mu.Lock()
		frame := p.owed
		p.owed, p.busy = nil, frame != nil
		p.mu.Unlock()
		if frame != nil {
			_, _ = c.Conn.Write(frame) // whoever reads hears of an error
		}
		<-c.turn
		if frame == nil {
			return
		}
	}
}

// Sizes of the buffers that the WebSocket library uses of a connection. Those
// of net/http are 4 KiB each, which an idle client would hold for nothing; what
// is larger than the buffer bypasses it.
const (
	readBuffer  = 512
	writeBuffer = 256 // control frames have up to 127 bytes
)

func (c *conn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		if c.head = c.head[n:]; len(c.head) == 0 {
			c.head = nil
		}
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *conn) Write(p []byte) (int, error) {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	return c.Conn.Write(p)
}

// writeBy gives the writes until then.
func (c *conn) writeBy(d time.Duration) { _ = c.SetWriteDeadline(time.Now().Add(d)) }

// closeLinger is for how long a connection that the server closes waits for the
// client's close frame.
const closeLinger = 2 * time.Second

// linger bounds what is left of the connection's life.
func (c *conn) linger() { _ = c.SetDeadline(time.Now().Add(closeLinger)) }

// hijackWriter takes the connection from net/http for the WebSocket library,
// with our buffers instead of net/http's.
type hijackWriter struct {
	http.ResponseWriter
	conn *conn
}

// Unwrap is for http.ResponseController.
func (h *hijackWriter) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// Hijack is called by the WebSocket library.
func (h *hijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	c := &conn{Conn: nc, turn: make(chan struct{}, 1)}
	if n := rw.Reader.Buffered(); n > 0 {
		b, _ := rw.Reader.Peek(n)
		c.head = append(c.head, b...)
	}
	h.conn = c
	return c, bufio.NewReadWriter(bufio.NewReaderSize(c, readBuffer), bufio.NewWriterSize(c, writeBuffer)), nil
}
