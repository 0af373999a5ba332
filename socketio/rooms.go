// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"fmt"
	"slices"
)

// room is who has joined it. It is guarded by the namespace's mu.
type room struct {
	list []*Socket
	at   map[*Socket]int // index in list
}

func (r *room) add(s *Socket) {
	if _, in := r.at[s]; in {
		return
	}
	r.at[s] = len(r.list)
	r.list = append(r.list, s)
}

func (r *room) remove(s *Socket) {
	i, in := r.at[s]
	if !in {
		return
	}
	last := len(r.list) - 1
	r.list[i] = r.list[last]
	r.at[r.list[i]] = i
	r.list[last] = nil
	r.list = r.list[:last]
	delete(r.at, s)
}

// join puts s into the room. With mu held.
func (n *Namespace) join(s *Socket, name string) {
	if name == s.id {
		if s.leftOwn {
			s.leftOwn = false
			n.tellRoom(RoomJoined, s, name)
		}
		return
	}
	r := n.rooms[name]
	if r == nil {
		r = &room{at: map[*Socket]int{}}
		n.rooms[name] = r
	}
	if _, in := s.rooms[name]; in {
		return
	}
	r.add(s)
	if s.rooms == nil {
		s.rooms = map[string]struct{}{}
	}
	s.rooms[name] = struct{}{}
	n.tellRoom(RoomJoined, s, name)
}

// tellRoom tells who wants to know that s has joined or left a room. With mu held.
func (n *Namespace) tellRoom(kind ActivityKind, s *Socket, room string) {
	if n.srv.activity.wants(kind) {
		n.srv.activity.tell(activity{kind: kind, s: s, room: room})
	}
}

// leave takes s out of the room. With mu held.
func (n *Namespace) leave(s *Socket, name string) {
	if name == s.id {
		if !s.leftOwn {
			s.leftOwn = true
			n.tellRoom(RoomLeft, s, name)
		}
		return
	}
	if _, in := s.rooms[name]; !in {
		return
	}
	if r := n.rooms[name]; r != nil {
		r.remove(s)
		if len(r.list) == 0 {
			delete(n.rooms, name)
		}
	}
	delete(s.rooms, name)
	if s.member { // else it leaves all, and the namespace
		n.tellRoom(RoomLeft, s, name)
	}
}

// add makes s one of the namespace's. With mu held.
func (n *Namespace) add(s *Socket) {
	n.byID[s.id] = s
	s.at = len(n.all)
	n.all = append(n.all, s)
	s.member = true
}

// remove undoes that, and takes s out of its rooms. With mu held.
func (n *Namespace) remove(s *Socket) {
	if !s.member {
		return
	}
	s.lastRooms = s.roomList()
	s.member = false
	for name := range s.rooms {
		n.leave(s, name)
	}
	s.rooms = nil
	delete(n.byID, s.id)
	last := len(n.all) - 1
	n.all[s.at] = n.all[last]
	n.all[s.at].at = s.at
	n.all[last] = nil
	n.all = n.all[:last]
}

// Join puts the socket into rooms, until it leaves them or is disconnected. The
// error is [ErrTooManyRooms]; it is in none of them then. A socket that is not
// connected joins nothing.
func (s *Socket) Join(rooms ...string) error {
	n := s.ns
	n.mu.Lock()
	defer n.mu.Unlock()
	if !s.member {
		return nil
	}
	count := len(s.rooms)
	for i, name := range rooms {
		if _, in := s.rooms[name]; !in && name != s.id && !slices.Contains(rooms[:i], name) {
			count++
		}
	}
	if limit := n.srv.opts.MaxRooms; count > limit {
		return fmt.Errorf("%w: %d", ErrTooManyRooms, limit)
	}
	for _, name := range rooms {
		n.join(s, name)
	}
	return nil
}

// Leave takes the socket out of rooms.
func (s *Socket) Leave(rooms ...string) {
	n := s.ns
	n.mu.Lock()
	defer n.mu.Unlock()
	if !s.member {
		return
	}
	for _, name := range rooms {
		n.leave(s, name)
	}
}

// Rooms returns the rooms the socket is in, sorted: its own id and those it has
// joined. When it has been disconnected they are those that it was in then, for
// [Namespace.OnDisconnect].
func (s *Socket) Rooms() []string {
	s.ns.mu.RLock()
	defer s.ns.mu.RUnlock()
	return s.roomList()
}

// roomList is Rooms with mu held.
func (s *Socket) roomList() []string {
	if !s.member {
		return slices.Clone(s.lastRooms)
	}
	list := make([]string, 0, len(s.rooms)+1)
	if !s.leftOwn {
		list = append(list, s.id)
	}
	for name := range s.rooms {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}
