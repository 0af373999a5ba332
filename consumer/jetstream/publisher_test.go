// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
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
	if c := <-told; c.err == nil || !strings.Contains(c.err.Error(), "no stream") {
		t.Errorf("what no stream takes: %v", c)
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
	if n, err := lenOf(t.Context(), nc); n != 2 || wrong != 1 || err != nil {
		t.Errorf("%d messages are stored, %d were refused, %v", n, wrong, err)
	}
}
