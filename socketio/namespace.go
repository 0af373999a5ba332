// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"sync"

	"github.com/protoloop/protoloop/actors"
)

// Namespace is a channel of its own within the clients' connections, such as
// "/admin": with its own handlers, rooms and sockets. [Server.Of] returns it.
type Namespace struct {
	name string
	srv  *Server

	handlersMu   sync.RWMutex
	events       map[string]*handler
	middlewares  []func(t *actors.Task, s *Socket) error
	onConnect    func(t *actors.Task, s *Socket) error
	onDisconnect func(t *actors.Task, s *Socket, reason Reason)

	mu      sync.RWMutex // held while a broadcast is queued, and while it is decided who gets it
	byID    map[string]*Socket
	all     []*Socket // the same, to walk over
	rooms   map[string]*room
	history *history // nil: no recovery
}

func newNamespace(srv *Server, name string) *Namespace {
	n := &Namespace{name: name, srv: srv, events: map[string]*handler{}, byID: map[string]*Socket{}, rooms: map[string]*room{}}
	if r := srv.opts.Recovery; r != nil {
		n.history = newHistory(*r)
	}
	return n
}

func (n *Namespace) registrar() *Namespace { return n }

// Name is the namespace's, such as "/admin".
func (n *Namespace) Name() string { return n.name }

// OnConnect registers what runs when a client has connected to the namespace,
// after the client has been told. Its error disconnects the client and is
// logged; to refuse one, see Use. The socket's events wait until it has
// returned. A second call panics.
func (n *Namespace) OnConnect(h func(t *actors.Task, s *Socket) error) {
	n.handlersMu.Lock()
	defer n.handlersMu.Unlock()
	if h == nil || n.onConnect != nil {
		panic("socketio: OnConnect called with nil, or twice for namespace " + n.name)
	}
	n.onConnect = h
}

// OnDisconnect registers what runs when a socket has been disconnected, once,
// for each whose client had been told that it is connected. The socket has its
// data and Rooms still, but is in none of them any more. It starts after the
// socket's events and after OnConnect has returned; handlers that await may
// still be there. Where those had to be cut off, at the end of
// Options.HandlerGrace or of a Stop, it starts behind that and has what is
// left of a second. A second call panics.
func (n *Namespace) OnDisconnect(h func(t *actors.Task, s *Socket, reason Reason)) {
	n.handlersMu.Lock()
	defer n.handlersMu.Unlock()
	if h == nil || n.onDisconnect != nil {
		panic("socketio: OnDisconnect called with nil, or twice for namespace " + n.name)
	}
	n.onDisconnect = h
}

// Use adds a middleware: it runs before a client is connected to the namespace,
// in the order of the calls, and may await. An error refuses the client, which
// gets its message, and its data if it is an [*Error]. What it emits to the
// socket is dropped.
func (n *Namespace) Use(m func(t *actors.Task, s *Socket) error) {
	if m == nil {
		panic("socketio: Use called with a nil function")
	}
	n.handlersMu.Lock()
	defer n.handlersMu.Unlock()
	n.middlewares = append(n.middlewares[:len(n.middlewares):len(n.middlewares)], m)
}

func (n *Namespace) event(name string) *handler {
	n.handlersMu.RLock()
	defer n.handlersMu.RUnlock()
	return n.events[name]
}

// Emit sends an event to all sockets of the namespace. See [Broadcast.Emit].
func (n *Namespace) Emit(event string, args ...any) error {
	return Broadcast{ns: n}.Emit(event, args...)
}

// To begins a broadcast to the sockets in any of the rooms. A socket's id is a
// room.
func (n *Namespace) To(rooms ...string) Broadcast { return Broadcast{ns: n}.To(rooms...) }

// Except begins a broadcast to all sockets but those in one of the rooms.
func (n *Namespace) Except(rooms ...string) Broadcast { return Broadcast{ns: n}.Except(rooms...) }

// Volatile begins a broadcast that passes by those who cannot be written to at
// once.
func (n *Namespace) Volatile() Broadcast { return Broadcast{ns: n}.Volatile() }

// SocketsJoin is [Broadcast.SocketsJoin] for all sockets of the namespace.
func (n *Namespace) SocketsJoin(rooms ...string) error { return Broadcast{ns: n}.SocketsJoin(rooms...) }

// SocketsLeave is [Broadcast.SocketsLeave] for all sockets of the namespace.
func (n *Namespace) SocketsLeave(rooms ...string) { Broadcast{ns: n}.SocketsLeave(rooms...) }

// DisconnectSockets is [Broadcast.DisconnectSockets] for all sockets of the namespace.
func (n *Namespace) DisconnectSockets(closeSessions bool) {
	Broadcast{ns: n}.DisconnectSockets(closeSessions)
}

// Rooms returns how many sockets have joined each room. The room of each socket's own id is none of them.
func (n *Namespace) Rooms() map[string]int {
	n.mu.RLock()
	defer n.mu.RUnlock()
	rooms := make(map[string]int, len(n.rooms))
	for name, r := range n.rooms {
		rooms[name] = len(r.list)
	}
	return rooms
}

// Sockets returns the sockets that are connected now, in no order.
func (n *Namespace) Sockets() []*Socket { return Broadcast{ns: n}.Sockets() }

// Socket returns the socket with that id, or nil.
func (n *Namespace) Socket(id string) *Socket {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.byID[id]
}
