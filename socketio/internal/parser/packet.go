// SPDX-License-Identifier: Apache-2.0

package parser

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// Type is the type of a packet, as it is on the wire.
type Type byte

// The types. A packet that has been decoded is never of a Binary one: it is an
// Event or an Ack with attachments.
const (
	Connect      Type = '0'
	Disconnect   Type = '1'
	Event        Type = '2'
	Ack          Type = '3'
	ConnectError Type = '4'
	BinaryEvent  Type = '5'
	BinaryAck    Type = '6'
)

// NoID is the ID of a packet without one.
const NoID int64 = -1

// Packet is a packet that has been received.
type Packet struct {
	Type      Type
	Namespace string // "/" is the main one
	ID        int64  // asks for an acknowledgement, or is the one; NoID
	// Name is an Event's.
	Name string
	// Args are an Event's arguments without its name, or an Ack's. Of a Connect
	// the payload, if it has one, an object.
	Args []json.RawMessage
	// Attachments are what the placeholders in Args stand for.
	Attachments [][]byte

	missing int // attachments to come
}

// The errors of malformed packets, in the reference's words.
var (
	ErrType        = errors.New("socketio: unknown packet type")
	ErrAttachments = errors.New("socketio: illegal attachments")
	ErrTooMany     = errors.New("socketio: too many attachments")
	ErrPayload     = errors.New("socketio: invalid payload")
	ErrID          = errors.New("socketio: invalid acknowledgement id")
	ErrNamespace   = errors.New("socketio: invalid namespace")
	ErrText        = errors.New("socketio: got plaintext data when reconstructing a packet")
	ErrBinary      = errors.New("socketio: got binary data when not reconstructing a packet")
)

// Reserved reports whether nobody may send an event of that name.
func Reserved(event string) bool {
	switch event {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}

// maxNamespace bounds the name of a namespace.
const maxNamespace = 256

// ValidNamespace reports whether a packet can carry the name of a namespace,
// which begins with a slash.
func ValidNamespace(name string) bool {
	return len(name) <= maxNamespace && utf8.ValidString(name) && !strings.ContainsAny(name, ",?")
}
