// SPDX-License-Identifier: Apache-2.0

package socketio_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/protoloop/protoloop/socketio"
)

// TestSubprotocols has a client offer subprotocols of its application: the first
// is selected, as by the reference.
func TestSubprotocols(t *testing.T) {
	bubble(t, socketio.Options{}, func(w *world) {
		for _, offer := range [][]string{nil, {"one"}, {"one", "two"}} {
			c, _, err := websocket.Dial(w.Context(), base+"websocket", &websocket.DialOptions{HTTPClient: w.http, Subprotocols: offer})
			if err != nil {
				w.Fatal(err)
			}
			if want := strings.Join(offer[:min(len(offer), 1)], ""); c.Subprotocol() != want {
				w.Errorf("of %q: got %q", offer, c.Subprotocol())
			}
			_ = c.CloseNow()
		}
	})
}

// TestShutdownDuringHandshake cuts a session off while the answer to its
// WebSocket handshake is written: it has no connection yet that could be closed.
func TestShutdownDuringHandshake(t *testing.T) {
	for name, reads := range map[string]time.Duration{
		"the client reads it late": 6 * time.Second,
		"the client never does":    time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, socketio.Options{}, func(w *world) {
				c, err := w.ln.dial()
				if err != nil {
					w.Fatal(err)
				}
				defer c.Close()
				_, _ = io.WriteString(c, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: pipe\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
					"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n")
				synctest.Wait()
				if s := w.io.Stats(); s.Sessions != 1 {
					w.Errorf("%+v", s)
				}
				timer := time.AfterFunc(reads, func() { _, _ = io.Copy(io.Discard, c) })
				defer timer.Stop()
				op := w.shutdownIn(5 * time.Second)
				time.Sleep(10 * time.Second) // UpgradeTimeout bounds the answer
				report, err := op.Result()
				if err == nil { // its context has ended
					w.Error(report, err)
				}
			})
		})
	}
}
