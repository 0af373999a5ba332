// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/consumer/jetstream/embedded"
	"github.com/protoloop/protoloop/internal/testtools"
)

// embeddedQueue is the service's own. When the service is down the test opens
// its folder.
type embeddedQueue struct{}

func (*embeddedQueue) flags() []string { return nil }
func (*embeddedQueue) cut() func()     { panic("an embedded queue cannot be cut off") }

func (q *embeddedQueue) put(t *testing.T, data string, bodies ...string) {
	t.Helper()
	q.open(t, data, func(nc *nats.Conn) { putAll(t, nc, bodies) })
}

func (q *embeddedQueue) state(t *testing.T, data string) (waiting int, dead []consumer.Message) {
	t.Helper()
	q.open(t, data, func(nc *nats.Conn) { waiting, dead = stateOf(t, nc) })
	return waiting, dead
}

func (*embeddedQueue) open(t *testing.T, data string, fn func(nc *nats.Conn)) {
	t.Helper()
	srv, err := embedded.Start(embedded.Options{Dir: data})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Shutdown()
	nc, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	fn(nc)
}

// outsideQueue is a NATS server of its own, which the service reaches through
// a proxy.
type outsideQueue struct {
	t     *testing.T
	nc    *nats.Conn
	proxy *testtools.Proxy
}

func newOutsideQueue(t *testing.T) *outsideQueue {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(2 * time.Minute) {
		t.Fatal("the NATS server is not ready")
	}
	nc, err := jetstream.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return &outsideQueue{t: t, nc: nc, proxy: testtools.StartProxy(t, s.Addr().String())}
}

func (q *outsideQueue) flags() []string {
	return []string{"-queue", "nats://" + q.proxy.Addr, "-store", "embedded"}
}

func (q *outsideQueue) cut() (mend func()) {
	q.proxy.Cut()
	return func() { q.proxy.Mend() }
}

func (q *outsideQueue) put(t *testing.T, _ string, bodies ...string) { putAll(t, q.nc, bodies) }

func (q *outsideQueue) state(t *testing.T, _ string) (int, []consumer.Message) {
	return stateOf(t, q.nc)
}

func putAll(t *testing.T, nc *nats.Conn, bodies []string) {
	t.Helper()
	q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS", Lease: 2 * time.Second})
	if err == nil {
		err = q.Ensure(t.Context())
	}
	for _, b := range bodies {
		if err == nil {
			err = q.Send(t.Context(), consumer.Message{Body: []byte(b)})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// stateOf reads what is in the two streams.
func stateOf(t *testing.T, nc *nats.Conn) (waiting int, dead []consumer.Message) {
	t.Helper()
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	items, err := js.Stream(ctx, "ITEMS")
	if err != nil {
		t.Fatal(err)
	}
	letters, err := js.Stream(ctx, "ITEMS_DEAD")
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= letters.CachedInfo().State.LastSeq; seq++ {
		raw, err := letters.GetMsg(ctx, seq)
		if err != nil {
			t.Fatal(err)
		}
		m := consumer.Message{Body: raw.Data, Attributes: map[string]string{}}
		for k, v := range raw.Header {
			m.Attributes[k] = v[0]
		}
		dead = append(dead, m)
	}
	return int(items.CachedInfo().State.Msgs), dead
}
