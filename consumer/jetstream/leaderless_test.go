// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
)

// TestPartWithoutALeader: a source of a part whose consumer nobody leads ends soon, and asks nobody why.
func TestPartWithoutALeader(t *testing.T) {
	way, nc, sound := connectLossy(t)
	p := newPartitions(t, nc, 4)
	src := openPart(t, p, "a", 1)
	if err := p.Send(t.Context(), numberedMessages("a", 0, 1)...); err != nil {
		t.Fatal(err)
	}
	receiveAll(t, src, 1)
	if _, err := src.(consumer.Streamer).Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	way.lose(tellOfConsumer, math.MaxInt)
	deleteConsumers(t, sound)
	var err error
	began := time.Now()
	for !errors.Is(err, consumer.ErrClosed) {
		_, err = src.Receive(t.Context(), 10)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("that took %v, and another server may be about to lead it", took)
	}
	if n := way.count(tellOfConsumer); n > 0 {
		t.Errorf("it has asked %d times", n)
	}
}

// deleteConsumers deletes the consumers of ITEMS. Who asks one for messages then is told that nobody is there, as when nobody leads it.
func deleteConsumers(t *testing.T, nc *nats.Conn) {
	t.Helper()
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "ITEMS")
	if err != nil {
		t.Fatal(err)
	}
	for name := range stream.ConsumerNames(t.Context()).Name() {
		if err := stream.DeleteConsumer(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}

// TestQueueWithoutALeader: who asks a queue whose consumer nobody leads does not wait for as long as the client does for each answer.
func TestQueueWithoutALeader(t *testing.T) {
	way, nc, sound := connectLossy(t)
	src, err := under(t, nc, time.Minute).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	way.lose(tellOfConsumer, 1)
	deleteConsumers(t, sound)
	began := time.Now()
	if _, err := src.Receive(t.Context(), 10); err == nil || errors.Is(err, consumer.ErrClosed) {
		t.Errorf("Receive ends with %v", err)
	}
	if took := time.Since(began); took >= 4900*time.Millisecond { // the client waits for 5 s
		t.Errorf("that took %v", took)
	}
	if _, err := src.Receive(t.Context(), 10); !errors.Is(err, consumer.ErrClosed) {
		t.Errorf("of a consumer that is deleted Receive ends with %v", err)
	}
}

// newPatientPartitions are parts whose sources do not ask again by themselves while a test lasts.
func newPatientPartitions(t *testing.T, nc *nats.Conn) *jetstream.Partitions {
	t.Helper()
	p, err := jetstream.NewPartitions(nc, jetstream.Options{Name: "ITEMS", Wait: 10 * time.Minute, Lease: time.Minute}, 4)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestReceiveAfterReconnect: what the server was asked for by a connection that is lost, and has forgotten since, it is asked for by the next.
func TestReceiveAfterReconnect(t *testing.T) {
	way, nc, sound := connectLossy(t)
	p := newPatientPartitions(t, nc)
	src := openPart(t, p, "a", 1)
	way.watch(pullNext)
	js, err := natsjs.New(sound)
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		ms  []*consumer.Message
		err error
	}
	received := make(chan result, 1)
	go func() {
		ms, err := src.Receive(context.Background(), 10)
		received <- result{ms, err}
	}()
	waits := func(n int) func() bool {
		return func() bool {
			stream, err := js.Stream(t.Context(), "ITEMS")
			if err != nil {
				t.Fatal(err)
			}
			is := false
			for c := range stream.ListConsumers(t.Context()).Info() {
				is = c.NumWaiting == n
			}
			return is
		}
	}
	actortest.Eventually(t, "the server to be asked", waits(1))
	way.setClosed(true)
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	actortest.Eventually(t, "it to forget that", waits(0))
	way.setClosed(false)
	actortest.Eventually(t, "it to be asked again", func() bool { return way.count(pullNext) == 2 })
	if err := p.Send(t.Context(), numberedMessages("a", 0, 1)...); err != nil {
		t.Fatal(err)
	}
	if r := <-received; r.err != nil || bodiesOf(r.ms) != "0" {
		t.Errorf("received %s, %v", bodiesOf(r.ms), r.err)
	}
}

// TestAckThatNobodyTakes: whoever waits for messages asks for them anew when an ack tells that the consumer may have lost who leads it.
func TestAckThatNobodyTakes(t *testing.T) {
	way, nc, _ := connectLossy(t)
	p := newPatientPartitions(t, nc)
	if err := p.Send(t.Context(), numberedMessages("a", 0, 1)...); err != nil {
		t.Fatal(err)
	}
	src := openPart(t, p, "a", 1)
	ms := receiveAll(t, src, 1)
	way.watch(pullNext)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_, _ = src.Receive(ctx, 10)
		}
	}()
	actortest.Eventually(t, "the server to be asked", func() bool { return way.count(pullNext) == 1 })
	ms[0].Ref = "$JS.ACK.ITEMS.nobody.1.1.1.1.0"
	if err := src.Ack(t.Context(), ms); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("an ack that nobody takes: %v", err)
	}
	actortest.Eventually(t, "it to be asked again", func() bool { return way.count(pullNext) > 1 })
	end()
	<-ended
}

// TestAckAfterTheEnd: an ack that is under way when its source ends does not hold up the next one for as long as a server has to confirm it.
func TestAckAfterTheEnd(t *testing.T) {
	way, nc, sound := connectLossy(t)
	p := newPartitions(t, nc, 4)
	if err := p.Send(t.Context(), numberedMessages("a", 0, 1)...); err != nil {
		t.Fatal(err)
	}
	src := openPart(t, p, "a", 1)
	ms := receiveAll(t, src, 1)
	way.lose(settle, math.MaxInt)
	acked := make(chan error, 1)
	go func() { acked <- src.Ack(context.Background(), ms) }()
	actortest.Eventually(t, "the ack to be lost", func() bool { return way.count(settle) == 1 })
	openPart(t, newPartitions(t, sound, 4), "a", 2)
	var err error
	for err == nil || !errors.Is(err, consumer.ErrClosed) {
		_, err = src.Receive(t.Context(), 10)
	}
	if err := <-acked; !errors.Is(err, consumer.ErrClosed) {
		t.Errorf("the ack ends with %v", err)
	}
	if err := src.Ack(t.Context(), ms); !errors.Is(err, consumer.ErrClosed) {
		t.Errorf("one after it ends with %v", err)
	}
}

// connectKeeping connects by a way as a client that keeps what is sent while it has no connection, and sends it by the next.
func connectKeeping(t *testing.T, way *lossy, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, nats.SetCustomDialer(way), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// receiveWithout calls Receive for so long while there is no connection. There is another one when it returns.
func receiveWithout(t *testing.T, way *lossy, nc *nats.Conn, src consumer.Source, d time.Duration) {
	t.Helper()
	way.setClosed(true)
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < d; time.Sleep(50 * time.Millisecond) {
		if ms, err := src.Receive(t.Context(), 10); err == nil || errors.Is(err, consumer.ErrClosed) {
			t.Fatalf("received %s, %v after %v", bodiesOf(ms), err, time.Since(began))
		}
	}
	way.setClosed(false)
	actortest.Eventually(t, "another connection", nc.IsConnected)
}

// TestReceiveWithoutAConnection: what Receive asks for in vain while there is no connection the next one does not bring to nobody, nor does it have
// subscriptions for that.
func TestReceiveWithoutAConnection(t *testing.T) {
	t.Parallel() // it waits
	way, _, sound := connectLossy(t)
	nc := connectKeeping(t, way, sound.ConnectedUrl())
	q := under(t, nc, time.Minute)
	src, err := q.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	send := func(n int) {
		t.Helper()
		for range n {
			if err := q.Send(t.Context(), consumer.Message{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(1)
	if ms, err := src.Receive(t.Context(), 10); len(ms) != 1 || err != nil {
		t.Fatal(len(ms), err)
	}
	before := way.srv.NumSubscriptions()
	receiveWithout(t, way, nc, src, 6*time.Second)
	send(20)
	within, cancel := context.WithTimeout(t.Context(), 20*time.Second) // their leases are longer
	defer cancel()
	for n := 0; n < 20; {
		ms, err := src.Receive(within, 20-n)
		if n += len(ms); err != nil {
			t.Fatalf("received %d messages, %v", n, err)
		}
	}
	actortest.Eventually(t, "as many subscriptions as before", func() bool { return way.srv.NumSubscriptions() == before })
}

// TestPartWithoutAConnection: a source of a part does not end because its process has had no connection, which says nothing of who leads the consumer.
func TestPartWithoutAConnection(t *testing.T) {
	t.Parallel() // it waits for longer than a consumer may have nobody who leads it
	way, _, sound := connectLossy(t)
	nc := connectKeeping(t, way, sound.ConnectedUrl())
	p := newPartitions(t, nc, 4)
	src := openPart(t, p, "a", 1)
	if err := p.Send(t.Context(), numberedMessages("a", 0, 1)...); err != nil {
		t.Fatal(err)
	}
	if ms, err := src.Receive(t.Context(), 10); len(ms) != 1 || err != nil { // it waits for nine more
		t.Fatal(len(ms), err)
	}
	receiveWithout(t, way, nc, src, 7*time.Second)
	way.lose(pullNext, 1)
	if _, err := src.Receive(t.Context(), 10); err == nil || errors.Is(err, consumer.ErrClosed) {
		t.Errorf("a pull that is lost ends with %v", err)
	}
	if err := p.Send(t.Context(), numberedMessages("a", 1, 2)...); err != nil {
		t.Fatal(err)
	}
	if got := bodiesOf(receiveAll(t, src, 1)); got != "1" {
		t.Errorf("received %s", got)
	}
}
