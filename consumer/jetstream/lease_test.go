// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
)

// TestLeaseOfAnExistingConsumer: Options.Lease counts, also for what somebody
// has in flight who will not be heard of again, and without it the consumer's own.
func TestLeaseOfAnExistingConsumer(t *testing.T) {
	t.Parallel() // it waits for leases to end
	nc := connectEmbedded(t, t.TempDir())
	ctx := t.Context()
	open := func(o jetstream.Options) (*jetstream.Queue, consumer.Source) {
		t.Helper()
		o.Name = "ITEMS"
		q, err := jetstream.New(nc, o)
		if err != nil {
			t.Fatal(err)
		}
		src, err := q.Open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return q, src
	}
	one := func(src consumer.Source, deliveries int, lease time.Duration) {
		t.Helper()
		ms, err := src.Receive(ctx, 1)
		if err != nil || len(ms) != 1 || ms[0].Deliveries != deliveries || ms[0].Lease != lease {
			t.Fatalf("received %d, %v; want delivery %d with a lease of %v: %+v", len(ms), err, deliveries, lease, ms)
		}
	}
	end := func(src consumer.Source) {
		t.Helper()
		if err := src.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	q, crashed := open(jetstream.Options{Lease: time.Hour})
	if err := q.Send(ctx, consumer.Message{}); err != nil {
		t.Fatal(err)
	}
	one(crashed, 1, time.Hour)
	_, src := open(jetstream.Options{Lease: time.Second})
	one(src, 2, time.Second)
	end(src)
	_, src = open(jetstream.Options{})
	one(src, 3, time.Second)
	end(src)
	_, src = open(jetstream.Options{Consumer: func(c *natsjs.ConsumerConfig) { c.AckWait = 2 * time.Second }})
	one(src, 4, 2*time.Second)
	end(src)
	end(crashed)
}

// TestLingerWithinTheLease: what is held back is not delivered again meanwhile,
// though the lease in force is shorter than the usual one.
func TestLingerWithinTheLease(t *testing.T) {
	nc := connectEmbedded(t, t.TempDir())
	first, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS", Lease: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS", Linger: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	src, err := q.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Send(t.Context(), consumer.Message{}); err != nil {
		t.Fatal(err)
	}
	ms, err := src.Receive(t.Context(), 1)
	if err != nil || len(ms) != 1 {
		t.Fatal(ms, err)
	}
	if err := src.Ack(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	actortest.Eventually(t, "the ack to come long before its time to linger is over", func() bool {
		n, err := lenOf(t.Context(), nc, "ITEMS")
		return n == 0 && err == nil
	})
	if err := src.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
