// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
)

// ownedBy is the keys of a machine with their tokens, as it says itself.
func (w *machines) ownedBy(m *machine, all []string) map[string]grid.Token {
	w.Helper()
	owned := map[string]grid.Token{}
	for _, id := range all {
		ctx, cancel := context.WithTimeout(w.Context(), 10*time.Millisecond)
		if name, token, err := m.g.Where(ctx, "account", id); err == nil && name == m.Name() {
			owned[id] = token
		}
		cancel()
	}
	return owned
}

// TestCutOffFromNetwork: a node that the network does not reach, and the store does, hands its keys over, after the lease and Settle and not
// before. No session ends. When the network reaches it again it gets them back.
func TestCutOffFromNetwork(t *testing.T) {
	onNetwork(t, 0, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		heard := &events{}
		w.change = func(o *grid.Options) { o.OnEvent = heard.note }
		first := w.start()
		w.change = nil
		second, third := w.start(), w.start()
		time.Sleep(10 * time.Second)
		all := ids("k", 40)
		before := w.ownedBy(second, all)
		if len(before) == 0 {
			t.Fatal("it owns nothing")
		}
		heard.take()

		// A short one, as when a hub is lost.
		second.Cut(gridtest.Frames)
		time.Sleep(2500 * time.Millisecond)
		second.Heal()
		time.Sleep(5 * time.Second)
		if now := w.ownedBy(second, all); len(now) != len(before) {
			t.Errorf("it had %d keys, and %d after a short cut", len(before), len(now))
		}
		if got := heard.take(); got["cut off node-2"] > 0 {
			t.Errorf("heard: %v", got)
		}

		second.Cut(gridtest.Frames)
		begun := time.Now()
		for id := range before {
			for _, m := range []*machine{first, third} {
				got, err := w.future(m, id, "elsewhere", actors.Timeout(20*time.Second), actors.Idempotent()).Wait(t.Context())
				if err != nil {
					t.Errorf("%s asks %s: %q, %v", m.Name(), id, got, err)
				}
			}
		}
		// 1.1 s until it is noticed, the lease of 2 s, 0.4 s until it is looked at, and Settle, which is 2 s, too.
		if took := time.Since(begun); took < 4*time.Second || took > 7*time.Second {
			t.Errorf("its keys answer again after %v", took)
		}
		if now := w.ownedBy(second, all); len(now) != 0 {
			t.Errorf("it still has %v", now)
		}
		if got := heard.take(); got["cut off node-2"] != 1 || got["lost node-2"] > 0 || got["left node-2"] > 0 {
			t.Errorf("heard: %v", got)
		}
		second.Heal()
		time.Sleep(10 * time.Second)
		after := w.ownedBy(second, all)
		for id, token := range before {
			if after[id].Rev <= token.Rev {
				t.Errorf("%s had the token %v, and has %v", id, token, after[id])
			}
		}
		if got := heard.take(); got["reached node-2"] != 1 || got["lost node-2"] > 0 {
			t.Errorf("heard: %v", got)
		}
		if _, err := w.ask(first, "k-1", say("back")); err != nil {
			t.Error(err)
		}
	})
}

// TestAllCutOffFromNetwork: when the network reaches no node, nobody gives anything up: no other could be asked. Each serves its own
// process meanwhile.
func TestAllCutOffFromNetwork(t *testing.T) {
	onNetwork(t, 4, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		time.Sleep(5 * time.Second)
		all := ids("k", 40)
		owned := map[*machine]map[string]grid.Token{}
		for _, m := range w.all {
			owned[m] = w.ownedBy(m, all)
		}
		unchanged := func(when string) {
			t.Helper()
			for m, before := range owned {
				now := w.ownedBy(m, all)
				for id, token := range before {
					if now[id] != token {
						t.Errorf("%s: %s had %s with the token %v, and has %v", when, m.Name(), id, token, now[id])
					}
				}
			}
		}
		for i, m := range w.all { // they do not notice it in the same moment
			m.Cut(gridtest.Frames)
			if i == 1 {
				time.Sleep(time.Second)
			}
		}
		for range 10 {
			time.Sleep(3 * time.Second)
			unchanged("while all are cut off")
		}
		for m, keys := range owned {
			for id := range keys {
				if _, err := w.ask(m, id, say("own")); err != nil {
					t.Errorf("%s asks %s, its own: %v", m.Name(), id, err)
				}
			}
		}
		if _, err := w.future(w.other(w.all[0]), "k-1", "far", actors.Timeout(time.Second)).Wait(t.Context()); err != nil && !errors.Is(err, actors.ErrTimeout) {
			t.Error(err)
		}
		for _, m := range w.all {
			m.Heal()
		}
		time.Sleep(10 * time.Second)
		unchanged("when the network is back")
		for _, id := range all {
			if _, err := w.ask(w.all[0], id, say("after")); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
	})
}
