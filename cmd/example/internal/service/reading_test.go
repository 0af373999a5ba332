// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/socketio"
	"github.com/protoloop/protoloop/supervisor"
)

// TestWrote: entries are applied in the order of the log, each once, whether they
// are read or confirmed first; and what cannot be has the log read again.
func TestWrote(t *testing.T) {
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	io, err := socketio.NewServer(system, socketio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := &list{contents: newContents(), log: &itemLog{}, io: io}
	l.reading.again = make(chan struct{}, 1)
	item := func(seq int) entry { return entry{Item: Item{Key: fmt.Sprint("k", seq), Text: "x", Seq: uint64(seq)}} }
	confirmed := func(seq int) {
		t.Helper()
		if err := l.wrote(nil, wrote{entry: item(seq)}); err != nil {
			t.Fatal(err)
		}
	}
	read := func(seq int) {
		t.Helper()
		if err := l.next(item(seq)); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, known int, doubted bool) {
		t.Helper()
		if len(l.order) != known || l.reading.applied.Load() != uint64(known) {
			t.Errorf("%s: the list is %v, and knows all up to %d; want %d items", what, l.order, l.reading.applied.Load(), known)
		}
		for i, it := range l.order {
			if it.Seq != uint64(i+1) {
				t.Fatalf("%s: the list is %v", what, l.order)
			}
		}
		if len(l.reading.again) > 0 != doubted {
			t.Errorf("%s: the log is read again: %t", what, !doubted)
		}
		select {
		case <-l.reading.again:
		default:
		}
	}
	confirmed(1)
	confirmed(2)
	expect("confirmed in order", 2, false)
	read(1)
	read(2)
	confirmed(2)
	expect("known already", 2, false)
	confirmed(6)
	confirmed(4)
	confirmed(5)
	expect("one is missing", 2, true)
	read(3)
	expect("what was missing is read", 6, false)
	confirmed(9)
	read(7)
	read(8)
	read(9)
	expect("all was read before its turn came", 9, true)
	if len(l.reading.early) > 0 {
		t.Errorf("%v is kept", l.reading.early)
	}
	report := func(what string, w wrote, doubted bool) {
		t.Helper()
		if err := l.wrote(nil, w); err != nil {
			t.Fatal(err)
		}
		expect(what, 9, doubted)
	}
	added, removed := entry{Item: Item{Key: "k1"}}, entry{Item: Item{Key: "k1"}, Removed: true}
	report("added again", wrote{entry: added}, false)
	report("not removed, for it is no longer there, and it is", wrote{entry: removed}, true)
	report("it is in the log, and not known", wrote{entry: entry{Item: Item{Key: "x"}}}, true)
	report("not confirmed", wrote{added, errors.New("not confirmed")}, true)
	report("refused", wrote{added, fmt.Errorf("write: %w", &jetstream.APIError{ErrorCode: 10077})}, false)
	l.log.shared = true
	report("not confirmed, and the log is read anyway", wrote{added, errors.New("not confirmed")}, false)
}

// TestReadsAgain: an entry whose confirmation the list has not got is in the list
// when the next one is.
func TestReadsAgain(t *testing.T) {
	cfg := Defaults()
	cfg.Addr, cfg.Data = "127.0.0.1:0", t.TempDir()
	s, err := newService(cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := supervisor.Start(t.Context(), s.system, s.tree())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if report, err := tree.Stop(t.Context()); err != nil || report.Err() != nil {
			t.Error(report, err)
		}
	}()
	o := s.storage.now.Load()
	js, err := jetstream.New(o.log)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 10; n++ {
		key := fmt.Sprint("missed-", n)
		if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject(key), Data: fmt.Appendf(nil, `{"key":%q,"text":"x"}`, key)}); err != nil {
			t.Fatal(err)
		}
		body := fmt.Appendf(nil, `{"key":"own-%d","text":"x"}`, n)
		if _, err := o.adds.do(consumer.Message{Body: body}).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		actortest.Eventually(t, "both items", func() bool { return s.list.total.Load() == int64(2*n) })
	}
}
