// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
)

type confirmation struct {
	seq uint64
	err error
}

// TestPublisher: each message is confirmed once, in the order of the stream, and
// what is refused is told why.
func TestPublisher(t *testing.T) {
	nc := connectEmbedded(t, t.TempDir())
	under(t, nc, 0) // makes the stream
	p, err := jetstream.NewPublisher(nc)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan confirmation, 1000)
	publish := func(m *nats.Msg) { p.Publish(m, func(seq uint64, err error) { told <- confirmation{seq, err} }) }
	for i := range cap(told) {
		publish(&nats.Msg{Subject: "items", Data: fmt.Append(nil, i)})
	}
	for i := range cap(told) {
		if c := <-told; c.seq != uint64(i+1) || c.err != nil {
			t.Fatalf("message %d: %v", i, c)
		}
	}
	publish(&nats.Msg{Subject: "items", Header: nats.Header{natsjs.ExpectedLastSeqHeader: {"7"}}})
	if c := <-told; c.seq != 0 || !strings.Contains(fmt.Sprint(c.err), "wrong last sequence") {
		t.Errorf("what expects another end of the stream: %v", c)
	} else if _, ok := errors.AsType[*natsjs.APIError](c.err); !ok {
		t.Errorf("%T is none of the server's errors", c.err)
	}
	publish(&nats.Msg{Subject: "nowhere"})
	if c := <-told; !errors.Is(c.err, natsjs.ErrNoStreamResponse) || !strings.Contains(c.err.Error(), "no stream") {
		t.Errorf("what no stream takes: %v", c)
	}
	other, err := nc.Subscribe("other", func(m *nats.Msg) { _ = m.Respond([]byte("{}")) })
	if err != nil {
		t.Fatal(err)
	}
	publish(&nats.Msg{Subject: "other"})
	if c := <-told; !errors.Is(c.err, natsjs.ErrInvalidJSAck) {
		t.Errorf("what somebody else answers: %v", c)
	}
	if err := other.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	publish(&nats.Msg{Subject: "not a subject"})
	if c := <-told; c.err == nil {
		t.Errorf("what cannot be sent: %v", c)
	}
	p.Close()
	publish(&nats.Msg{Subject: "items"})
	if c := <-told; !errors.Is(c.err, nats.ErrConnectionClosed) {
		t.Errorf("after the close: %v", c)
	}
}

// TestPublisherCloses: who waits for a confirmation hears of the close, and of an
// end of the connection.
func TestPublisherCloses(t *testing.T) {
	nc := connectEmbedded(t, t.TempDir())
	p, err := jetstream.NewPublisher(nc)
	if err != nil {
		t.Fatal(err)
	}
	quiet, err := nc.SubscribeSync("quiet") // takes it, and does not answer
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan confirmation, 1)
	p.Publish(&nats.Msg{Subject: "quiet"}, func(seq uint64, err error) { told <- confirmation{seq, err} })
	if _, err := quiet.NextMsgWithContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if c := <-told; !errors.Is(c.err, nats.ErrConnectionClosed) {
		t.Errorf("%v", c)
	}
	p.Close() // once more does nothing
	if p, err = jetstream.NewPublisher(nc); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	p.Publish(&nats.Msg{Subject: "items"}, func(seq uint64, err error) { told <- confirmation{seq, err} })
	if c := <-told; !errors.Is(c.err, nats.ErrConnectionClosed) {
		t.Errorf("%v", c)
	}
}

// TestSendWays: Send of one message, of several, and SendAsync tell the same of what
// goes wrong.
func TestSendWays(t *testing.T) {
	nc := connectEmbedded(t, t.TempDir())
	ways := map[string]func(q *jetstream.Queue, ms ...consumer.Message) error{
		"one by one": func(q *jetstream.Queue, ms ...consumer.Message) (err error) {
			for _, m := range ms {
				err = errors.Join(err, q.Send(t.Context(), m))
			}
			return err
		},
		"together": func(q *jetstream.Queue, ms ...consumer.Message) error { return q.Send(t.Context(), ms...) },
		"async": func(q *jetstream.Queue, ms ...consumer.Message) (err error) {
			told := make(chan error, len(ms))
			for _, m := range ms {
				q.SendAsync(m, func(err error) { told <- err })
			}
			for range ms {
				err = errors.Join(err, <-told)
			}
			return err
		},
	}
	large := consumer.Message{Body: make([]byte, nc.MaxPayload()+1)}
	for name, send := range ways {
		t.Run(name, func(t *testing.T) {
			full, err := jetstream.New(nc, jetstream.Options{Name: "FULL" + strings.ToUpper(name[:1]), NoDeadLetters: true, Stream: func(c *natsjs.StreamConfig) { c.MaxMsgs, c.Discard = 1, natsjs.DiscardNew }})
			if err != nil {
				t.Fatal(err)
			}
			if err := send(full, consumer.Message{}); !errors.Is(err, natsjs.ErrNoStreamResponse) {
				t.Errorf("without a stream: %v", err)
			}
			if err := full.Ensure(t.Context()); err != nil {
				t.Fatal(err)
			}
			err = send(full, consumer.Message{}, large, consumer.Message{})
			api, _ := errors.AsType[*natsjs.APIError](err)
			if api == nil || !strings.Contains(api.Description, "maximum messages exceeded") || !errors.Is(err, nats.ErrMaxPayload) {
				t.Errorf("one that the stream takes, one that is too large, one that the stream has no room for: %v", err)
			}
			if strings.Count(fmt.Sprint(err), "jetstream: jetstream: ") > 0 {
				t.Errorf("told twice whose it is: %v", err)
			}
		})
	}
}

// TestSendWhileALeaderIsElected: a server without a leader answers as one without a
// stream; what is sent then is sent again.
func TestSendWhileALeaderIsElected(t *testing.T) {
	nc := connectEmbedded(t, t.TempDir())
	q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS"})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 2)
	q.SendAsync(consumer.Message{Key: "a"}, func(err error) { told <- err })
	go func() { told <- q.Send(context.Background(), consumer.Message{Key: "b"}, consumer.Message{Key: "c"}) }()
	if err := q.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range cap(told) {
		if err := <-told; err != nil {
			t.Error(err)
		}
	}
	if n, err := lenOf(t.Context(), nc, "ITEMS"); n != 3 || err != nil {
		t.Errorf("%d messages are stored, %v", n, err)
	}
}

// TestSendWaitsForRoom: where SendAsync refuses a message, since too many wait to be
// stored, Send waits, until there is room or its context ends.
func TestSendWaitsForRoom(t *testing.T) {
	const most = 10_000
	nc := connectEmbedded(t, t.TempDir())
	q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS"})
	if err != nil {
		t.Fatal(err)
	}
	arrived, answer := make(chan struct{}, most), make(chan struct{})
	var late []*nats.Msg                                   // the subscription's goroutine's, until answer is closed
	if _, err := nc.Subscribe("items", func(m *nats.Msg) { // what the queue is sent to, and takes its time
		select {
		case <-answer:
			_ = m.Respond([]byte(`{"stream":"ITEMS","seq":1}`))
		default:
			late = append(late, m)
			arrived <- struct{}{}
		}
	}); err != nil {
		t.Fatal(err)
	}
	stored := make(chan error, most)
	for range most {
		q.SendAsync(consumer.Message{}, func(err error) { stored <- err })
	}
	for range most {
		<-arrived
	}
	q.SendAsync(consumer.Message{}, func(err error) {
		if !errors.Is(err, natsjs.ErrTooManyStalledMsgs) {
			t.Errorf("one more: %v", err)
		}
	})
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- q.Send(ctx, consumer.Message{}, consumer.Message{}) }()
	cancel(gone)
	if batch, ok := errors.AsType[*consumer.BatchError](<-ended); !ok || len(batch.Errs) != 2 || !errors.Is(batch, gone) {
		t.Errorf("send without room whose context ends: %v", batch)
	}
	go func() { ended <- q.Send(t.Context(), make([]consumer.Message, 1000)...) }()
	close(answer)
	for _, m := range late {
		if err := m.Respond([]byte(`{"stream":"ITEMS","seq":1}`)); err != nil {
			t.Fatal(err)
		}
	}
	for range most {
		if err := <-stored; err != nil {
			t.Fatal(err)
		}
	}
	if err := <-ended; err != nil {
		t.Errorf("send once there is room: %v", err)
	}
}

// TestSendAsync: one by one, with a message that cannot be sent among them.
func TestSendAsync(t *testing.T) {
	nc := connectEmbedded(t, t.TempDir())
	under(t, nc, 0)
	q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS"})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 3)
	for _, m := range []consumer.Message{{Body: []byte("a"), Key: "k"}, {Key: "k\n"}, {Body: []byte("b"), Group: "g"}} {
		q.SendAsync(m, func(err error) { told <- err })
	}
	wrong := 0
	for range cap(told) {
		if err := <-told; err != nil {
			wrong++
		}
	}
	if n, err := lenOf(t.Context(), nc, "ITEMS"); n != 2 || wrong != 1 || err != nil {
		t.Errorf("%d messages are stored, %d were refused, %v", n, wrong, err)
	}
}
