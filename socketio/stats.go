// SPDX-License-Identifier: Apache-2.0

package socketio

import "sync/atomic"

// counters tracks what happens. Any goroutine.
type counters struct {
	connects, disconnects, refused, recovered          atomic.Int64
	events, handled, unhandled, held, overloads, emits atomic.Int64
	acks, badArguments, failed, panics                 atomic.Int64
}

// Stats is a snapshot of a server. What is not said to be now has been counted
// since the server was made.
type Stats struct {
	Sessions int // clients, now
	// WebSockets of them are connected by WebSocket, the others poll.
	WebSockets int
	Sockets    map[string]int // by namespace, now

	Handshakes  int64 // sessions that began
	Rejected    int64 // HTTP requests answered with an error status
	Limited     int64 // of these: over HandshakesPerIP or MaxSessions
	Upgrades    int64 // from polling to WebSocket
	Connects    int64 // to a namespace
	Recovered   int64 // of these: with their state
	Refused     int64 // connects that a middleware refused
	Disconnects int64 // from a namespace
	PacketsIn   int64 // Engine.IO packets
	PacketsOut  int64 // likewise, when written
	BytesOut    int64 // of these, without headers
	BytesIn     int64 // of PacketsIn, as they came
	Dropped     int64 // packets that were queued when their session ended

	Events       int64 // that came
	Handled      int64 // of these: whose handler has returned, or panicked
	Unhandled    int64 // of these: that have no handler
	BadArguments int64 // arguments, or acknowledgements, that could not be decoded
	Failed       int64 // errors of handlers that were logged
	Panics       int64 // of handlers, middlewares and hooks
	Acks         int64 // acknowledgements that were waited for, and came
	Emits        int64 // calls of Emit and EmitAck

	Malformed    int64 // sessions closed because of what they sent
	TooLarge     int64 // messages and POSTs over MaxPayload
	Held         int64 // events, connects and ends that had to wait because of MaxEvents
	Overloads    int64 // sessions closed because too much was held, and nothing ended
	SlowClients  int64 // sessions closed because of MaxBuffered
	PingTimeouts int64 // sessions that ended by one
}

// Stats returns a snapshot; its numbers are read one by one.
func (srv *Server) Stats() Stats {
	e, c := srv.eio.Stats(), &srv.counts
	s := Stats{
		Sessions: e.Sessions, WebSockets: e.WebSockets, Sockets: map[string]int{},
		Handshakes: e.Handshakes, Rejected: e.Refused, Limited: e.Limited, Upgrades: e.Upgrades,
		Connects: c.connects.Load(), Recovered: c.recovered.Load(), Refused: c.refused.Load(), Disconnects: c.disconnects.Load(),
		PacketsIn: e.Received, PacketsOut: e.Sent, BytesIn: e.ReceivedBytes, BytesOut: e.SentBytes, Dropped: e.Dropped,
		Events: c.events.Load(), Handled: c.handled.Load(), Unhandled: c.unhandled.Load(), BadArguments: c.badArguments.Load(),
		Failed: c.failed.Load(), Panics: c.panics.Load(), Acks: c.acks.Load(), Emits: c.emits.Load(),
		Malformed: e.Malformed, TooLarge: e.TooLarge, Held: c.held.Load(), Overloads: c.overloads.Load(),
		SlowClients: e.SlowClients, PingTimeouts: e.PingTimeouts,
	}
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	for name, n := range srv.namespaces {
		n.mu.RLock()
		s.Sockets[name] = len(n.all)
		n.mu.RUnlock()
	}
	return s
}
