package engineio

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"time"
)

// conn is the network connection below a WebSocket. Its lock keeps our frames
// apart from the control frames that the WebSocket library writes: each of
// those fits its write buffer, and so comes as one Write.
type conn struct {
	net.Conn
	head []byte // read from the connection already, by net/http

	mu sync.Mutex // held while a frame is written
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
	c.mu.Lock()
	defer c.mu.Unlock()
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
	c := &conn{Conn: nc}
	if n := rw.Reader.Buffered(); n > 0 {
		b, _ := rw.Reader.Peek(n)
		c.head = append(c.head, b...)
	}
	h.conn = c
	return c, bufio.NewReadWriter(bufio.NewReaderSize(c, readBuffer), bufio.NewWriterSize(c, writeBuffer)), nil
}
