// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
)

// TestInfo: what is on its way between two nodes shows at both, and shards where they are owned.
func TestInfo(t *testing.T) {
	onNetwork(t, 3, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		owner := w.owner("k")
		asker := w.other(owner)
		w.warm(asker, "k")
		f := w.future(asker, "k", "sleep 10s")
		time.Sleep(time.Second) // the network takes its time
		synctest.Wait()
		if at, of := asker.g.Info(), owner.g.Info(); at.Asking != 1 || at.Answering != 0 || of.Asking != 0 || of.Answering != 1 {
			t.Errorf("one ask is on its way: %+v to %+v", at, of)
		}
		shards := 0
		for _, m := range w.all {
			i := m.g.Info()
			if i.Node != m.Name() || i.Nodes != 3 || i.Shards == 0 {
				t.Errorf("%s: %+v", m.Name(), i)
			}
			shards += i.Shards
		}
		if want := w.all[0].g.Nodes()[0].Shards; shards != want {
			t.Errorf("%d shards are owned, of %d", shards, want)
		}
		if _, err := f.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if at, of := asker.g.Info(), owner.g.Info(); at.Asking != 0 || of.Answering != 0 {
			t.Errorf("all is answered: %+v, %+v", at, of)
		}
	})
}

// TestInfoOfFailingKeys: a key that waits to be started again is failing, until it is up.
func TestInfoOfFailingKeys(t *testing.T) {
	run(t, func(k *grid.Kind) {
		k.Backoff, k.MaxRestarts, k.Within = actors.Backoff{Initial: time.Second}, 1, time.Minute
	}, func(w *world) {
		w.want("other", count(1), "1")
		for range 2 {
			if _, err := w.ask("a", count(-1)); err == nil {
				w.Error("it did not fail")
			}
			time.Sleep(500 * time.Millisecond)
		}
		synctest.Wait()
		kind := w.g.Kinds()[0]
		if n := w.g.Info().Failing[kind.Name]; n != kind.Failing || n != 1 {
			w.Errorf("%d keys fail, and %d by kind; want 1", n, kind.Failing)
		}
		time.Sleep(time.Hour)
		w.want("a", count(1), "1")
		if n := w.g.Info().Failing[kind.Name]; n != 0 {
			w.Errorf("%d keys fail, and all are up", n)
		}
	})
}

// TestOf: there is a grid in an actor system from its start to its drain.
func TestOf(t *testing.T) {
	sys := actortest.NewSystem(t)
	if g := grid.Of(sys); g != nil {
		t.Errorf("there is %v, and none was started", g)
	}
	g, err := grid.Start(t.Context(), sys, grid.Options{Kinds: []grid.Kind{{Name: "a", Accepts: accepts(), Setup: func(*actors.Worker, string) error { return nil }}}})
	if err != nil {
		t.Fatal(err)
	}
	if grid.Of(sys) != g {
		t.Error("it is not that which was started")
	}
	if _, err := g.Drain(context.Background()); err != nil {
		t.Error(err)
	}
	if grid.Of(sys) != nil {
		t.Error("there is one that was drained")
	}
	defer func() {
		if recover() == nil {
			t.Error("Of of a nil actor system did not panic")
		}
	}()
	grid.Of(nil)
}
