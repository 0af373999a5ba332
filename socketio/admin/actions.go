// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
	"github.com/protoloop/protoloop/socketio/internal/parser"
)

// action is what the page asks for, on the sockets of a namespace or those in a room of it.
type action func(b socketio.Broadcast, args []json.RawMessage) (what []any, err error)

// registerActions registers the events of the page.
func (a *Admin) registerActions() {
	a.onAction("emit", 1, func(b socketio.Broadcast, args []json.RawMessage) ([]any, error) {
		var event string
		if err := json.Unmarshal(args[0], &event); err != nil || parser.Reserved(event) {
			return nil, fmt.Errorf("admin: %.100s is no name of an event", args[0])
		}
		values := make([]any, len(args)-1)
		for i, arg := range args[1:] {
			values[i] = arg
		}
		return []any{"event", event}, b.Emit(event, values...)
	})
	a.onAction("join", 2, func(b socketio.Broadcast, args []json.RawMessage) ([]any, error) {
		room, err := roomOf(args)
		if err != nil {
			return nil, err
		}
		return []any{"room", room}, b.SocketsJoin(room)
	})
	a.onAction("leave", 2, func(b socketio.Broadcast, args []json.RawMessage) ([]any, error) {
		room, err := roomOf(args)
		if err != nil {
			return nil, err
		}
		b.SocketsLeave(room)
		return []any{"room", room}, nil
	})
	a.onAction("_disconnect", 2, func(b socketio.Broadcast, args []json.RawMessage) ([]any, error) {
		var whole bool
		if err := json.Unmarshal(args[0], &whole); err != nil {
			return nil, fmt.Errorf("admin: %.100s is neither true nor false", args[0])
		}
		b.DisconnectSockets(whole)
		return []any{"close", whole}, nil
	})
}

func roomOf(args []json.RawMessage) (room string, err error) {
	if json.Unmarshal(args[0], &room) != nil || room == "" {
		return "", fmt.Errorf("admin: %.100s is no name of a room", args[0])
	}
	return room, nil
}

// onAction registers an event whose first argument is a namespace, and whose argument of index filterAt is a
// room or nothing; do gets the others, of which there is at least one.
func (a *Admin) onAction(event string, filterAt int, do action) {
	socketio.OnRaw(a.io, a.ns.Name(), event, func(t *actors.Task, s *socketio.Socket, args []json.RawMessage, bins [][]byte) error {
		v, ok := s.Data().(*viewer)
		if !ok || v.access != Act {
			return fmt.Errorf("admin: %s: not allowed", event)
		}
		var nsp, filter string
		if len(bins) > 0 || len(args) == 0 || json.Unmarshal(args[0], &nsp) != nil {
			return fmt.Errorf("admin: %s without a namespace, or with binary data", event)
		}
		if filterAt < len(args) {
			if json.Unmarshal(args[filterAt], &filter) != nil { // null leaves it empty
				return fmt.Errorf("admin: %s: %.100s is no room", event, args[filterAt])
			}
			args = slices.Delete(slices.Clone(args), filterAt, filterAt+1)
		}
		if args = args[1:]; len(args) == 0 {
			return fmt.Errorf("admin: %s with too few arguments", event)
		}
		b, err := a.sockets(nsp, filter)
		if err == nil {
			var what []any
			what, err = do(b, args)
			record := append([]any{"action", event, "user", v.name, "address", s.Handshake().Address, "namespace", nsp, "filter", filter}, what...)
			if err != nil {
				record = append(record, "error", err)
			}
			a.log.InfoContext(t.Context(), "socketio: admin: action", record...)
		}
		return err
	})
}

// sockets are those of a namespace that there is, or those in a room of it.
func (a *Admin) sockets(nsp, filter string) (socketio.Broadcast, error) {
	for _, n := range a.io.Namespaces() {
		switch {
		case n.Name() != nsp:
		case filter != "":
			return n.To(filter), nil
		default:
			return n.To(), nil
		}
	}
	return socketio.Broadcast{}, fmt.Errorf("admin: there is no namespace %.100q", nsp)
}
