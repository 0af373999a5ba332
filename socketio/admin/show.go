// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

// shownSocket is a socket as the page has it.
type shownSocket struct {
	ID        string         `json:"id"`
	ClientID  string         `json:"clientId"`
	Transport string         `json:"transport"`
	Namespace string         `json:"nsp"`
	Data      struct{}       `json:"data"` // see the package documentation
	Handshake shownHandshake `json:"handshake"`
	Rooms     []string       `json:"rooms"`
}

type shownHandshake struct {
	Address string            `json:"address"`
	Headers map[string]string `json:"headers"`
	Query   map[string]string `json:"query"`
	Issued  int64             `json:"issued"` // ms
	Time    string            `json:"time"`
	Secure  bool              `json:"secure"`
	URL     string            `json:"url"`
}

func showSocket(s *socketio.Socket) shownSocket {
	h := s.Handshake()
	shown := shownHandshake{
		Address: h.Address, Headers: map[string]string{}, Query: map[string]string{"EIO": "4", "transport": h.Query.Get("transport")},
		Issued: h.Time.UnixMilli(), Time: h.Time.Format(time.RFC1123Z), Secure: h.Secure, URL: h.Request.URL.Path,
	}
	if agent := h.Headers.Get("User-Agent"); agent != "" {
		shown.Headers["user-agent"] = agent
	}
	return shownSocket{ID: s.ID(), ClientID: s.SessionID(), Transport: s.Transport(), Namespace: s.Namespace().Name(), Handshake: shown, Rooms: s.Rooms()}
}

// allSockets are the first ones, in full, and the others.
func (a *Admin) allSockets() (first []shownSocket, rest []*socketio.Socket) {
	first = []shownSocket{}
	size := 0
	for _, n := range a.io.Namespaces() {
		for _, s := range n.Sockets() {
			if size < maxAtOnce {
				shown := showSocket(s)
				if size += sizeOf(&shown); size < maxAtOnce {
					first = append(first, shown)
					continue
				}
			}
			rest = append(rest, s)
		}
	}
	return first, rest
}

func sizeOf(s *shownSocket) int {
	size := socketSize
	for _, room := range s.Rooms {
		size += len(room)
	}
	return size
}

// sendRest tells the page of sockets as if they connected now, and joined their rooms, as fast as it reads. One that has gone
// meanwhile is not told of.
func sendRest(t *actors.Task, page *socketio.Socket, rest []*socketio.Socket) error {
	to := pacer{page: page, wait: func(drained *actors.Future[actors.None]) error { return t.Await(drained) }}
	for _, s := range rest {
		if !s.Connected() {
			continue
		}
		shown := showSocket(s)
		rooms := shown.Rooms
		shown.Rooms = []string{s.ID()}
		at := pageTime(s.Handshake().Time)
		err := to.emit(socketSize, "socket_connected", shown, at)
		for _, room := range rooms {
			if room != s.ID() && err == nil && s.Connected() {
				err = to.emit(eventSize+len(room), "room_joined", shown.Namespace, room, s.ID(), at)
			}
		}
		if errors.Is(err, socketio.ErrDisconnected) {
			return nil // the page has gone
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pageTime is a time as the page has it.
func pageTime(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

// teller returns what tells a page's socket of what happens on the server, as fast as it reads, from the time on that
// comes by looked.
func (a *Admin) teller(page *socketio.Socket, looked <-chan time.Time) func(socketio.Activity) {
	to := pacer{page: page, wait: func(drained *actors.Future[actors.None]) error {
		_, err := drained.Wait(context.Background()) // it fails when the page has gone
		return err
	}}
	var from time.Time
	missed := false
	return func(e socketio.Activity) {
		if from.IsZero() {
			from = <-looked
		}
		if !e.At.After(from) {
			return
		}
		if e.Dropped > 0 && !missed {
			missed = true
			a.log.Warn("socketio: admin: a page reads more slowly than things happen: it misses some, and shows all again when it is loaded anew", "socket", page.ID())
		}
		for _, one := range a.events(e) {
			_ = to.emit(one.size, one.name, one.args...) // of values that can be encoded
		}
	}
}

// pageEvent is an event that the page knows.
type pageEvent struct {
	size int // in bytes, about
	name string
	args []any
}

// events are what the page is told of an activity.
func (a *Admin) events(e socketio.Activity) []pageEvent {
	at := pageTime(e.At)
	nsp, id := e.Socket.Namespace().Name(), e.Socket.ID()
	switch e.Kind {
	case socketio.SocketConnected:
		shown := showSocket(e.Socket)
		shown.Rooms = []string{id} // what it has joined since is told next
		return []pageEvent{{socketSize, "socket_connected", []any{shown, at}}}
	case socketio.SocketDisconnected:
		all := []pageEvent{{eventSize, "socket_disconnected", []any{nsp, id, string(e.Reason), at}}}
		for _, room := range e.Socket.Rooms() { // which the page does not know by itself
			all = append(all, pageEvent{eventSize + len(room), "room_left", []any{nsp, room, id, at}})
		}
		return all
	case socketio.SocketUpgraded:
		return []pageEvent{{eventSize, "socket_updated", []any{map[string]string{"id": id, "nsp": nsp, "transport": "websocket"}}}}
	case socketio.RoomJoined:
		return []pageEvent{{eventSize + len(e.Room), "room_joined", []any{nsp, e.Room, id, at}}}
	case socketio.RoomLeft:
		return []pageEvent{{eventSize + len(e.Room), "room_left", []any{nsp, e.Room, id, at}}}
	case socketio.EventReceived, socketio.EventSent:
		if e.Socket.Namespace() == a.ns { // what this page is told would be told to it again, for ever
			return nil
		}
		name := "event_received"
		if e.Kind == socketio.EventSent {
			name = "event_sent"
		}
		return []pageEvent{{eventSize + len(e.Event) + len(e.Args), name, []any{nsp, id, a.arguments(e), at}}}
	}
	return nil
}

// arguments are those of an event, its name first.
func (a *Admin) arguments(e socketio.Activity) []any {
	args := []any{e.Event}
	if !a.opts.Arguments {
		return args
	}
	var raw []json.RawMessage
	if json.Unmarshal(e.Args, &raw) != nil { // it is too long
		return args
	}
	for _, arg := range raw {
		args = append(args, arg)
	}
	return args
}

// statsEvery is how often the page expects to hear of the server; after 10 s without it calls it unhealthy.
const statsEvery = 2 * time.Second

// serverStats is the server as the page has it.
type serverStats struct {
	ServerID   string           `json:"serverId"`
	Hostname   string           `json:"hostname"`
	PID        int              `json:"pid"`
	Uptime     float64          `json:"uptime"` // s
	Clients    int              `json:"clientsCount"`
	Polling    int              `json:"pollingClientsCount"`
	Events     []countedEvents  `json:"aggregatedEvents"`
	Namespaces []shownNamespace `json:"namespaces"`
}

type shownNamespace struct {
	Name    string `json:"name"`
	Sockets int    `json:"socketsCount"`
}

// countedEvents is how many things of one kind have happened since the last look.
type countedEvents struct {
	At    int64  `json:"timestamp"` // ms, of a whole second
	Type  string `json:"type"`
	Count int64  `json:"count"`
}

// counters are those of a server that the page has the differences of.
type counters struct{ connections, disconnections, packetsIn, packetsOut, bytesIn, bytesOut int64 }

func countersOf(s socketio.Stats) counters {
	return counters{s.Handshakes, s.Handshakes - int64(s.Sessions), s.PacketsIn, s.PacketsOut, s.BytesIn, s.BytesOut}
}

func (a *Admin) counters() counters { return countersOf(a.io.Stats()) }

// stats is what a page that was told of last is told now.
func (a *Admin) stats(last *counters) serverStats {
	s := a.io.Stats()
	now := countersOf(s)
	out := serverStats{
		ServerID: a.opts.ServerID, Hostname: a.host, PID: os.Getpid(), Uptime: time.Since(startedAt).Seconds(),
		Clients: s.Sessions, Polling: s.Sessions - s.WebSockets, Events: []countedEvents{}, Namespaces: []shownNamespace{},
	}
	second := time.Now().Truncate(time.Second).UnixMilli()
	for _, c := range []countedEvents{
		{second, "rawConnection", now.connections - last.connections}, {second, "rawDisconnection", now.disconnections - last.disconnections},
		{second, "packetsIn", now.packetsIn - last.packetsIn}, {second, "packetsOut", now.packetsOut - last.packetsOut},
		{second, "bytesIn", now.bytesIn - last.bytesIn}, {second, "bytesOut", now.bytesOut - last.bytesOut},
	} {
		if c.Count > 0 {
			out.Events = append(out.Events, c)
		}
	}
	for _, n := range a.io.Namespaces() {
		out.Namespaces = append(out.Namespaces, shownNamespace{n.Name(), s.Sockets[n.Name()]})
	}
	*last = now
	return out
}

// sendStats tells the page of the server as long as it is there.
func (a *Admin) sendStats(t *actors.Task, s *socketio.Socket, v *viewer) error {
	if err := s.Emit("server_stats", a.stats(&v.last)); err != nil {
		return err
	}
	for _, err := range t.Every(statsEvery) {
		if err != nil || !s.Connected() {
			return nil
		}
		if err := s.EmitVolatile("server_stats", a.stats(&v.last)); err != nil {
			return err
		}
	}
	return nil
}
