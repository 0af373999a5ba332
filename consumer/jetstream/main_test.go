// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/consumertest"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/consumer/jetstream/embedded"
	"github.com/protoloop/protoloop/consumer/jetstream/jetstreamtest"
)

func TestMain(m *testing.M) {
	if !jetstreamtest.IsServer() {
		actortest.Main(m)
	}
}

// connectEmbedded starts a server within the process and connects to it.
func connectEmbedded(t testing.TB, dir string) *nats.Conn {
	t.Helper()
	srv, err := embedded.Start(embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	nc, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// under is a queue as the suite wants it.
func under(t *testing.T, nc *nats.Conn, lease time.Duration) consumertest.Queue {
	t.Helper()
	q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS", Lease: lease, Wait: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return consumertest.Queue{
		Open: q.Open, Send: q.Send, Lease: lease, Largest: int(nc.MaxPayload()),
		Len:  func(ctx context.Context) (int, error) { return lenOf(ctx, nc, "ITEMS") },
		Dead: deadLetters(t, nc),
	}
}

// lenOf is how many messages are in a stream.
func lenOf(ctx context.Context, nc *nats.Conn, stream string) (int, error) {
	js, err := natsjs.New(nc)
	if err != nil {
		return 0, err
	}
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	return int(s.CachedInfo().State.Msgs), nil
}

// deadLetters are what a queue on the stream of them gives, so far.
func deadLetters(t *testing.T, nc *nats.Conn) func(ctx context.Context) ([]consumer.Message, error) {
	q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS_DEAD", NoDeadLetters: true, Lease: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var ms []consumer.Message
	return func(ctx context.Context) ([]consumer.Message, error) {
		src, err := q.Open(ctx)
		if err != nil {
			return nil, err
		}
		within, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		for within.Err() == nil {
			got, err := src.Receive(within, 100)
			if err != nil && within.Err() == nil {
				return nil, err
			}
			for _, m := range got {
				ms = append(ms, *m)
			}
			if len(got) > 0 {
				if err := src.Ack(ctx, got); err != nil {
					return nil, err
				}
			}
		}
		return ms, src.Close(ctx)
	}
}
