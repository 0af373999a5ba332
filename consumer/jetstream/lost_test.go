// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/consumer/jetstream/embedded"
)

// connectTwice starts a server and connects to it twice, as a producer, and as what is to stand for a stream.
func connectTwice(t *testing.T) (producer, stream *nats.Conn) {
	t.Helper()
	srv, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	for _, nc := range []**nats.Conn{&producer, &stream} {
		if *nc, err = srv.Connect(nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup((*nc).Close)
	}
	return producer, stream
}

// TestConnectionIsLost: what was sent and not confirmed when the connection is lost is sent again by the next one, in its order, as often as
// that happens, if the server can tell it from a double. Of the rest its sender is told at once that it may be stored.
func TestConnectionIsLost(t *testing.T) {
	producer, stream := connectTwice(t)
	arrived := make(chan *nats.Msg, 100)
	if _, err := stream.Subscribe("items", func(m *nats.Msg) { arrived <- m }); err != nil {
		t.Fatal(err)
	}
	if err := stream.Flush(); err != nil {
		t.Fatal(err)
	}
	q, err := jetstream.New(producer, jetstream.Options{Name: "ITEMS"})
	if err != nil {
		t.Fatal(err)
	}
	keyless, together := make(chan error, 1), make(chan error, 1)
	q.SendAsync(consumer.Message{}, func(err error) { keyless <- err })
	first := <-arrived
	go func() {
		together <- q.Send(t.Context(), consumer.Message{Key: "a"}, consumer.Message{Key: "b"}, consumer.Message{Key: "c"})
	}()
	var round []*nats.Msg
	subjects := map[string]bool{first.Reply: true}
	for n := range 4 {
		if n > 0 {
			if err := producer.ForceReconnect(); err != nil {
				t.Fatal(err)
			}
		}
		round = nil
		var keys []string
		for range 3 {
			m := <-arrived
			if subjects[m.Reply] {
				t.Errorf("round %d: confirmed at a subject where it, or another one, may be confirmed yet", n)
			}
			subjects[m.Reply] = true
			keys = append(keys, m.Header.Get(natsjs.MsgIDHeader))
			round = append(round, m)
		}
		if got := strings.Join(keys, ""); got != "abc" {
			t.Errorf("round %d: %q came", n, got)
		}
	}
	if err := <-keyless; !errors.Is(err, nats.ErrDisconnected) || !strings.Contains(err.Error(), "may be stored") {
		t.Errorf("what has no key: %v", err)
	}
	for _, m := range append(slices.Clone(round), first) {
		if err := m.Respond([]byte(`{"stream":"ITEMS","seq":1}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-together; err != nil {
		t.Errorf("what has keys: %v", err)
	}
	if len(arrived) > 0 {
		t.Errorf("%d came once more", len(arrived))
	}
}

// TestConnectionIsClosed: who waits for a confirmation that cannot come any more is told so.
func TestConnectionIsClosed(t *testing.T) {
	producer, stream := connectTwice(t)
	arrived := make(chan *nats.Msg, 1)
	if _, err := stream.Subscribe("items", func(m *nats.Msg) { arrived <- m }); err != nil {
		t.Fatal(err)
	}
	if err := stream.Flush(); err != nil {
		t.Fatal(err)
	}
	q, err := jetstream.New(producer, jetstream.Options{Name: "ITEMS"})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 1)
	q.SendAsync(consumer.Message{Key: "a"}, func(err error) { told <- err })
	<-arrived
	producer.Close()
	if err := <-told; !errors.Is(err, nats.ErrConnectionClosed) {
		t.Error(err)
	}
}

// TestConnectionsAreLost: many send while connections are lost one after the other. Each message that was confirmed is stored once, and
// with a Key none is left in the dark.
func TestConnectionsAreLost(t *testing.T) {
	producer, stream := connectTwice(t)
	q, err := jetstream.New(producer, jetstream.Options{Name: "ITEMS"})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	const senders, losses = 8, 20
	over := make(chan struct{})
	var all sync.WaitGroup
	var mu sync.Mutex
	confirmed := 0
	for sender := range senders {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-over:
					return
				default:
				}
				switch err := q.Send(t.Context(), consumer.Message{Key: fmt.Sprint(sender, " ", i)}); {
				case err == nil:
					mu.Lock()
					confirmed++
					mu.Unlock()
				case !errors.Is(err, nats.ErrReconnectBufExceeded): // that has not been sent
					t.Error(err)
					return
				}
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return confirmed
	}
	for range losses {
		if err := producer.ForceReconnect(); err != nil {
			t.Fatal(err)
		}
		for before := count(); count() == before && !t.Failed(); { // it goes on
			time.Sleep(time.Millisecond)
		}
	}
	close(over)
	all.Wait()
	if n, err := lenOf(t.Context(), stream, "ITEMS"); n != confirmed || err != nil {
		t.Errorf("%d messages are stored, %d were confirmed, %v", n, confirmed, err)
	}
}
