// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
)

// TestUnfitConsumer: Open fails with a consumer by which messages would be lost or
// never come again, be it one that exists or one that is asked for; of others it
// uses what they are.
func TestUnfitConsumer(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*natsjs.ConsumerConfig)
		want   string // in the error
	}{
		"AckAll":      {func(c *natsjs.ConsumerConfig) { c.AckPolicy = natsjs.AckAllPolicy }, "AckPolicy"},
		"AckNone":     {func(c *natsjs.ConsumerConfig) { c.AckPolicy, c.AckWait = natsjs.AckNonePolicy, 0 }, "AckPolicy"},
		"MaxDeliver":  {func(c *natsjs.ConsumerConfig) { c.MaxDeliver = 3 }, "MaxDeliver"},
		"BackOff":     {func(c *natsjs.ConsumerConfig) { c.BackOff = []time.Duration{time.Second, time.Minute} }, "BackOff"},
		"HeadersOnly": {func(c *natsjs.ConsumerConfig) { c.HeadersOnly = true }, "HeadersOnly"},
		"Described":   {func(c *natsjs.ConsumerConfig) { c.Description = "somebody's" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			nc := connectEmbedded(t, t.TempDir())
			ctx := t.Context()
			js, err := natsjs.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := js.CreateStream(ctx, natsjs.StreamConfig{Name: "ITEMS", Subjects: []string{"items"}}); err != nil {
				t.Fatal(err)
			}
			made := natsjs.ConsumerConfig{Durable: "consumer", AckPolicy: natsjs.AckExplicitPolicy, AckWait: 30 * time.Second, MaxDeliver: -1}
			c.change(&made)
			check := func(o jetstream.Options) {
				t.Helper()
				o.Name = "ITEMS"
				q, err := jetstream.New(nc, o)
				if err != nil {
					t.Fatal(err)
				}
				src, err := q.Open(ctx)
				switch {
				case c.want == "" && err == nil:
					if err := src.Close(ctx); err != nil {
						t.Error(err)
					}
				case c.want == "" || err == nil || !strings.Contains(err.Error(), c.want):
					t.Errorf("Open returned %v, want %q", err, c.want)
				}
			}
			check(jetstream.Options{Durable: "other", Consumer: c.change})
			existing, err := js.CreateConsumer(ctx, "ITEMS", made)
			if err != nil {
				t.Fatal(err)
			}
			check(jetstream.Options{})
			info, err := existing.Info(ctx)
			if err != nil || info.Config.Description != made.Description {
				t.Errorf("it was changed: %+v, %v", info, err)
			}
		})
	}
}

// TestDelayedHoldUpNobody: however many messages wait for their next try, the
// others come; also with a consumer that was made with a limit.
func TestDelayedHoldUpNobody(t *testing.T) {
	t.Parallel() // it waits for delays to end
	for name, c := range map[string]struct{ n, limit int }{"Many": {20_050, 0}, "WithALimit": {50, 50}} {
		t.Run(name, func(t *testing.T) {
			nc := connectEmbedded(t, t.TempDir())
			ctx := t.Context()
			o := jetstream.Options{Name: "ITEMS"}
			if c.limit == 0 {
				o.Lease = time.Hour // however long it takes to give all back
			}
			q, err := jetstream.New(nc, o)
			if err != nil {
				t.Fatal(err)
			}
			if c.limit > 0 {
				js, err := natsjs.New(nc)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := js.CreateStream(ctx, natsjs.StreamConfig{Name: "ITEMS", Subjects: []string{"items"}, Retention: natsjs.WorkQueuePolicy}); err != nil {
					t.Fatal(err)
				}
				if _, err := js.CreateConsumer(ctx, "ITEMS", natsjs.ConsumerConfig{Durable: "consumer", AckPolicy: natsjs.AckExplicitPolicy, AckWait: time.Hour, MaxAckPending: c.limit}); err != nil {
					t.Fatal(err)
				}
			}
			src, err := q.Open(ctx)
			if err != nil {
				t.Fatal(err)
			}
			ms := make([]consumer.Message, c.n)
			for i := range ms {
				ms[i].Body = fmt.Append(nil, "bad ", i)
			}
			if err := q.Send(ctx, ms...); err != nil {
				t.Fatal(err)
			}
			for left := c.n; left > 0; {
				got, err := src.Receive(ctx, min(left, 1024))
				if err != nil {
					t.Fatalf("with %d to come: %v", left, err)
				}
				ns := make([]consumer.Nack, len(got))
				for i, m := range got {
					ns[i] = consumer.Nack{Message: m, Delay: time.Hour}
				}
				if err := src.Nack(ctx, ns); err != nil {
					t.Fatal(err)
				}
				left -= len(got)
			}
			if err := q.Send(ctx, consumer.Message{Body: []byte("good")}); err != nil {
				t.Fatal(err)
			}
			var got []*consumer.Message
			actortest.Eventually(t, "the good one, which is not held up for an hour", func() bool {
				within, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				got, err = src.Receive(within, 1)
				return len(got) > 0 || err != nil && within.Err() == nil
			})
			if len(got) != 1 || string(got[0].Body) != "good" {
				t.Fatalf("received %v, %v", got, err)
			}
			if err := src.Close(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSubjectOfAnotherStream: a stream that exists and does not take the queue's
// subject is refused. What is sent there might be stored in another one, and
// confirmed.
func TestSubjectOfAnotherStream(t *testing.T) {
	nc := connectEmbedded(t, t.TempDir())
	ctx := t.Context()
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []natsjs.StreamConfig{
		{Name: "ITEMS", Subjects: []string{"items.>"}}, {Name: "ORDERS", Subjects: []string{"orders"}}, {Name: "ITEMS_DEAD", Subjects: []string{"items_dead"}},
	} {
		if _, err := js.CreateStream(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	for subject, want := range map[string]string{"items.new": "", "orders": "ORDERS", "": "no stream"} {
		q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS", Subject: subject})
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Ensure(ctx); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("subject %q: %v, want %q", subject, err, want)
		}
	}
}
