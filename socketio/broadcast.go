// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"slices"

	"github.com/protoloop/protoloop/socketio/internal/engineio"
	"github.com/protoloop/protoloop/socketio/internal/parser"
)

// Broadcast says whom an event goes to. It is a value: To, Except and Volatile
// return another one.
type Broadcast struct {
	ns       *Namespace
	rooms    []string // none: everybody
	except   []string
	skip     *Socket
	volatile bool
}

// To adds rooms: the event goes to the sockets in any of them, once to each. A
// socket's id is a room.
func (b Broadcast) To(rooms ...string) Broadcast {
	b.rooms = slices.Concat(b.rooms, rooms)
	return b
}

// Except leaves out the sockets in any of the rooms.
func (b Broadcast) Except(rooms ...string) Broadcast {
	b.except = slices.Concat(b.except, rooms)
	return b
}

// Volatile passes by those who cannot be written to at once.
func (b Broadcast) Volatile() Broadcast {
	b.volatile = true
	return b
}

// Emit sends an event. It is encoded once, queued for each client, and written
// by others: Emit never waits for a client. What one caller emits keeps its
// order at each client.
//
// The arguments are encoded by encoding/json; for a []byte and for [Binary] the
// client gets binary data. The error says which argument cannot be encoded;
// nothing has been sent then. Beside binary data an object with
// "_placeholder": true cannot be sent: clients would take it for the place of
// some. Emit may be called from anywhere, tasks included. A reserved event, such
// as "connect", panics.
func (b Broadcast) Emit(event string, args ...any) error {
	a, err := encodeArgs(event, args)
	if err != nil {
		return err
	}
	b.emit(a)
	return nil
}

func (b Broadcast) emit(a *parser.Args) {
	n := b.ns
	n.srv.counts.emits.Add(1)
	if n.history != nil && !b.volatile {
		// Kept and queued under one lock: what a client has missed begins
		// behind the last event that it has got.
		n.mu.Lock()
		defer n.mu.Unlock()
		frames := n.history.record(a, b)
		b.each(func(s *Socket) {
			s.position.sent = n.history.last
			s.sess.eio.Send(frames...)
		})
		b.tellSent(a)
		return
	}
	if n.history == nil {
		frames := n.frames(parser.Event, parser.NoID, a) // not under the lock
		n.mu.RLock()
		defer n.mu.RUnlock()
		b.send(frames)
		b.tellSent(a)
		return
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	b.send(n.frames(parser.Event, parser.NoID, n.history.marked(a)))
	b.tellSent(a)
}

// tellSent tells who wants to know of events that are sent. With the namespace's mu held.
func (b Broadcast) tellSent(a *parser.Args) {
	if told := &b.ns.srv.activity; told.wants(EventSent) {
		b.each(func(s *Socket) { told.tell(activity{kind: EventSent, s: s, sent: a}) })
	}
}

// send queues frames for whom the broadcast goes to. With the namespace's mu
// held.
func (b Broadcast) send(frames []*engineio.Frame) {
	if b.volatile {
		b.each(func(s *Socket) { s.sess.eio.SendVolatile(frames...) })
		return
	}
	b.each(func(s *Socket) { s.sess.eio.Send(frames...) })
}

// SocketsJoin puts the sockets of the broadcast into rooms, as [Socket.Join] does. Those that would be in
// too many then are left out, and the error is an [ErrTooManyRooms] of the last of them.
func (b Broadcast) SocketsJoin(rooms ...string) (err error) {
	for _, s := range b.Sockets() {
		if tooMany := s.Join(rooms...); tooMany != nil {
			err = tooMany
		}
	}
	return err
}

// SocketsLeave takes the sockets of the broadcast out of rooms.
func (b Broadcast) SocketsLeave(rooms ...string) {
	for _, s := range b.Sockets() {
		s.Leave(rooms...)
	}
}

// DisconnectSockets disconnects the sockets of the broadcast, as [Socket.Disconnect] does, or with
// closeSessions closes their sessions, as [Socket.Close] does.
func (b Broadcast) DisconnectSockets(closeSessions bool) {
	for _, s := range b.Sockets() {
		if closeSessions {
			s.Close()
		} else {
			s.Disconnect()
		}
	}
}

// Sockets returns those whom the event would go to now, in no order.
func (b Broadcast) Sockets() (list []*Socket) {
	b.ns.mu.RLock()
	defer b.ns.mu.RUnlock()
	b.each(func(s *Socket) { list = append(list, s) })
	return list
}

// each calls f for each socket of the broadcast, once. With the namespace's mu
// held.
func (b Broadcast) each(f func(s *Socket)) {
	n := b.ns
	var out map[*Socket]struct{} // left out
	for _, name := range b.except {
		n.inRoom(name, func(s *Socket) {
			if out == nil {
				out = map[*Socket]struct{}{}
			}
			out[s] = struct{}{}
		})
	}
	wanted := func(s *Socket) bool {
		if s == b.skip {
			return false
		}
		_, left := out[s]
		return !left
	}
	switch len(b.rooms) {
	case 0:
		for _, s := range n.all {
			if wanted(s) {
				f(s)
			}
		}
	case 1:
		n.inRoom(b.rooms[0], func(s *Socket) {
			if wanted(s) {
				f(s)
			}
		})
	default:
		seen := map[*Socket]struct{}{}
		for _, name := range b.rooms {
			n.inRoom(name, func(s *Socket) {
				if _, twice := seen[s]; !twice && wanted(s) {
					seen[s] = struct{}{}
					f(s)
				}
			})
		}
	}
}

// inRoom calls f for each socket in the room. A socket's own is not in the map:
// one for every idle client would cost more than the client.
func (n *Namespace) inRoom(name string, f func(s *Socket)) {
	if s := n.byID[name]; s != nil && !s.leftOwn {
		f(s)
	}
	if r := n.rooms[name]; r != nil {
		for _, s := range r.list {
			f(s)
		}
	}
}

// encodeArgs encodes an event's name and arguments.
func encodeArgs(event string, args []any) (*parser.Args, error) {
	if parser.Reserved(event) {
		panic("socketio: Emit: " + event + " is a reserved event")
	}
	a := &parser.Args{}
	if err := a.Append(event); err != nil {
		return nil, err
	}
	for _, arg := range args {
		if err := a.Append(arg); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// frames encodes a packet for both transports.
func (n *Namespace) frames(typ parser.Type, id int64, a *parser.Args) []*engineio.Frame {
	buf := make([]byte, engineio.Headroom+1, engineio.Headroom+16+len(n.name)+a.Len())
	buf[engineio.Headroom] = '4' // an Engine.IO message
	frames := make([]*engineio.Frame, 1, 1+len(a.Attachments))
	frames[0] = engineio.NewFrame(parser.Header{Type: typ, Namespace: n.name, ID: id}.Encode(buf, a))
	for _, b := range a.Attachments {
		frames = append(frames, engineio.NewBinaryFrame(b))
	}
	return frames
}

// objectFrame encodes a packet with one value, or nil, for a payload.
func objectFrame(typ parser.Type, namespace string, v any) (*engineio.Frame, error) {
	buf := make([]byte, engineio.Headroom+1, engineio.Headroom+80)
	buf[engineio.Headroom] = '4'
	buf, err := parser.Header{Type: typ, Namespace: namespace, ID: parser.NoID}.EncodeObject(buf, v)
	if err != nil {
		return nil, err
	}
	return engineio.NewFrame(buf), nil
}
