// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
)

// TestPullStands: what a Receive was asked for comes without being asked for
// again, no more than that, and what was not received goes back with Close.
func TestPullStands(t *testing.T) {
	nc := connectEmbedded(t, t.TempDir())
	q := under(t, nc, time.Minute)
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	inHand := func() int {
		c, err := js.Consumer(t.Context(), "ITEMS", "consumer")
		if err != nil {
			t.Fatal(err)
		}
		return c.CachedInfo().NumAckPending
	}
	src, err := q.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	send := func(n int) {
		t.Helper()
		for i := range n {
			if err := q.Send(t.Context(), consumer.Message{Body: []byte(fmt.Sprint(i))}); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(1)
	if ms, err := src.Receive(t.Context(), 10); len(ms) != 1 || err != nil {
		t.Fatal(len(ms), err)
	}
	send(20)
	actortest.Eventually(t, "nine more to come", func() bool { return inHand() == 10 })
	if ms, err := src.Receive(t.Context(), 4); len(ms) != 4 || err != nil {
		t.Fatal(len(ms), err)
	}
	if n := inHand(); n != 10 {
		t.Errorf("%d messages have been taken, for 10 that were asked for", n)
	}
	if err := src.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := q.Open(t.Context()) // long before the leases are over
	if err != nil {
		t.Fatal(err)
	}
	redelivered, total := 0, 0
	for total < 16 {
		ms, err := again.Receive(t.Context(), 16-total)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ms {
			total++
			redelivered += m.Deliveries - 1
		}
	}
	if redelivered != 5 {
		t.Errorf("%d were given back, want 5", redelivered)
	}
	if err := again.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestPullIsNotDoubled: the server knows of what the last Receive has asked for alone, also after reconnects, and after acks that nobody takes: then a source
// asks anew, and the server may know of what it was asked for before.
func TestPullIsNotDoubled(t *testing.T) {
	t.Parallel() // it waits
	for what, anew := range map[string]func(way *lossy, nc *nats.Conn, src consumer.Source){
		"reconnect": func(_ *lossy, nc *nats.Conn, _ consumer.Source) {
			before := nc.Stats().Reconnects
			if err := nc.ForceReconnect(); err != nil {
				t.Fatal(err)
			}
			actortest.Eventually(t, "another connection", func() bool { return nc.Stats().Reconnects > before && nc.IsConnected() })
		},
		"ack": func(way *lossy, _ *nats.Conn, src consumer.Source) {
			before := way.count(pullNext)
			if err := src.Ack(t.Context(), []*consumer.Message{{Ref: "$JS.ACK.ITEMS.nobody.1.1.1.1.0"}}); !errors.Is(err, nats.ErrNoResponders) {
				t.Errorf("an ack that nobody takes: %v", err)
			}
			actortest.Eventually(t, "the server to be asked anew", func() bool { return way.count(pullNext) > before })
		},
	} {
		t.Run(what, func(t *testing.T) {
			way, nc, sound := connectLossy(t)
			q := under(t, nc, time.Minute)
			src, err := q.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			way.watch(pullNext)
			received := make(chan int)
			go func() {
				ms, _ := src.Receive(context.Background(), 10)
				received <- len(ms)
			}()
			actortest.Eventually(t, "the server to be asked", func() bool { return way.count(pullNext) > 0 })
			for range 2 {
				anew(way, nc, src)
			}
			time.Sleep(2 * time.Second) // until it has asked again if it is to
			for range 40 {
				if err := q.Send(t.Context(), consumer.Message{}); err != nil {
					t.Fatal(err)
				}
			}
			if n := <-received; n < 1 || n > 10 {
				t.Errorf("received %d messages", n)
			}
			js, err := natsjs.New(sound)
			if err != nil {
				t.Fatal(err)
			}
			var info *natsjs.ConsumerInfo
			actortest.Eventually(t, "all that was asked for to be sent", func() bool {
				c, err := js.Consumer(t.Context(), "ITEMS", "consumer")
				if err != nil {
					t.Fatal(err)
				}
				info = c.CachedInfo()
				return info.NumWaiting == 0
			})
			if info.NumAckPending > 10 { // fewer, if it has just asked anew
				t.Errorf("%d messages have been taken, for 10 that were asked for", info.NumAckPending)
			}
		})
	}
}

// TestLinger: the last one acked stays in the queue until the next ack, for a
// while, or until the end.
func TestLinger(t *testing.T) {
	open := func(linger time.Duration) (*jetstream.Queue, consumer.Source, func() int) {
		nc := connectEmbedded(t, t.TempDir())
		q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS", Lease: time.Minute, Linger: linger})
		if err != nil {
			t.Fatal(err)
		}
		src, err := q.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return q, src, func() int {
			n, err := lenOf(t.Context(), nc, "ITEMS")
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	handle := func(q *jetstream.Queue, src consumer.Source, n int) {
		t.Helper()
		for range n {
			if err := q.Send(t.Context(), consumer.Message{}); err != nil {
				t.Fatal(err)
			}
		}
		var all []*consumer.Message
		for len(all) < n {
			ms, err := src.Receive(t.Context(), n-len(all))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, ms...)
		}
		if err := src.Ack(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	q, src, length := open(time.Minute)
	for _, n := range []int{1, 3, 1} {
		handle(q, src, n)
		if left := length(); left != 1 {
			t.Errorf("%d messages are left after an ack of %d, want 1", left, n)
		}
	}
	if err := src.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := length(); left != 0 {
		t.Errorf("%d messages are left after the close", left)
	}
	q, src, length = open(50 * time.Millisecond)
	handle(q, src, 2)
	actortest.Eventually(t, "the last one to go by itself", func() bool { return length() == 0 })
	if err := src.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
