// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/protoloop/protoloop/socketio"
)

// Sockets is the Socket.IO servers.
type Sockets struct {
	Servers []SocketServer `json:"servers"`
}

// SocketServer is one server.
type SocketServer struct {
	Name       string           `json:"name"`
	Sessions   int              `json:"sessions"`
	Transports map[string]int   `json:"transports,omitempty"` // sessions by transport, now
	Counts     map[string]int64 `json:"counts"`               // what was counted so far, by name: "events", "bytes_in"
	Namespaces []Namespace      `json:"namespaces"`
	Slow       []Socket         `json:"slow"`    // that are behind, the most first; 20 at most
	Sockets    []Socket         `json:"sockets"` // those that are behind first, then the oldest; 200 at most
	More       int              `json:"more_sockets"`
}

// Namespace is a namespace of a server.
type Namespace struct {
	Name    string      `json:"name"`
	Sockets int         `json:"sockets"`
	Rooms   []Room      `json:"rooms"` // largest first; 50 at most
	More    int         `json:"more_rooms"`
	Events  []EventType `json:"events,omitempty"` // that have a handler
}

// Room is a room of a namespace.
type Room struct {
	Name    string `json:"name"`
	Sockets int    `json:"sockets"`
}

// EventType is an event that has a handler.
type EventType struct {
	Name   string  `json:"name"`
	N      int64   `json:"n"` // handlers that have begun
	Failed int64   `json:"failed"`
	Mean   float64 `json:"mean_s"` // of one in 64; 0: none was timed
}

// Socket is a client in a namespace.
type Socket struct {
	ID        string   `json:"id"`
	Namespace string   `json:"namespace"`
	Session   string   `json:"session"`
	Worker    string   `json:"worker,omitempty"`
	Address   string   `json:"address,omitempty"`
	Transport string   `json:"transport"`
	Rooms     []string `json:"rooms"`        // 20 at most
	For       float64  `json:"for_s"`        // of its session
	Behind    int64    `json:"behind_bytes"` // that wait to be sent to the session
	Limit     int64    `json:"limit_bytes"`  // at which it ends
	Held      int      `json:"held"`         // events that wait for one to end
}

// SocketLook is what was seen of a Socket.IO server.
type SocketLook struct {
	Stats    socketio.Stats
	Events   []socketio.EventStats
	Sessions []socketio.SessionInfo    // the slowest first
	Rooms    map[string]map[string]int // sockets by namespace and room; nil: nobody has asked
	RoomsOf  map[string][]string       // by the id of the socket; nil likewise
}

// The bounds of a Sockets.
const (
	MaxSlow    = 20 // sessions that are behind
	MaxRoomsOf = 20 // of a socket
	maxRooms   = 50 // of a namespace
)

// Sockets is the page of that name. A filter is a part of a socket's id, address or room.
func (s *State) Sockets(looks []SocketLook, filter string) *Sockets {
	v := &Sockets{Servers: []SocketServer{}}
	for i := range looks {
		v.Servers = append(v.Servers, s.socketServer(&looks[i], fmt.Sprintf("socketio %d", i+1), filter))
	}
	return v
}

func (s *State) socketServer(l *SocketLook, name, filter string) SocketServer {
	v := SocketServer{
		Name: name, Sessions: l.Stats.Sessions, Counts: socketCounts(&l.Stats), Namespaces: []Namespace{}, Slow: []Socket{}, Sockets: []Socket{},
		Transports: map[string]int{"websocket": l.Stats.WebSockets, "polling": l.Stats.Sessions - l.Stats.WebSockets},
	}
	total := 0
	for _, ns := range slices.Sorted(maps.Keys(l.Stats.Sockets)) {
		total += l.Stats.Sockets[ns]
		v.Namespaces = append(v.Namespaces, s.namespace(l, ns))
	}
	for i := range l.Sessions {
		c := &l.Sessions[i]
		for _, k := range c.Sockets {
			one := Socket{
				ID: k.ID, Namespace: Named(k.Namespace), Session: c.ID, Worker: s.Redact.Worker(c.Worker, s.home()), Address: s.Redact.Text(RedactSocket, c.Address),
				Transport: c.Transport, Rooms: []string{}, For: s.since(c.Since), Behind: int64(c.Buffered), Limit: int64(c.MaxBuffered), Held: c.Held,
			}
			for _, room := range l.RoomsOf[k.ID] {
				if room != k.ID { // each is in its own
					one.Rooms = append(one.Rooms, s.Redact.Text(RedactRoom, room))
				}
			}
			if one.Behind > 0 && len(v.Slow) < MaxSlow {
				v.Slow = append(v.Slow, one)
			}
			fits := filter == "" || strings.Contains(one.ID, filter) || strings.Contains(one.Address, filter) || slices.Contains(one.Rooms, filter)
			if fits && len(v.Sockets) < maxRows {
				v.Sockets = append(v.Sockets, one)
			}
		}
	}
	if filter == "" {
		v.More = max(0, total-len(v.Sockets))
	}
	return v
}

func (s *State) namespace(l *SocketLook, name string) Namespace {
	n := Namespace{Name: Named(name), Sockets: l.Stats.Sockets[name], Rooms: []Room{}, Events: []EventType{}}
	for room, sockets := range l.Rooms[name] {
		n.Rooms = append(n.Rooms, Room{s.Redact.Text(RedactRoom, room), sockets})
	}
	slices.SortFunc(n.Rooms, func(a, b Room) int { return cmp.Or(cmp.Compare(b.Sockets, a.Sockets), cmp.Compare(a.Name, b.Name)) })
	if n.More = max(0, len(n.Rooms)-maxRooms); n.More > 0 {
		n.Rooms = n.Rooms[:maxRooms]
	}
	for i := range l.Events {
		if e := &l.Events[i]; e.Namespace == name {
			one := EventType{Name: Named(e.Event), N: e.Count, Failed: e.Failed}
			if e.Timed > 0 {
				one.Mean = seconds(e.Time / time.Duration(e.Timed))
			}
			n.Events = append(n.Events, one)
		}
	}
	return n
}

// socketCounts are the counters that matter to somebody who looks, by name.
func socketCounts(c *socketio.Stats) map[string]int64 {
	return map[string]int64{
		"handshakes": c.Handshakes, "rejected": c.Rejected, "upgrades": c.Upgrades, "connects": c.Connects, "disconnects": c.Disconnects, "recovered": c.Recovered,
		"refused": c.Refused, "bytes_in": c.BytesIn, "bytes_out": c.BytesOut, "packets_in": c.PacketsIn, "packets_out": c.PacketsOut, "dropped": c.Dropped,
		"events": c.Events, "unhandled": c.Unhandled, "failed": c.Failed, "panics": c.Panics, "emits": c.Emits, "acks": c.Acks,
		"malformed": c.Malformed, "too_large": c.TooLarge, "overloads": c.Overloads, "slow_clients": c.SlowClients, "ping_timeouts": c.PingTimeouts,
	}
}
