// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/consumer/jetstream/embedded"
)

// TestSurvivesTheServersEnd: what was sent is there when a server is started
// on the same folder.
func TestSurvivesTheServersEnd(t *testing.T) {
	dir := t.TempDir()
	ctx := t.Context()
	for i := range 3 {
		srv, err := embedded.Start(embedded.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		nc, err := srv.Connect()
		if err != nil {
			t.Fatal(err)
		}
		q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS"})
		if err != nil {
			t.Fatal(err)
		}
		src, err := q.Open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			ms, err := src.Receive(ctx, 10)
			if err != nil || len(ms) != 1 || string(ms[0].Body) != fmt.Sprint("round ", i-1) {
				t.Fatalf("round %d: %v, %v", i, ms, err)
			}
			if err := src.Ack(ctx, ms); err != nil {
				t.Fatal(err)
			}
		}
		if err := q.Send(ctx, consumer.Message{Body: fmt.Append(nil, "round ", i)}); err != nil {
			t.Fatal(err)
		}
		if err := src.Close(ctx); err != nil {
			t.Fatal(err)
		}
		nc.Close()
		srv.Shutdown()
	}
}

// TestGivenBackBeforeTheServersEnd: what was given back comes again when the
// server is started anew, long before its lease would be over, in its order and
// with its deliveries counted.
func TestGivenBackBeforeTheServersEnd(t *testing.T) {
	dir := t.TempDir()
	ctx := t.Context()
	for round := range 3 {
		srv, err := embedded.Start(embedded.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		nc, err := srv.Connect()
		if err != nil {
			t.Fatal(err)
		}
		q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS", Lease: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		src, err := q.Open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			for i := range 5 {
				if err := q.Send(ctx, consumer.Message{Body: fmt.Append(nil, i)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		var ns []consumer.Nack
		for len(ns) < 5 {
			ms, err := src.Receive(ctx, 5)
			if err != nil {
				t.Fatalf("round %d: %v, after %d messages", round, err, len(ns))
			}
			for _, m := range ms {
				if string(m.Body) != fmt.Sprint(len(ns)) || m.Deliveries != round+1 {
					t.Fatalf("round %d: message %d is %q, delivery %d", round, len(ns), m.Body, m.Deliveries)
				}
				ns = append(ns, consumer.Nack{Message: m})
			}
		}
		// As a consumer does it: what is given back must not come into the pull.
		if ms, err := src.(consumer.Streamer).Drain(ctx); len(ms) != 0 || err != nil {
			t.Fatalf("round %d: %d messages are left, %v", round, len(ms), err)
		}
		if err := src.Nack(ctx, ns); err != nil {
			t.Fatal(err)
		}
		if err := src.Close(ctx); err != nil {
			t.Fatal(err)
		}
		nc.Close()
		srv.Shutdown()
	}
}
