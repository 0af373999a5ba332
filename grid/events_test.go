// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
)

// events are those of one node.
type events struct {
	mu  sync.Mutex
	all []grid.Event
}

func (e *events) note(ev grid.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

// take is how many there were of each kind since the last time, of nodes by their names.
func (e *events) take() map[string]int {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	n := map[string]int{}
	for _, ev := range e.all {
		what := ev.Kind.String()
		if ev.Session != 0 {
			what += " " + ev.Node
		}
		n[what]++
	}
	e.all = nil
	return n
}

// TestEvents: a node is told who comes and goes, and what it owns.
func TestEvents(t *testing.T) {
	onNetwork(t, 0, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		heard := &events{}
		w.change = func(o *grid.Options) { o.OnEvent = heard.note }
		first := w.start()
		w.change = nil
		time.Sleep(5 * time.Second)
		if got := heard.take(); got["joined node-1"] != 1 || got["shard gained"] != machineShards || len(got) != 2 {
			t.Errorf("alone: %v", got)
		}
		w.start()
		third := w.start()
		time.Sleep(10 * time.Second)
		got := heard.take()
		if given := got["shard given up"]; got["joined node-2"] != 1 || got["joined node-3"] != 1 || given == 0 || len(got) != 3 {
			t.Errorf("two join: %v", got)
		}
		w.warmAll(first)
		w.all[1].dead = true
		w.drain(w.all[1])
		w.crash(third)
		time.Sleep(5 * time.Second)
		if got := heard.take(); got["left node-2"] != 1 || got["suspected node-3"] != 1 || got["lost node-3"] != 1 || got["shard gained"] == 0 || len(got) != 4 {
			t.Errorf("one leaves and one crashes: %v", got)
		}
		first.Cut(gridtest.All)
		time.Sleep(5 * time.Second)
		if got := heard.take(); got["fenced"] != 1 {
			t.Errorf("cut off: %v", got)
		}
		first.Heal()
		time.Sleep(5 * time.Second)
	})
}

// warmAll has m ask keys of all nodes.
func (w *machines) warmAll(m *machine) {
	w.Helper()
	for _, id := range ids("warm", 40) {
		w.warm(m, id)
	}
}

// TestEventsAreBounded: an OnEvent that stands still holds up nothing, and hears how much it has missed.
func TestEventsAreBounded(t *testing.T) {
	onNetwork(t, 0, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		goOn := make(chan struct{})
		heard := &events{}
		w.change = func(o *grid.Options) {
			o.OnEvent = func(e grid.Event) {
				<-goOn
				heard.note(e)
			}
		}
		m := w.start()
		w.change = nil
		for range 12 { // each is the gain of all shards
			time.Sleep(3 * time.Second)
			m.Expire()
			time.Sleep(3 * time.Second)
			if _, err := w.ask(m, "k", say("goes-on")); err != nil {
				t.Fatal(err)
			}
		}
		for range 8 {
			m.Expire()
			time.Sleep(3 * time.Second)
		}
		close(goOn)
		m.Expire()
		time.Sleep(3 * time.Second)
		heard.mu.Lock()
		defer heard.mu.Unlock()
		dropped := 0
		for _, e := range heard.all {
			dropped += e.Dropped
		}
		if gained := 21 * machineShards; dropped == 0 || len(heard.all)+dropped < gained {
			t.Errorf("%d were told and %d dropped, of more than %d", len(heard.all), dropped, gained)
		}
	})
}

// TestWhere: the owner of a key and its token, from any node, and what a node says that cannot know.
func TestWhere(t *testing.T) {
	onNetwork(t, 3, gridtest.Options{}, nil, func(t *testing.T, w *machines, runs *runLog) {
		for _, id := range ids("k", 10) {
			var names []string
			var tokens []grid.Token
			for _, m := range w.all {
				name, token, err := m.g.Where(t.Context(), "account", id)
				if err != nil {
					t.Fatal(err)
				}
				names, tokens = append(names, name), append(tokens, token)
			}
			if len(slices.Compact(names)) != 1 || len(slices.Compact(tokens)) != 1 || tokens[0].Rev == 0 {
				t.Errorf("%s is on %v with %v", id, names, tokens)
			}
		}
		if nodes := w.all[0].g.Nodes(); len(nodes) != 3 || !slices.IsSortedFunc(nodes, func(a, b grid.Node) int { return int(a.Session) - int(b.Session) }) {
			t.Errorf("the nodes are %v", nodes)
		}
		asker := w.other(w.owner("k"))
		asker.Cut(gridtest.Frames)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errGaveUp)
		defer cancel()
		if _, _, err := asker.g.Where(ctx, "account", "k"); !errors.Is(err, errGaveUp) {
			t.Errorf("without a network: %v", err)
		}
		asker.Heal()
		if asking, _ := asker.g.Tables(); asking != 0 {
			t.Errorf("%d asks are left", asking)
		}
	})
	onMachines(t, 2, nil, func(w *machines) {
		owner := w.ownerOf("k")
		for _, m := range w.all {
			if name, token, err := m.g.Where(w.Context(), "account", "k"); err != nil || name != owner.Name() || (token.Rev != 0) != (m == owner) {
				w.Errorf("without a Net, on %s: %q, %v, %v", m.Name(), name, token, err)
			}
		}
	})
	run(t, nil, func(w *world) {
		if name, token, err := w.g.Where(w.Context(), "count", "k"); name != "" || token.Rev != 0 || err != nil || w.g.Nodes() != nil {
			w.Errorf("without a Store: %q, %v, %v", name, token, err)
		}
	})
}

// TestNetworkOptions: what Validate says.
func TestNetworkOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := gridtest.New(gridtest.Options{}).Node("n")
		setup := func(*actors.Worker, string) error { return nil }
		with, without := grid.Kind{Name: "a", Setup: setup, Accepts: accepts()}, grid.Kind{Name: "b", Accepts: accepts()}
		for what, o := range map[string]grid.Options{
			"":                     {Kinds: []grid.Kind{without}, Store: n, Net: n, Node: "n"},
			"grid: Net":            {Kinds: []grid.Kind{with}, Net: n},
			"grid: Window":         {Kinds: []grid.Kind{with}, Store: n, Net: n, Node: "n", Window: -1},
			"grid: kind b: Setup":  {Kinds: []grid.Kind{with, without}, Store: n, Net: n, Node: "n"},
			"grid: kind b: Setup ": {Kinds: []grid.Kind{without}, Store: n, Node: "n"},
		} {
			err := o.Validate()
			var mistake *actors.OptionError
			switch {
			case what == "" && err != nil, what != "" && !errors.As(err, &mistake):
				t.Errorf("%q: %v", what, err)
			case what != "":
				if got := mistake.Of + ": " + mistake.Field; got != what && got+" " != what {
					t.Errorf("the mistake is of %q, want %q", got, what)
				}
			}
		}
	})
}
