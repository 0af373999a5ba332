// SPDX-License-Identifier: Apache-2.0

package view

import (
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors/inspect"
)

// A child that has ended and waits for its restart was told to end long ago: that is no lint beside
// the one that it is down. One that does not end is.
func TestToldToEndOfARestingChild(t *testing.T) {
	for state, want := range map[string]int{"quiesced": 0, "unwinding": 1} {
		s := &State{At: now, Snapshot: inspect.Snapshot{Workers: []inspect.Worker{{PID: pid("shop/mail"), Kind: "mail", State: state, ToldToEnd: ago(time.Minute)}}}}
		var p places
		if toldToEnd(s, &p); len(p.items) != want {
			t.Errorf("%s: %d places, want %d: %+v", state, len(p.items), want, p.items)
		}
	}
}

// What is queued in a worker that a turn holds up waits for that turn, and stands below it.
func TestTreeOfWhatIsQueued(t *testing.T) {
	s := &State{At: now, Snapshot: inspect.Snapshot{
		Roots:  []inspect.Root{{Is: "turn", Worker: pid("shop/list"), Kind: "list", Name: "add item", Tasks: 3, Workers: 1}},
		Groups: []inspect.Group{{Kind: "page", Task: "show", State: "awaiting", Awaits: "read", Of: "list", Tasks: 3, Workers: 1}},
	}}
	tree := s.Waits().Tree
	if len(tree) != 1 || len(tree[0].Children) != 1 || tree[0].Children[0].N != 3 {
		t.Errorf("the tree: %+v", tree)
	}
}

// Tasks that each wait for a promise of their own are one root, and what others wait for is seen beside it.
func TestRootsOfPromises(t *testing.T) {
	s := &State{At: now}
	for range 150 {
		s.Snapshot.Roots = append(s.Snapshot.Roots, inspect.Root{Is: "promise", Name: "promise", Tasks: 2, Workers: 1})
	}
	s.Snapshot.Roots = append(s.Snapshot.Roots, inspect.Root{Is: "turn", Worker: pid("shop/list"), Kind: "list", Name: "add item", Tasks: 1, Workers: 1},
		inspect.Root{Is: "promise", Name: "futures.All", Tasks: 1, Workers: 1})
	v := s.Waits()
	if len(v.Roots) != 3 || v.More != 0 || v.Roots[0].N != 150 || v.Roots[0].Tasks != 300 || v.Roots[0].What != "promise ×150, each for itself, which anybody may complete" {
		t.Errorf("the roots: %+v", v.Roots)
	}
	s.Snapshot.Roots = append(s.Snapshot.Roots, s.Snapshot.Roots[:48]...) // as many as a look has
	if got := s.Waits().Roots[0].What; got != "promise ×198, each for itself, which anybody may complete; there are more" {
		t.Errorf("of more than a look has: %q", got)
	}
	if got := v.Roots[2].What; got != "futures.All, which anybody may complete" {
		t.Errorf("one is %q", got)
	}
}
