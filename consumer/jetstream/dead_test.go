// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
)

// bury sends a message to a queue, receives it and has it be a dead letter so
// many times.
func bury(t *testing.T, q *jetstream.Queue, m consumer.Message, times int) {
	t.Helper()
	ctx := t.Context()
	src, err := q.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := src.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	}()
	if err := q.Send(ctx, m); err != nil {
		t.Fatal(err)
	}
	ms, err := src.Receive(ctx, 1)
	if err != nil || len(ms) != 1 {
		t.Fatal(ms, err)
	}
	for range times {
		if err := src.(consumer.DeadLetterer).DeadLetter(ctx, []consumer.Dead{{Message: ms[0], Reason: errors.New("bad"), Tries: 1}}); err != nil {
			t.Fatal(err)
		}
	}
}

// stored is how many messages a stream has.
func stored(t *testing.T, nc *nats.Conn, stream string) uint64 {
	t.Helper()
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// TestSharedDeadLetters: of several queues with one stream of dead letters, also
// of one that is made anew, each message gets there, and once however often that
// is tried.
func TestSharedDeadLetters(t *testing.T) {
	nc := connectEmbedded(t, t.TempDir())
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"ORDERS", "INVOICES", "ORDERS"} {
		q, err := jetstream.New(nc, jetstream.Options{Name: name, DeadLetters: "DEAD"})
		if err != nil {
			t.Fatal(err)
		}
		bury(t, q, consumer.Message{Body: []byte(name)}, 2)
		if n := stored(t, nc, "DEAD"); n != uint64(i+1) {
			t.Errorf("%d dead letters, want %d", n, i+1)
		}
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}
