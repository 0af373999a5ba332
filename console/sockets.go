// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"fmt"
	"slices"

	"github.com/protoloop/protoloop/internal/view"
	"github.com/protoloop/protoloop/socketio"
)

// lookAtSockets is all that the page of sockets shows: too much for each look.
func (c *Console) lookAtSockets() []view.SocketLook {
	var all []view.SocketLook
	for _, srv := range socketio.All(c.sys) {
		l := view.SocketLook{
			Stats: srv.Stats(), Events: srv.EventStats(), Sessions: srv.Sessions(0),
			Rooms: map[string]map[string]int{}, RoomsOf: map[string][]string{},
		}
		for _, n := range srv.Namespaces() {
			l.Rooms[n.Name()] = n.Rooms()
		}
		for i := range l.Sessions {
			for _, k := range l.Sessions[i].Sockets {
				if s := socketOf(srv, k.Namespace, k.ID); s != nil {
					rooms := s.Rooms()
					l.RoomsOf[k.ID] = rooms[:min(len(rooms), view.MaxRoomsOf)]
				}
			}
		}
		all = append(all, l)
	}
	return all
}

// socketOf is a socket of a namespace that there is, or nil.
func socketOf(srv *socketio.Server, namespace, id string) *socketio.Socket {
	all := srv.Namespaces()
	i := slices.IndexFunc(all, func(n *socketio.Namespace) bool { return n.Name() == namespace || view.Named(n.Name()) == namespace })
	if i < 0 {
		return nil
	}
	return all[i].Socket(id)
}

// disconnectSocket disconnects the client that the target names from its namespace. The id of a socket is of
// one connection.
func (c *Console) disconnectSocket(_ context.Context, _ string, t view.Target) (view.Done, error) {
	for _, srv := range socketio.All(c.sys) {
		if s := socketOf(srv, t.Namespace, t.Socket); s != nil {
			s.Disconnect()
			return view.Done{Done: true, Text: "it was disconnected"}, nil
		}
	}
	return view.Done{}, errConflict{fmt.Sprintf("there is no socket %q in namespace %q any more", t.Socket, t.Namespace)}
}
