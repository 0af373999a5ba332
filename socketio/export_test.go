// SPDX-License-Identifier: Apache-2.0

package socketio

// Remembered is the number of sessions and workers that the server knows.
func (srv *Server) Remembered() int {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	return len(srv.sessions) + len(srv.starting)
}

// PendingAcks is the number of acknowledgements that the socket waits for.
func (s *Socket) PendingAcks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acks)
}

// SavedStates is the number of states that the namespace keeps for recovery, and
// of the places in its list of them.
func (n *Namespace) SavedStates() (saved, listed int) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return len(n.history.saved), n.history.order.Len()
}

// Observed reports whether anybody is told of what happens on the server.
func (srv *Server) Observed() bool { return srv.activity.wants(AllActivity) }
