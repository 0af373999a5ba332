// SPDX-License-Identifier: Apache-2.0

package view

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
	Slow       []Socket         `json:"slow"`    // the most behind first; 20 at most
	Sockets    []Socket         `json:"sockets"` // the newest first; 200 at most
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
	N      int64   `json:"n"`
	Failed int64   `json:"failed"`
	Mean   float64 `json:"mean_s"`
	Max    float64 `json:"max_s"`
}

// Socket is a client in a namespace.
type Socket struct {
	ID        string   `json:"id"`
	Namespace string   `json:"namespace"`
	Session   string   `json:"session,omitempty"`
	Address   string   `json:"address,omitempty"`
	Transport string   `json:"transport,omitempty"`
	Rooms     []string `json:"rooms,omitempty"`
	For       float64  `json:"for_s"`
	Behind    int64    `json:"behind_bytes"` // that wait to be written
	Limit     int64    `json:"limit_bytes"`  // at which it is closed
}

// Sockets is the page of that name.
func (s *State) Sockets(filter string) *Sockets { return &Sockets{Servers: []SocketServer{}} }
