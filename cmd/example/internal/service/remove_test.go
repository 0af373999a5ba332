// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/supervisor"
)

// running starts the service with an empty list, and stops it when the test ends.
func running(t *testing.T) *service {
	t.Helper()
	cfg := Defaults()
	cfg.Addr, cfg.Data = "127.0.0.1:0", t.TempDir()
	s, err := newService(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := supervisor.Start(t.Context(), s.system, s.tree())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if report, err := tree.Stop(context.Background()); err != nil || report.Err() != nil {
			t.Error(report, err)
		}
	})
	return s
}

// has adds so many items, with the keys k0, k1, …, and waits until the list has
// them.
func (s *service) has(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		body := fmt.Appendf(nil, `{"key":"k%d","text":"x"}`, i)
		if _, err := s.storage.now.Load().adds.do(consumer.Message{Body: body}).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	actortest.Eventually(t, "the items", func() bool { return s.list.total.Load() == int64(n) })
}

// removes asks the list to remove an item.
func (s *service) removes(key string) *actors.Future[bool] {
	return actors.RequestFuture[bool](s.system.Root, s.child(listName), remove{key})
}

// TestRemovedOnce: of several who remove an item at a time one is told that it
// has.
func TestRemovedOnce(t *testing.T) {
	s := running(t)
	const items, each = 20, 3
	s.has(t, items)
	var told [items][each]*actors.Future[bool]
	for i := range items {
		for j := range each {
			told[i][j] = s.removes(fmt.Sprint("k", i))
		}
	}
	for i := range items {
		removed := 0
		for _, f := range told[i] {
			was, err := f.Wait(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if was {
				removed++
			}
		}
		if removed != 1 {
			t.Errorf("%d of %d were told that they have removed item %d", removed, each, i)
		}
	}
}
