// SPDX-License-Identifier: Apache-2.0

package engineio

import "sync/atomic"

// counters tracks what a server has seen. Any goroutine.
type counters struct {
	handshakes, refused, malformed, upgrades     atomic.Int64
	received, sent, receivedBytes, sentBytes     atomic.Int64
	websockets                                   atomic.Int64 // open now
	pingTimeouts, slowClients, tooLarge, limited atomic.Int64
	dropped                                      atomic.Int64
}

// Stats is a snapshot of a server's counters, all since it was made, but for
// Sessions and WebSockets, which are now.
type Stats struct {
	Sessions      int
	WebSockets    int   // of these: by WebSocket
	Handshakes    int64 // sessions opened
	Refused       int64 // requests answered with an error status
	Limited       int64 // of these: over HandshakesPer or MaxSessions
	Upgrades      int64
	Received      int64 // packets
	Sent          int64 // packets written to a connection or a poll
	ReceivedBytes int64 // of packets, as they came
	SentBytes     int64 // of those, without headers
	Dropped       int64 // packets that were queued when their session ended
	Malformed     int64 // sessions closed because of what they sent
	TooLarge      int64 // of these, and POSTs refused: over MaxPayload
	PingTimeouts  int64
	SlowClients   int64
}

// Stats returns a snapshot. The counters are read one by one.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	n := s.open
	s.mu.Unlock()
	c := &s.counts
	return Stats{
		Sessions: n, WebSockets: min(int(c.websockets.Load()), n), ReceivedBytes: c.receivedBytes.Load(), Handshakes: c.handshakes.Load(), Refused: c.refused.Load(), Limited: c.limited.Load(),
		Upgrades: c.upgrades.Load(), Received: c.received.Load(), Sent: c.sent.Load(), SentBytes: c.sentBytes.Load(),
		Dropped: c.dropped.Load(), Malformed: c.malformed.Load(), TooLarge: c.tooLarge.Load(),
		PingTimeouts: c.pingTimeouts.Load(), SlowClients: c.slowClients.Load(),
	}
}
