// SPDX-License-Identifier: Apache-2.0

package testtools

import (
	"net"
	"testing"
)

// SilentServer takes connections, and says nothing on them.
type SilentServer struct {
	Addr  string
	l     net.Listener
	taken chan net.Conn
}

// NewSilentServer starts one at a port of this machine.
func NewSilentServer(t testing.TB) *SilentServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &SilentServer{l.Addr().String(), l, make(chan net.Conn, 100)}
	go func() {
		defer close(s.taken)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.taken <- c
		}
	}()
	t.Cleanup(s.Close)
	return s
}

// Taken is a connection that it has taken.
func (s *SilentServer) Taken() net.Conn { return <-s.taken }

// Close closes it, and the connections that nobody has asked for.
func (s *SilentServer) Close() {
	_ = s.l.Close()
	for c := range s.taken {
		_ = c.Close()
	}
}
