// SPDX-License-Identifier: Apache-2.0

package service

import (
	"net"
	"net/http"
	"sync"
)

// silent tracks the connections on which no request has come yet, such as
// browsers open in advance. http.Server.Shutdown waits five seconds for them,
// since one may have been sent.
type silent struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func newSilent() *silent { return &silent{conns: map[net.Conn]struct{}{}} }

// note is a http.Server's ConnState.
func (s *silent) note(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(s.conns, c)
	case s.conns == nil:
		c.Close()
	default:
		s.conns[c] = struct{}{}
	}
}

// close closes them, and each that comes from now on.
func (s *silent) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
	s.conns = nil
}
