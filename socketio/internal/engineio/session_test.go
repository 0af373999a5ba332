// SPDX-License-Identifier: Apache-2.0

package engineio

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// closings is a handler that keeps why its session has ended.
type closings chan Reason

func (closings) Text([]byte) error   { return nil }
func (closings) Binary([]byte) error { return nil }
func (c closings) Upgraded()         {}
func (c closings) Closed(r Reason)   { c <- r }

// hijacked is a request's answer whose connection is c.
type hijacked struct {
	*httptest.ResponseRecorder
	c net.Conn
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.c, bufio.NewReadWriter(bufio.NewReader(h.c), bufio.NewWriter(h.c)), nil
}

// TestSlowClientReason has the writer find that a slow client's session closes
// before the goroutine that ends it does.
func TestSlowClientReason(t *testing.T) {
	for range 100 {
		closed := make(closings, 1)
		sess, client := shake(t, closed)
		sess.mu.Lock()
		sess.overflow()
		sess.mu.Unlock()
		sess.end(ForcedClose, ending{}) // as the writer
		if reason := <-closed; reason != SlowClient {
			t.Fatal(reason)
		}
		_ = client.Close()
		sess.srv.readers.Wait()
	}
}

// shake begins a session by WebSocket. It returns the client's end, too, which
// is read.
func shake(t *testing.T, h Handler) (sess *Session, client net.Conn) {
	t.Helper()
	s := NewServer(Options{
		PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second, UpgradeTimeout: time.Second, CloseTimeout: time.Second,
		MaxPayload: 1000, MaxBuffered: 1000, MaxSessions: 10, HandshakesPer: -1,
		Connect: func(s *Session, _ *http.Request) Handler { sess = s; return h },
	})
	client, server := net.Pipe()
	r := httptest.NewRequest(http.MethodGet, "/?EIO=4&transport=websocket", nil)
	for name, value := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
	go func() { _, _ = io.Copy(io.Discard, client) }()
	s.ServeHTTP(hijacked{httptest.NewRecorder(), server}, r)
	return sess, client
}
