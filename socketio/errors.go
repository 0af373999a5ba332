// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/protoloop/protoloop/actors"
)

// Errors of this package. Match them with errors.Is.
var (
	// ErrDisconnected: the client has gone before it has acknowledged.
	ErrDisconnected = errors.New("socketio: the client has disconnected")
	// ErrAckTimeout: the client has not acknowledged within Options.AckTimeout.
	ErrAckTimeout = errors.New("socketio: the client has not acknowledged in time")
	// ErrTooManyAcks: Options.MaxPendingAcks events wait for the client's
	// acknowledgement.
	ErrTooManyAcks = errors.New("socketio: as many events wait for the client's acknowledgement as may")
	// ErrTooManyRooms: the socket is in Options.MaxRooms rooms.
	ErrTooManyRooms = errors.New("socketio: the socket is in as many rooms as it may be")
)

// Error is an error with data for the client. A middleware that returns one
// refuses the client with it; a handler's goes into the acknowledgement. Of
// other errors the client gets the text, but of a panic "internal error".
type Error struct {
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"` // for encoding/json
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// errGoexit is a handler that has called runtime.Goexit.
var errGoexit = fmt.Errorf("socketio: the handler: %w", actors.ErrGoexit)

// argumentError is an argument that is not what the handler takes.
type argumentError struct{ err error }

func (e *argumentError) Error() string { return "invalid argument: " + e.err.Error() }
func (e *argumentError) Unwrap() error { return e.err }

// forClient is what a client gets to see of an error.
func forClient(err error) *Error {
	var own *Error
	var panicked *actors.PanicError
	var argument *argumentError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &panicked), errors.Is(err, errGoexit):
		return &Error{Message: "internal error"}
	case errors.As(err, &argument):
		if errors.As(err, &typ) { // without the names of Go types
			return &Error{Message: "invalid argument: unexpected " + typ.Value}
		}
		return &Error{Message: "invalid argument"}
	}
	return &Error{Message: err.Error()}
}
