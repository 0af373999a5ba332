// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"encoding/json"
	"fmt"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio/internal/parser"
)

// Registrar is whom handlers are registered with: a [*Server], which stands for
// its main namespace, or a [*Namespace].
type Registrar interface{ registrar() *Namespace }

// HandlerOption changes a handler.
type HandlerOption struct{ exclusive bool }

// Exclusive lets nothing else of the session run while the handler awaits: the
// next event does not start before it has returned. See [actors.Exclusive].
func Exclusive() HandlerOption { return HandlerOption{exclusive: true} }

// handler is what runs for an event of one name.
type handler struct {
	label     string // in logs
	exclusive bool
	call      func(t *actors.Task, s *Socket, p *parser.Packet) (*parser.Args, error)
	handlerCounts
}

// On registers the handler of an event. Its first argument is decoded to a T by
// encoding/json; without one v is the zero value, and further ones are
// dropped. Attachments are read into fields of type []byte or [Binary]; in an any
// or a json.RawMessage they are base64 text. As by encoding/json everywhere, half
// of a surrogate pair, which JavaScript's strings may have alone, becomes U+FFFD
// in a string or an any; a json.RawMessage has the text as it came.
//
// If the client asks for an acknowledgement it gets an empty one when the
// handler returns nil, and {"error": {"message": …}} when it returns an error;
// see [Error]. An error that no client gets is logged.
//
// An event without a handler is dropped, and is not acknowledged: see
// [Stats.Unhandled].
//
// The handler runs as a task of the session, and may await. Handlers of a
// session start in the order of its events. A second handler for the same event
// panics.
func On[T any](r Registrar, event string, h func(t *actors.Task, s *Socket, v T) error, opts ...HandlerOption) {
	if h == nil {
		panic("socketio: On called with a nil function")
	}
	register(r, "On", event, opts, func(t *actors.Task, s *Socket, p *parser.Packet) (*parser.Args, error) {
		v, err := decode[T](p.Args, p.Attachments)
		if err != nil {
			return nil, err
		}
		return nil, h(t, s, v)
	})
}

// OnAck is On for a handler whose value is the acknowledgement: the first
// argument of the client's callback. A Result may have [Binary] in it.
func OnAck[T, Result any](r Registrar, event string, h func(t *actors.Task, s *Socket, v T) (Result, error), opts ...HandlerOption) {
	if h == nil {
		panic("socketio: OnAck called with a nil function")
	}
	register(r, "OnAck", event, opts, func(t *actors.Task, s *Socket, p *parser.Packet) (*parser.Args, error) {
		v, err := decode[T](p.Args, p.Attachments)
		if err != nil {
			return nil, err
		}
		result, err := h(t, s, v)
		if err != nil || p.ID == parser.NoID {
			return nil, err
		}
		args := &parser.Args{}
		return args, args.Append(result)
	})
}

// OnRaw registers the handler of an event with all its arguments, as they came:
// in JSON, where {"_placeholder":true,"num":n} stands for bins[n]. What is
// acknowledged is as with On.
func OnRaw(io *Server, namespace, event string, h func(t *actors.Task, s *Socket, args []json.RawMessage, bins [][]byte) error, opts ...HandlerOption) {
	if h == nil {
		panic("socketio: OnRaw called with a nil function")
	}
	register(io.Of(namespace), "OnRaw", event, opts, func(t *actors.Task, s *Socket, p *parser.Packet) (*parser.Args, error) {
		return nil, h(t, s, p.Args, p.Attachments)
	})
}

// OnRawAck is OnRaw for a handler that returns the arguments of the
// acknowledgement, in the same form.
func OnRawAck(io *Server, namespace, event string, h func(t *actors.Task, s *Socket, args []json.RawMessage, bins [][]byte) ([]json.RawMessage, [][]byte, error), opts ...HandlerOption) {
	if h == nil {
		panic("socketio: OnRawAck called with a nil function")
	}
	register(io.Of(namespace), "OnRawAck", event, opts, func(t *actors.Task, s *Socket, p *parser.Packet) (*parser.Args, error) {
		raw, bins, err := h(t, s, p.Args, p.Attachments)
		if err != nil {
			return nil, err
		}
		args := &parser.Args{}
		return args, args.AppendRaw(raw, bins)
	})
}

func register(r Registrar, what, event string, opts []HandlerOption, call func(*actors.Task, *Socket, *parser.Packet) (*parser.Args, error)) {
	n := r.registrar()
	if parser.Reserved(event) {
		panic(fmt.Sprintf("socketio: %s: %q is no event of a client's: see OnConnect and OnDisconnect", what, event))
	}
	h := &handler{label: "socketio event " + event, call: call}
	for _, o := range opts {
		h.exclusive = h.exclusive || o.exclusive
	}
	n.handlersMu.Lock()
	defer n.handlersMu.Unlock()
	if _, twice := n.events[event]; twice {
		panic(fmt.Sprintf("socketio: %s: a second handler for event %q of namespace %s", what, event, n.name))
	}
	n.events[event] = h
}

// decode reads the first argument.
func decode[T any](args []json.RawMessage, bins [][]byte) (v T, err error) {
	if len(args) == 0 {
		return v, nil
	}
	switch dst := any(&v).(type) {
	case *[]byte:
		if b, whole := parser.Attachment(args[0], bins); whole {
			*dst = b
			return v, nil
		}
	case *Binary:
		if b, whole := parser.Attachment(args[0], bins); whole {
			*dst = b
			return v, nil
		}
	}
	if err := json.Unmarshal(parser.Inline(args[0], bins), &v); err != nil {
		return v, &argumentError{err}
	}
	return v, nil
}

// Binary is binary data that is sent as an attachment wherever it stands in an
// argument; a []byte does so only as an argument of its own, and is base64 text
// within a struct, as everywhere in encoding/json. A JavaScript client gets an
// ArrayBuffer or a Buffer. To encoding/json itself, and so to a MarshalJSON of
// yours, a Binary is a []byte, too.
//
// The reference's clients break off the connection at a packet with more than
// ten attachments.
type Binary = parser.Binary
