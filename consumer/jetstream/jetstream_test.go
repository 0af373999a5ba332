// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/consumertest"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/consumer/jetstream/jetstreamtest"
)

func TestConformanceEmbedded(t *testing.T) {
	t.Parallel() // it waits for leases to end
	consumertest.Run(t, func(t *testing.T, lease time.Duration) consumertest.Queue {
		return under(t, connectEmbedded(t, t.TempDir()), lease)
	})
}

// TestConformanceProcess is with a server in a process of its own, which is
// killed and comes back.
func TestConformanceProcess(t *testing.T) {
	t.Parallel()
	consumertest.Run(t, func(t *testing.T, lease time.Duration) consumertest.Queue {
		p := jetstreamtest.StartServer(t)
		nc, err := jetstream.Connect("nats://"+p.Addr(), nats.ReconnectWait(50*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		q := under(t, nc, lease)
		send := q.Send
		q.Send = func(ctx context.Context, ms ...consumer.Message) (err error) { // the server may just have come back
			actortest.Eventually(t, "the server to take messages", func() bool {
				err = send(ctx, ms...)
				return err == nil || ctx.Err() != nil
			})
			return err
		}
		q.Outage = func(t *testing.T) func() {
			p.Kill()
			return p.Start
		}
		return q
	})
}

func TestSendDropsDoubles(t *testing.T) {
	q := under(t, connectEmbedded(t, t.TempDir()), time.Second)
	for range 3 {
		if err := q.Send(t.Context(), consumer.Message{Key: "a"}, consumer.Message{Key: "b"}, consumer.Message{}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := q.Len(t.Context()); n != 5 || err != nil { // a, b and thrice one without a key
		t.Errorf("%d messages, %v", n, err)
	}
}

func TestSendRefusesWhatIsNoHeader(t *testing.T) {
	q := under(t, connectEmbedded(t, t.TempDir()), time.Second)
	for _, m := range []consumer.Message{
		{Key: "a\nb"}, {Group: "x\r"}, {Attributes: map[string]string{"a b": "c"}},
		{Attributes: map[string]string{"a": "b\nNats-TTL: 1"}}, {Attributes: map[string]string{"a": " b"}},
		{Attributes: map[string]string{"": "b"}}, {Attributes: map[string]string{"a:": "b"}},
	} {
		if err := q.Send(t.Context(), m); err == nil || !strings.Contains(err.Error(), "cannot be a header") {
			t.Errorf("%+v: %v", m, err)
		}
	}
	for _, k := range []string{"Nats-Rollup", "nats-msg-id", "Nats-"} {
		if err := q.Send(t.Context(), consumer.Message{Attributes: map[string]string{k: "all"}}); err == nil || !strings.Contains(err.Error(), "server's") {
			t.Errorf("header %s: %v", k, err)
		}
	}
	if n, _ := q.Len(t.Context()); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

// TestSendTellsWhich: of a batch that is partly refused the rest is stored, and
// the error says which is which.
func TestSendTellsWhich(t *testing.T) {
	q := under(t, connectEmbedded(t, t.TempDir()), time.Second)
	err := q.Send(t.Context(), consumer.Message{Body: []byte("a")}, consumer.Message{Key: "b\n"}, consumer.Message{Body: []byte("c")})
	batch, ok := errors.AsType[*consumer.BatchError](err)
	if !ok || len(batch.Errs) != 1 || batch.Errs[1] == nil {
		t.Errorf("%v", err)
	}
	if n, err := q.Len(t.Context()); n != 2 || err != nil {
		t.Errorf("%d messages, %v", n, err)
	}
}

// FuzzSend: what Send takes arrives as it was; what could not, it refuses.
func FuzzSend(f *testing.F) {
	f.Add("color", "blue", "key", "group", []byte("body"))
	f.Add("a:b", "c\r\nd", " ", "\x00", []byte{})
	f.Add("Status", "503", "", "", []byte{})
	f.Add("x", "", "k", "g", []byte("NATS/1.0 404\r\n\r\n"))
	nc := connectEmbedded(f, f.TempDir())
	q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS"})
	if err != nil {
		f.Fatal(err)
	}
	ctx := context.Background()
	src, err := q.Open(ctx)
	if err != nil {
		f.Fatal(err)
	}
	unique := time.Now().UnixNano()
	f.Fuzz(func(t *testing.T, name, value, key, group string, body []byte) {
		if key != "" { // doubles are dropped
			unique++
			key += fmt.Sprint(unique)
		}
		if err := q.Send(ctx, consumer.Message{Body: body, Key: key, Group: group, Attributes: map[string]string{name: value}}); err != nil {
			return
		}
		ms, err := src.Receive(ctx, 10)
		if err != nil || len(ms) != 1 {
			t.Fatalf("received %d messages, %v", len(ms), err)
		}
		m := ms[0]
		if err := src.Ack(ctx, ms); err != nil {
			t.Fatal(err)
		}
		sameGroup := m.Group == group || name == jetstream.GroupHeader
		if string(m.Body) != string(body) || m.Attributes[name] != value || !sameGroup || key != "" && m.Key != key {
			t.Fatalf("sent %q=%q, %q, %q, %q; received %+v", name, value, key, group, body, m)
		}
	})
}

func TestOptions(t *testing.T) {
	nc := connectEmbedded(t, t.TempDir())
	for _, o := range []jetstream.Options{{}, {Name: "a.b"}, {Name: "A", Durable: "a b"}, {Name: "A", Lease: -1}, {Name: "A", DeadLetters: "*"}, {Name: "A", DeadLetters: "B", NoDeadLetters: true}} {
		if _, err := jetstream.New(nc, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	q, err := jetstream.New(nc, jetstream.Options{Name: "SMALL", NoDeadLetters: true, Stream: func(c *natsjs.StreamConfig) { c.MaxMsgs, c.Discard = 1, natsjs.DiscardNew }})
	if err != nil {
		t.Fatal(err)
	}
	src, err := q.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Send(t.Context(), consumer.Message{}); err != nil {
		t.Error(err)
	}
	if err := q.Send(t.Context(), consumer.Message{}, consumer.Message{}); err == nil {
		t.Error("a full stream took a message")
	}
	ms, err := src.Receive(t.Context(), 1)
	if err != nil || len(ms) != 1 {
		t.Fatal(ms, err)
	}
	err = src.(consumer.DeadLetterer).DeadLetter(t.Context(), []consumer.Dead{{Message: ms[0], Reason: errors.New("why"), Tries: 1}})
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("dead letter without a stream: %v", err)
	}
}

// TestDeletedConsumer: a source whose consumer is deleted says that it has to
// be opened again, and that works.
func TestDeletedConsumer(t *testing.T) {
	nc := connectEmbedded(t, t.TempDir())
	q := under(t, nc, time.Second)
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, waiting := range []bool{true, false} {
		src, err := q.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		receive := func() {
			_, err := src.Receive(t.Context(), 1)
			ended <- err
		}
		if waiting {
			go receive()
			actortest.Eventually(t, "the pull to wait at the server", func() bool {
				c, err := js.Consumer(t.Context(), "ITEMS", "consumer")
				return err == nil && c.CachedInfo().NumWaiting == 1
			})
		}
		if err := js.DeleteConsumer(t.Context(), "ITEMS", "consumer"); err != nil {
			t.Fatal(err)
		}
		if !waiting {
			go receive()
		}
		if err := <-ended; !errors.Is(err, consumer.ErrClosed) {
			t.Errorf("receive without its consumer: %v", err)
		}
		if err := src.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
