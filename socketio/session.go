// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/socketio/internal/engineio"
	"github.com/protoloop/protoloop/socketio/internal/parser"
)

// session is one client: an Engine.IO session, its sockets, and the worker that
// their handlers run on.
type session struct {
	srv     *Server
	eio     *engineio.Session
	request *http.Request
	began   time.Time
	number  uint64         // of its id; constant once the server knows it
	decoder parser.Decoder // owned by whoever receives: one at a time

	cut atomic.Bool // a handler was cut off, or the worker has refused what the client has sent

	mu      sync.Mutex
	pid     *actor.PID // nil until a namespace is connected to
	sockets []*Socket
	left    []string    // the namespaces that it has been in
	timer   *time.Timer // until then
	live    []*Socket   // those that have something left to run
	limit   *time.Timer // cuts them off; nil: the client is there
	limitAt time.Time   // when it does
	ended   bool        // the Engine.IO session has
	stop    *shutdown   // the server stops; nil: it does not
	stopped bool        // the worker has been told to
	gone    bool        // the worker is gone, or there never was one
	over    bool        // ended and gone
	in      intake
}

// The errors of packets that are well-formed, but not due.
var (
	errState    = errors.New("socketio: invalid state")
	errOverload = errors.New("socketio: the session's events do not end")
)

// connect is called by the Engine.IO server for a new session.
func (srv *Server) connect(eio *engineio.Session, r *http.Request) engineio.Handler {
	c := &session{
		srv: srv, eio: eio, began: time.Now(),
		request: r.WithContext(context.Background()), // the request's own holds the connection
		decoder: parser.Decoder{MaxAttachments: srv.opts.MaxAttachments},
	}
	stopping := srv.remember(c)
	c.mu.Lock()
	c.timer = time.AfterFunc(max(srv.opts.ConnectTimeout, 1), eio.Close)
	c.mu.Unlock()
	if stopping { // a handshake that was under way when the server began to
		eio.Close()
	}
	return c
}

// ID is the same as long as the session lasts. Unlike the Engine.IO session's, it is no secret.
func (c *session) ID() string { return c.srv.id + "-" + strconv.FormatUint(c.number, 10) }

func (c *session) transport() string {
	if c.eio.WebSocket() {
		return "websocket"
	}
	return "polling"
}

// Upgraded is the Engine.IO session's.
func (c *session) Upgraded() {
	if !c.srv.activity.wants(SocketUpgraded) {
		return
	}
	for _, s := range c.all() {
		if s.Connected() { // else it is by WebSocket from the beginning
			c.srv.activity.tell(activity{kind: SocketUpgraded, s: s})
		}
	}
}

// Text is the Engine.IO session's.
func (c *session) Text(b []byte) error {
	p, err := c.decoder.Text(b)
	if err != nil || p == nil {
		return err
	}
	return c.packet(p)
}

// Binary is the Engine.IO session's.
func (c *session) Binary(b []byte) error {
	p, err := c.decoder.Binary(b)
	if err != nil || p == nil {
		return err
	}
	return c.packet(p)
}

// packet handles a packet, on the goroutine that reads.
func (c *session) packet(p *parser.Packet) error {
	s, left, stopping := c.socket(p.Namespace)
	switch {
	case stopping: // too late
		return nil
	case p.Type == parser.Connect && s == nil:
		return c.connectTo(p)
	case s == nil && left && p.Type != parser.ConnectError:
		// Sent before the client had heard that it is out, or an acknowledgement
		// that its application was late with. The reference closes the session.
		return nil
	case s == nil || p.Type == parser.Connect || p.Type == parser.ConnectError:
		return errState
	}
	switch p.Type {
	case parser.Event:
		return s.event(p)
	case parser.Ack:
		s.acknowledged(p)
	case parser.Disconnect:
		s.leave(ClientDisconnect, nil)
	}
	return nil
}

// socket returns the client's socket in a namespace, or nil, and whether it has
// left one there.
func (c *session) socket(namespace string) (s *Socket, left, stopping bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	left, stopping = slices.Contains(c.left, namespace), c.stop != nil
	if i := slices.IndexFunc(c.sockets, func(s *Socket) bool { return s.ns.name == namespace }); i >= 0 {
		s = c.sockets[i]
	}
	return s, left, stopping
}

func (c *session) all() []*Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sockets)
}

// forget takes out a socket that leaves; was is the state it was in.
func (c *session) forget(s *Socket, was socketState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.sockets, s); i >= 0 {
		c.sockets = slices.Delete(c.sockets, i, i+1)
	}
	if was != socketConnecting { // its end is taken
		if !slices.Contains(c.left, s.ns.name) {
			c.left = append(c.left, s.ns.name)
		}
		return
	}
	s.leftEarly = true
	if s.handed && slices.Contains(c.live, s) {
		c.count(s)
	}
}

// startWorker starts the worker, if there is none yet. With mu held.
func (c *session) startWorker() error {
	if c.pid != nil {
		return nil
	}
	pid, err := c.srv.spawn(c)
	if err != nil {
		return err
	}
	c.pid = pid
	return nil
}
