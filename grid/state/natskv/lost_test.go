// SPDX-License-Identifier: Apache-2.0

package natskv_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/protoloop/protoloop/grid/state"
)

// leaky is a connection that swallows the next thing that is sent, and is lost, as that to a server that is killed.
type leaky struct {
	net.Conn
	swallow *atomic.Int64 // how many more
}

func (l leaky) Write(b []byte) (int, error) {
	if l.swallow.Add(-1) >= 0 {
		return len(b), l.Conn.Close()
	}
	return l.Conn.Write(b)
}

// Dial is that of a nats.CustomDialer.
func (l leaky) Dial(network, addr string) (net.Conn, error) {
	conn, err := net.Dial(network, addr)
	l.Conn = conn
	return l, err
}

// TestLostOnItsWay: what was sent to a server that is lost is answered by nobody. It is sent again to the next one, and does not wait until
// the save as a whole has failed.
func TestLostOnItsWay(t *testing.T) {
	l := leaky{swallow: new(atomic.Int64)}
	nc := connect(t, startServer(t, nil), nats.SetCustomDialer(l), nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(0, 0))
	s := store(t, bucketOf(t, clientOf(t, nc)))
	// try makes a call whose first request is lost, and the others as long as there is no connection.
	try := func(what string, f func(ctx context.Context) error) {
		t.Helper()
		l.swallow.Store(1)
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // which nothing here takes on its own
			err := f(ctx)
			late := ctx.Err() != nil
			cancel()
			if err == nil {
				return
			}
			if late {
				t.Fatalf("%s: %v", what, err)
			}
			time.Sleep(10 * time.Millisecond) // there is no connection yet
		}
	}
	var o state.Owner
	var r state.Record
	for range 2 { // the first is without a record
		try("open", func(ctx context.Context) (err error) {
			o, r, err = s.Open(ctx, "key")
			return err
		})
	}
	for seq := uint64(1); seq <= 2; seq++ {
		try("save", func(ctx context.Context) error {
			return o.Save(ctx, state.Write{Token: r.Token, Seq: seq, Changes: [][]byte{{byte(seq)}}})
		})
	}
	if _, r, err := s.Open(t.Context(), "key"); err != nil || len(r.Changes) != 2 {
		t.Errorf("stored: %v, %v", r.Changes, err)
	}
}
