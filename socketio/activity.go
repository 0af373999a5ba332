// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protoloop/protoloop/internal/subscribers"
	"github.com/protoloop/protoloop/socketio/internal/parser"
)

// ActivityKind says what an [Activity] is. Several of them, joined by |, are what somebody
// wants to be told of.
type ActivityKind uint32

// The kinds of what happens on a server.
const (
	// SocketConnected: a client is connected to a namespace, and has been told.
	SocketConnected ActivityKind = 1 << iota
	// SocketDisconnected: it is no more, for Reason. It leaves its rooms without a
	// RoomLeft for each: [Socket.Rooms] has those that it was in.
	SocketDisconnected
	// RoomJoined and RoomLeft are about Room. The room of a socket's own id is joined without.
	RoomJoined
	RoomLeft
	// SocketUpgraded: its session has gone from polling to WebSocket.
	SocketUpgraded
	// EventReceived: an event of Socket's has come, be there a handler for it or not.
	EventReceived
	// EventSent: an event goes to Socket, by itself or in a broadcast; also a volatile one that is dropped.
	EventSent
)

// AllActivity is all kinds.
const AllActivity = SocketConnected | SocketDisconnected | RoomJoined | RoomLeft | SocketUpgraded | EventReceived | EventSent

// Activity is something that has happened on a server.
type Activity struct {
	Kind    ActivityKind // one
	At      time.Time
	Session string  // Socket.SessionID
	Socket  *Socket // whom it is about
	Room    string
	Reason  Reason
	Event   string
	// Args are the arguments of an event as a JSON array, in which {"_placeholder":true,"num":n} stands for
	// binary data. nil if they are longer than 64 KiB; Size is how long they are.
	Args json.RawMessage
	Size int
	// Dropped is how many before this one the function was not told of, because as many
	// others as it has a buffer for waited for it.
	Dropped int
}

// maxActivityArgs is how long arguments are that others may keep.
const maxActivityArgs = 64 << 10

// Subscribe has f told of what happens on the server, of these kinds, from now on until
// cancel is called. f is called on a goroutine of its own, one call after the other, in order. It
// may block, and holds up nobody by that: buffer of them wait for it, 0 is 1,000, and further ones are dropped and counted
// in the next one. If it panics, that is logged, and it is called again. Once cancel has
// returned no further call begins. As long as nobody wants to know of them, an event costs one look at that.
func (srv *Server) Subscribe(kinds ActivityKind, buffer int, f func(Activity)) (cancel func()) {
	switch {
	case kinds == 0 || kinds&^AllActivity != 0:
		panic(fmt.Sprintf("socketio: Subscribe called with the kinds %#x", uint32(kinds)))
	case f == nil:
		panic("socketio: Subscribe called with a nil function")
	case buffer < 0:
		panic(fmt.Sprintf("socketio: Subscribe called with a buffer of %d", buffer))
	}
	return srv.activity.add(kinds, func() (remove func()) {
		return srv.activity.list.AddFor(srv.logger(), "socketio: a function of Subscribe", cmp.Or(buffer, defaultBuffer),
			func(a activity) bool { return kinds&a.kind != 0 },
			func(a activity, dropped int) { f(a.shown(dropped)) })
	})
}

// defaultBuffer is that of a Subscribe without one.
const defaultBuffer = 1000

// activities tracks who is told of what happens. Any goroutine.
type activities struct {
	list   subscribers.List[activity]
	wanted atomic.Uint32 // kinds that anybody wants

	mu     sync.Mutex
	nextID int
	kinds  map[int]ActivityKind // of each who is told
}

// add calls the function that adds who wants these kinds.
func (as *activities) add(kinds ActivityKind, addTo func() (remove func())) (cancel func()) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.kinds == nil {
		as.kinds = map[int]ActivityKind{}
	}
	id := as.nextID
	as.nextID++
	as.kinds[id] = kinds
	remove := addTo()
	as.publishWanted()
	return func() {
		remove()
		as.mu.Lock()
		defer as.mu.Unlock()
		delete(as.kinds, id)
		as.publishWanted()
	}
}

// publishWanted sums up what is wanted. With mu held.
func (as *activities) publishWanted() {
	all := ActivityKind(0)
	for _, k := range as.kinds {
		all |= k
	}
	as.wanted.Store(uint32(all))
}

// wants reports whether anybody wants to be told. Ask before you make up an activity.
func (as *activities) wants(k ActivityKind) bool { return as.wanted.Load()&uint32(k) != 0 }

func (as *activities) tell(a activity) {
	a.at = time.Now()
	as.list.Tell(a)
}

// activity is an Activity as it happens. What has to be computed of it is when somebody is
// told.
type activity struct {
	kind     ActivityKind
	at       time.Time
	s        *Socket
	room     string
	reason   Reason
	received *parser.Packet
	sent     *parser.Args
}

func (a activity) shown(dropped int) Activity {
	out := Activity{Kind: a.kind, At: a.at, Session: a.s.SessionID(), Socket: a.s, Room: a.room, Reason: a.reason, Dropped: dropped}
	switch {
	case a.received != nil:
		out.Event = a.received.Name
		out.Args = append(append(json.RawMessage("["), bytes.Join(rawBytes(a.received.Args), []byte(","))...), ']')
	case a.sent != nil:
		out.Event, out.Args = a.sent.Split()
	}
	if out.Size = len(out.Args); out.Size > maxActivityArgs {
		out.Args = nil
	}
	return out
}

func rawBytes(args []json.RawMessage) [][]byte {
	out := make([][]byte, len(args))
	for i, arg := range args {
		out[i] = arg
	}
	return out
}
