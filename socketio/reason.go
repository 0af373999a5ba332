// SPDX-License-Identifier: Apache-2.0

package socketio

import "github.com/protoloop/protoloop/socketio/internal/engineio"

// Reason is why a socket has been disconnected, in the words of the reference
// server.
type Reason string

// The reasons. All but the last are the reference's.
const (
	// ClientDisconnect: the client left the namespace.
	ClientDisconnect Reason = "client namespace disconnect"
	// ServerDisconnect: [Socket.Disconnect] or [Socket.Close].
	ServerDisconnect Reason = "server namespace disconnect"
	// ServerShutdown: [Server.Stop].
	ServerShutdown Reason = "server shutting down"
	// TransportClose: the client closed the connection, or it broke.
	TransportClose = Reason(engineio.TransportClose)
	// TransportError: the client broke the rules of the transport.
	TransportError = Reason(engineio.TransportError)
	// ParseError: something came that is no Engine.IO packet.
	ParseError = Reason(engineio.ParseError)
	// ForcedClose: the server closed the connection: something came that is no
	// Socket.IO packet, or none that was due.
	ForcedClose = Reason(engineio.ForcedClose)
	// PingTimeout: no pong came within Options.PingTimeout.
	PingTimeout = Reason(engineio.PingTimeout)
	// SlowClient: more than Options.MaxBuffered bytes waited to be sent.
	SlowClient = Reason(engineio.SlowClient)
)

// recoverable reports whether the state of a client is kept after that. A slow
// client's is not: what it has missed would be too much for it again.
func (r Reason) recoverable() bool {
	switch r {
	case TransportError, TransportClose, ForcedClose, PingTimeout, ServerShutdown:
		return true
	}
	return false
}
