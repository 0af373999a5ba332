// SPDX-License-Identifier: Apache-2.0

package natskv_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	protojs "github.com/protoloop/protoloop/consumer/jetstream"
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
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	defer srv.WaitForShutdown()
	defer srv.Shutdown()
	if !srv.ReadyForConnections(time.Minute) {
		t.Fatal("the server is not ready")
	}
	l := leaky{swallow: new(atomic.Int64)}
	nc, err := protojs.Connect(srv.ClientURL(), nats.Timeout(time.Minute), nats.SetCustomDialer(l), nats.PingInterval(time.Hour), nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "STATE"})
	if err != nil {
		t.Fatal(err)
	}
	s := store(t, bucket{js, kv})
	// try makes a call whose first request is lost, and the others as long as there is no connection.
	try := func(what string, f func(ctx context.Context) error) {
		t.Helper()
		l.swallow.Store(1)
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // which nothing here takes on its own
			err = f(ctx)
			late := ctx.Err() != nil
			cancel()
			if err == nil {
				return
			}
			if late {
				break
			}
			time.Sleep(10 * time.Millisecond) // there is no connection yet
		}
		t.Fatalf("%s: %v", what, err)
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
	if _, r, err = s.Open(t.Context(), "key"); err != nil || len(r.Changes) != 2 {
		t.Errorf("stored: %v, %v", r.Changes, err)
	}
}
