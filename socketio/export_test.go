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
