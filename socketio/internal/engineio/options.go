// SPDX-License-Identifier: Apache-2.0

package engineio

import (
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Options of a [Server], resolved: every field has to be set, but for those
// that say otherwise.
type Options struct {
	PingInterval   time.Duration // between a pong and the next ping
	PingTimeout    time.Duration // for the pong
	UpgradeTimeout time.Duration // for an upgrade to be completed
	CloseTimeout   time.Duration // for a client to take the close packet
	MaxPayload     int64         // bytes of a message, or of a POST
	MaxBuffered    int           // bytes queued for one session
	MaxSessions    int
	HandshakesPer  int  // a second and address; negative: no limit
	NoUpgrades     bool // zero: polling sessions may upgrade
	NoPolling      bool
	NoWebSocket    bool

	AllowedOrigins   []string // besides the same origin, for ParseOrigin; may be empty
	AllowCredentials bool
	ClientIP         func(r *http.Request) string // nil: RemoteIP
	Logger           *slog.Logger

	// Connect is called for each new session, before anything is received from
	// it, and returns its handler. What it sends goes out behind the handshake.
	Connect func(s *Session, r *http.Request) Handler
}

// Handler is who receives what a session receives: one call at a time, in the
// order of arrival.
type Handler interface {
	// Text is a text message. b is valid until Text returns. An error closes
	// the session as a forced close, and counts as malformed input.
	Text(b []byte) error
	// Binary is a binary message; b is the handler's to keep. Likewise.
	Binary(b []byte) error
	// Upgraded: a polling session goes on by WebSocket.
	Upgraded()
	// Closed is called once, when the session has ended. It may overlap with
	// a Text or Binary that has not returned.
	Closed(reason Reason)
}

// Reason is why a session has ended, in the words of the reference server.
type Reason string

// The reasons of this layer.
const (
	TransportClose Reason = "transport close" // the client closed, or the connection broke
	TransportError Reason = "transport error" // the client broke the rules of the transport
	ParseError     Reason = "parse error"     // what came is no Engine.IO packet
	PingTimeout    Reason = "ping timeout"    // no pong within PingTimeout
	ForcedClose    Reason = "forced close"    // closed by the server
	SlowClient     Reason = "slow client"     // MaxBuffered exceeded; not one of the reference
)

// RemoteIP is the address that a request comes from, without the port.
func RemoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
