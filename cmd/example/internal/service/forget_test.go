// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/supervisor"
)

func TestRemovalsDue(t *testing.T) {
	start := time.Now()
	f := forgetting{keep: 3, atLeast: time.Minute}
	var r removals
	due := func(after time.Duration, most int, want ...uint64) {
		t.Helper()
		if got := r.due(f, start.Add(after), most); !slices.Equal(got, want) {
			t.Errorf("after %v: %v, want %v", after, got, want)
		}
	}
	due(time.Hour, 10)
	for i := range 6 {
		r.add(uint64(i+1), start.Add(time.Duration(i)*time.Second))
	}
	due(time.Minute-1, 10)
	due(time.Minute, 10, 1)
	due(time.Minute+time.Second, 10, 1, 2)
	due(time.Hour, 10, 1, 2, 3) // the newest three are kept
	due(time.Hour, 2, 1, 2)
	r.drop(2)
	due(time.Hour, 10, 3)
	r.drop(1)
	due(time.Hour, 10)
}

// TestForgets runs the service, adds items and removes them: no more than so
// many removals stay in the log, and those that do keep their items away.
func TestForgets(t *testing.T) {
	cfg := Defaults()
	cfg.Addr, cfg.Data = "127.0.0.1:0", t.TempDir()
	s, err := newService(cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.list.forgetting = forgetting{keep: 5, every: 10 * time.Millisecond}
	tree, err := supervisor.Start(t.Context(), s.system, s.tree())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if report, err := tree.Stop(t.Context()); err != nil || report.Err() != nil {
			t.Error(report, err)
		}
	}()
	log := func() int {
		n, err := s.list.log.len(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return int(n)
	}
	add := func(key string) {
		t.Helper()
		body := fmt.Sprintf(`{"key":%q,"text":"x"}`, key)
		if _, err := s.storage.now.Load().adds.do(consumer.Message{Body: []byte(body)}).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const items = 20
	for i := range items {
		add(fmt.Sprint(i))
	}
	actortest.Eventually(t, "the items", func() bool { return s.list.total.Load() == items })
	for i := range items {
		was, err := actors.RequestFuture[bool](s.system.Root, s.child(listName), remove{fmt.Sprint(i)}).Wait(t.Context())
		if !was || err != nil {
			t.Fatal(was, err)
		}
	}
	actortest.Eventually(t, "the removals to be forgotten", func() bool { return log() == 5 })
	for i := range items { // each of them is sent anew, as if delivered again
		add(fmt.Sprint(i))
	}
	actortest.Eventually(t, "the forgotten ones", func() bool { return s.list.total.Load() == items-5 })
	actortest.Eventually(t, "all to be handled", func() bool { return s.consumer.Stats().Acked == 2*items })
	if n := s.list.total.Load(); n != items-5 {
		t.Errorf("the list has %d items: removed ones have come back", n)
	}
}

// TestForgetTwice: what another process has deleted is no error.
func TestForgetTwice(t *testing.T) {
	st := &storage{cfg: Config{Queue: Embedded, Data: t.TempDir(), Lease: time.Minute}}
	o, err := st.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer o.release()
	log, err := openLog(t.Context(), o.log, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.write(entry{Item: Item{Key: "k", Text: "x"}}, 0).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := log.forget(t.Context(), []uint64{1, 7}); n != 2 || err != nil {
			t.Error(n, err)
		}
	}
	if n, err := log.len(t.Context()); n != 0 || err != nil {
		t.Errorf("%d entries, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := log.forget(ctx, []uint64{1}); n != 0 || err == nil {
		t.Error(n, err)
	}
}
