// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/socketio/internal/engineio"
	"github.com/protoloop/protoloop/socketio/internal/parser"
)

// socketState is where a socket is in its life; each state is followed by the
// next one, or by socketClosed.
type socketState uint8

const (
	socketConnecting socketState = iota // the middlewares run
	socketOpening                       // the client is connected, OnConnect runs; events wait
	socketOpen                          // events go to the worker
	socketClosed                        // the end; the client knows it, or is gone
)

// Socket is a client in a namespace. Its methods may be called from anywhere,
// tasks or not, and none of them blocks. Once it has been disconnected they do
// nothing.
type Socket struct {
	id        string
	private   string // for recovery; "" without
	recovered bool
	ns        *Namespace
	sess      *session
	auth      json.RawMessage // nil: none

	mu      sync.Mutex
	state   socketState
	reason  Reason
	told    bool // the client is connected, or was
	holding bool // OnConnect runs: what comes waits in backlog
	backlog []queued
	acks    map[int64]*pendingAck
	data    any

	// Guarded by the namespace's mu.
	member    bool
	at        int // index in ns.all
	rooms     map[string]struct{}
	leftOwn   bool     // has left the room of its id
	lastRooms []string // those that it was in when it left the namespace
	position
	restored *savedState // until the client is connected

	// Guarded by the session's mu.
	handed    bool // its connect is with the worker
	leftEarly bool // it has left before the client was connected
	counted   bool // it has left, and counts as an event

	gone atomic.Bool // OnDisconnect has begun
}

// ID is the socket's id, which is unguessable, and unique among all namespaces.
// It is not the session's secret: it may be shown to others.
func (s *Socket) ID() string { return s.id }

// SessionID is the id of the socket's session, the same for all sockets of a client's connection, whatever its
// transport. It is not the session's secret, either.
func (s *Socket) SessionID() string { return s.sess.ID() }

// Transport is that of the session now, "polling" or "websocket".
func (s *Socket) Transport() string { return s.sess.transport() }

// Namespace is the one that the socket is in.
func (s *Socket) Namespace() *Namespace { return s.ns }

// Recovered reports whether the client has got back the state of an earlier
// connection: see [Recovery].
func (s *Socket) Recovered() bool { return s.recovered }

// Connected reports whether the client is connected to the namespace.
func (s *Socket) Connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connected()
}

func (s *Socket) connected() bool { return s.state == socketOpening || s.state == socketOpen }

// SetData keeps a value with the socket, for instance the user. It survives a
// recovery.
func (s *Socket) SetData(v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = v
}

// Data returns what SetData has kept, or nil.
func (s *Socket) Data() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data
}

// Handshake is the HTTP request that a session has begun with, and what the
// client sent with its connect. The session keeps it until it ends, with all its
// headers: MaxHeaderBytes of the [http.Server], 1 MiB by default, bounds them.
type Handshake struct {
	Request *http.Request // without a body; its context is empty
	Headers http.Header
	Query   url.Values
	Auth    json.RawMessage // {} if the client sent none
	Address string          // of the client, see Options.ClientIP
	Time    time.Time       // when it was
	Secure  bool            // by TLS, to this server
}

// Handshake returns how the session began. The request and headers are shared:
// do not change them.
func (s *Socket) Handshake() Handshake {
	r := s.sess.request
	h := Handshake{
		Request: r, Headers: r.Header, Query: r.URL.Query(), Auth: s.auth,
		Address: s.sess.srv.clientIP(r), Time: s.sess.began, Secure: r.TLS != nil,
	}
	if h.Auth == nil {
		h.Auth = json.RawMessage("{}")
	}
	return h
}

// Emit sends an event to this client. It never waits for it, and keeps the
// order of the caller's emits. See [Broadcast.Emit].
func (s *Socket) Emit(event string, args ...any) error {
	a, err := encodeArgs(event, args)
	if err != nil {
		return err
	}
	s.emit(a)
	return nil
}

func (s *Socket) emit(a *parser.Args) {
	if s.ns.history != nil {
		// By the room of its own id, so that it can be recovered.
		Broadcast{ns: s.ns, rooms: []string{s.id}}.emit(a)
		return
	}
	s.ns.srv.counts.emits.Add(1)
	s.send(parser.Event, parser.NoID, a, false)
}

// EmitRaw sends an event with arguments that are in JSON already, as [OnRaw]
// has them: {"_placeholder":true,"num":n} in them stands for bins[n].
func (s *Socket) EmitRaw(event string, args []json.RawMessage, bins [][]byte) error {
	a, err := encodeArgs(event, nil)
	if err == nil {
		err = a.AppendRaw(args, bins)
	}
	if err != nil {
		return err
	}
	s.emit(a)
	return nil
}

// EmitVolatile is Emit if the client can be written to at once; otherwise the
// event is dropped.
func (s *Socket) EmitVolatile(event string, args ...any) error {
	a, err := encodeArgs(event, args)
	if err != nil {
		return err
	}
	n := s.ns
	n.srv.counts.emits.Add(1)
	if n.history != nil { // behind the events whose offset it has
		n.mu.RLock()
		defer n.mu.RUnlock()
	}
	s.send(parser.Event, parser.NoID, n.history.marked(a), true)
	return nil
}

// Drain returns a future that completes when all that was queued for the client
// before the call has been written to its connection, and fails with
// [ErrDisconnected] if it has gone before. Await it now and then in what sends
// more at a time than Options.MaxBuffered (asyncio's StreamWriter.drain).
func (s *Socket) Drain() *actors.Future[actors.None] {
	if !s.Connected() {
		return noNews(futures.Failed[struct{}](ErrDisconnected))
	}
	p := new(actors.Promise[actors.None])
	s.sess.eio.OnWritten(func(written bool) {
		if written {
			p.Resolve(struct{}{})
		} else {
			p.Reject(ErrDisconnected)
			noNews(p.Future())
		}
	})
	return p.Future()
}

// send queues a packet, if the client is in the namespace.
func (s *Socket) send(typ parser.Type, id int64, a *parser.Args, volatile bool) {
	s.mu.Lock()
	ok := s.connected()
	s.mu.Unlock()
	if !ok {
		return
	}
	if told := &s.ns.srv.activity; typ == parser.Event && told.wants(EventSent) {
		told.tell(activity{kind: EventSent, s: s, sent: a})
	}
	frames := s.ns.frames(typ, id, a)
	if volatile {
		s.sess.eio.SendVolatile(frames...)
		return
	}
	s.sess.eio.Send(frames...)
}

// To begins a broadcast to the rooms, without this socket.
func (s *Socket) To(rooms ...string) Broadcast { return s.Broadcast().To(rooms...) }

// Except begins a broadcast to all but this socket and those in the rooms.
func (s *Socket) Except(rooms ...string) Broadcast { return s.Broadcast().Except(rooms...) }

// Broadcast begins a broadcast to all in the namespace but this socket.
func (s *Socket) Broadcast() Broadcast { return Broadcast{ns: s.ns, skip: s} }

// Disconnect disconnects the client from the namespace. The reference's client
// does not reconnect by itself after that.
func (s *Socket) Disconnect() {
	if frame, err := objectFrame(parser.Disconnect, s.ns.name, nil); err == nil {
		s.leave(ServerDisconnect, frame)
	}
}

// Close disconnects the client from all namespaces, and closes its connection
// when what is queued for it has been written.
func (s *Socket) Close() {
	for _, other := range s.sess.all() {
		other.Disconnect()
	}
	s.sess.eio.Close()
}

// leave ends the socket, once. farewell, if not nil, goes to the client.
func (s *Socket) leave(reason Reason, farewell *engineio.Frame) {
	s.mu.Lock()
	was := s.state
	if was == socketClosed {
		s.mu.Unlock()
		return
	}
	s.state, s.reason = socketClosed, reason
	acks := s.acks
	s.acks = nil
	data := s.data
	s.mu.Unlock()
	s.sess.forget(s, was)
	n := s.ns
	n.mu.Lock()
	if n.history != nil && reason.recoverable() {
		switch old := s.restored; {
		case old != nil: // cut off again before it was connected
			old.data = data
			n.history.save(old)
		case s.member:
			n.history.save(&savedState{
				id: s.id, private: s.private, rooms: s.roomList(), data: data, position: s.position, cut: n.history.last,
			})
		}
	}
	s.restored = nil
	member := s.member
	n.remove(s)
	n.mu.Unlock()
	if member && n.srv.activity.wants(SocketDisconnected) {
		n.srv.activity.tell(activity{kind: SocketDisconnected, s: s, reason: reason})
	}
	if was != socketConnecting {
		s.sess.takeEnd(s)
		if farewell != nil { // behind all that: the client may connect again at once
			s.sess.eio.Send(farewell)
		}
	}
	for _, a := range acks {
		a.fail(ErrDisconnected)
	}
}
