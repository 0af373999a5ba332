// SPDX-License-Identifier: Apache-2.0

package engineio

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// wsConn is a WebSocket connection. Its reader closes it in the end.
type wsConn struct {
	c       *websocket.Conn
	nc      *conn
	writers sync.WaitGroup // goroutines that write; added to with the session's mu held
}

// accept makes a WebSocket of the request. If it cannot the request has been
// answered.
func (s *Server) accept(w http.ResponseWriter, r *http.Request) *wsConn {
	hw := &hijackWriter{ResponseWriter: w}
	// A stop waits for this; the hijack takes the deadline away.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.opts.UpgradeTimeout))
	c, err := websocket.Accept(hw, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // the origin has been verified
		CompressionMode:    websocket.CompressionDisabled,
		Subprotocols:       firstSubprotocol(r),
		OnPingReceived: func(_ context.Context, payload []byte) bool {
			hw.conn.pong(payload)
			return false
		},
	})
	if err != nil {
		s.counts.refused.Add(1)
		return nil
	}
	c.SetReadLimit(s.opts.MaxPayload)
	return &wsConn{c: c, nc: hw.conn}
}

// firstSubprotocol is what the client of an application's subprotocols gets, as
// from the reference: a browser takes an answer without one for a failure.
func firstSubprotocol(r *http.Request) []string {
	first, _, _ := strings.Cut(r.Header.Get("Sec-WebSocket-Protocol"), ",")
	if first = strings.TrimSpace(first); first == "" {
		return nil
	}
	return []string{first}
}

// acceptWebSocket is the handshake of a session that begins as a WebSocket.
func (s *Session) acceptWebSocket(w http.ResponseWriter, r *http.Request) {
	if !s.srv.addReader() {
		s.end(ForcedClose, ending{})
		s.srv.refuse(w, errUnavailable)
		return
	}
	c := s.srv.accept(w, r)
	if c == nil {
		s.end(TransportError, ending{})
		s.srv.readers.Done()
		return
	}
	s.mu.Lock()
	s.ws = c
	over := s.state == closed // by a stop, which had no connection to cut
	if !over {
		s.srv.counts.websockets.Add(1)
		s.counted = true
	}
	s.mu.Unlock()
	if over {
		_ = c.nc.Close()
	}
	s.begin(r)
	// A goroutine of its own: that of the request has a larger stack by now,
	// which an idle client would hold.
	go s.serveWebSocket(c)
}

func (s *Session) serveWebSocket(c *wsConn) {
	defer s.srv.readers.Done()
	s.read(c)
	c.close()
}

// close is the end of a connection that nobody reads any more.
func (c *wsConn) close() {
	_ = c.c.CloseNow()
	c.writers.Wait()
	c.nc.pongs.sender.Wait()
}

// read hands on what comes, until the connection ends.
func (s *Session) read(c *wsConn) {
	for {
		typ, r, err := c.c.Reader(context.Background())
		if err == nil {
			err = s.readMessage(typ, r)
		}
		if err != nil {
			s.readFailed(err)
			return
		}
	}
}

func (s *Session) readMessage(typ websocket.MessageType, r io.Reader) error {
	scratch := s.srv.buffers.Get().(*[]byte)
	defer s.srv.release(scratch)
	b, err := readAll(r, (*scratch)[:0])
	*scratch = b
	if err != nil {
		return err
	}
	result := failed
	if typ == websocket.MessageBinary {
		result = s.receiveBinary(slices.Clone(b))
	} else {
		result = s.receiveText(b)
	}
	if result == closeAsked {
		s.end(TransportClose, ending{})
	}
	// After a failure the connection is still read, for the client's close
	// frame; what comes before that is dropped.
	return nil
}

// readFailed ends the session with the reason that the reference gives.
func (s *Session) readFailed(err error) {
	var netErr net.Error
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		s.srv.counts.tooLarge.Add(1)
		s.srv.counts.malformed.Add(1)
		s.end(TransportError, ending{broken: true})
	case websocket.CloseStatus(err) != -1, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed), errors.As(err, &netErr):
		s.end(TransportClose, ending{broken: true})
	default: // no WebSocket frame
		if s.receiving() {
			s.srv.counts.malformed.Add(1)
		}
		s.end(TransportError, ending{broken: true})
	}
}

// closeFrame is a close frame without a status, as the reference's is.
var closeFrame = []byte{0x88, 0}

// write writes what is queued, until the queue is empty. It runs on a goroutine
// of its own, one at a time: a client that does not read holds up nobody else.
func (s *Session) write(c *wsConn) {
	defer c.writers.Done()
	var batch []*Frame
	frames, written := 0, 0
	for {
		s.mu.Lock()
		s.queued = max(s.queued-written, 0)
		tell := s.wrote(frames, written)
		batch, s.queue = s.queue, batch[:0]
		frames = len(batch)
		if len(batch) == 0 {
			if cap(s.queue) > keptQueue {
				s.queue = nil
			}
			state := s.state
			s.writing = state != opened // the last has been written
			s.mu.Unlock()
			tell()
			switch state {
			case closing:
				c.nc.linger()
				_, _ = c.nc.Write(closeFrame)
				s.end(ForcedClose, ending{})
			case closed:
				_, _ = c.nc.Write(closeFrame)
			}
			return
		}
		s.mu.Unlock()
		tell()
		var err error
		if written, err = s.writeFrames(c, batch); err != nil {
			s.end(TransportClose, ending{broken: true})
			return
		}
		clear(batch)
	}
}

// keptQueue is the capacity of a queue that an idle session may keep.
const keptQueue = 8

// joinUpTo is how many bytes of small frames are joined to one write: a system
// call costs more than to copy them.
const joinUpTo = 16 << 10

// writeFrames writes a batch and returns what it counted in the queue.
func (s *Session) writeFrames(c *wsConn, batch []*Frame) (size int, err error) {
	bytes := 0
	for _, f := range batch {
		size += f.size()
		bytes += len(f.packet)
	}
	switch {
	case len(batch) == 1:
		_, err = c.nc.Write(batch[0].ws)
	default:
		err = s.writeJoined(c, batch)
	}
	if err == nil {
		s.srv.counts.sent.Add(int64(len(batch)))
		s.srv.counts.sentBytes.Add(int64(bytes))
	}
	return size, err
}

func (s *Session) writeJoined(c *wsConn, batch []*Frame) error {
	scratch := s.srv.buffers.Get().(*[]byte)
	defer s.srv.release(scratch)
	joined := (*scratch)[:0]
	defer func() { *scratch = joined }()
	for _, f := range batch {
		if len(joined) > 0 && len(joined)+len(f.ws) > joinUpTo {
			if _, err := c.nc.Write(joined); err != nil {
				return err
			}
			joined = joined[:0]
		}
		joined = append(joined, f.ws...)
	}
	_, err := c.nc.Write(joined)
	return err
}

// timeoutIn bounds what is read until then.
func (c *wsConn) timeoutIn(d time.Duration) { _ = c.nc.SetReadDeadline(time.Now().Add(d)) }
