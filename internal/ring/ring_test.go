// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"fmt"
	"slices"
	"testing"

	"github.com/protoloop/protoloop/internal/testtools"
)

// point is a node of a graph that stands still.
type point struct {
	name   string
	any    bool
	list   []Node // instead of members
	to     []Node // a nil member is one that keeps nobody
	free   []bool // members that let the node go on
	skips  int
	from   int
	id     int
	looks  int
	probes int
	inWait func() // called once
}

func (p *point) Probe() { p.probes++ }

func (p *point) Wait() Wait {
	p.looks++
	if f := p.inWait; f != nil {
		p.inWait = nil
		f()
	}
	return Wait{ID: p.id, Any: p.any, From: p.from, N: len(p.to), List: p.list, Skips: p.skips}
}

func (p *point) Member(i int) (Node, Answer) {
	switch {
	case i < len(p.free) && p.free[i]:
		return nil, Free
	case p.to[i] == nil:
		return nil, Skip
	}
	return p.to[i], Follow
}

func (p *point) Prefer(i int) {
	if p.any {
		p.from = i
	}
}

func (p *point) String() string { return p.name }

// points makes nodes of which each waits for the next one.
func points(n int) []*point {
	ps := make([]*point, n)
	for i := range ps {
		ps[i] = &point{name: fmt.Sprint(i)}
		if i > 0 {
			ps[i-1].to = []Node{ps[i]}
		}
	}
	return ps
}

// breaks is Break without anybody who moves.
func breaks(self, n Node) (path []Node, found bool) {
	found = new(Graph).Break(self, n, func() bool { return true }, func(p []Node) { path = p })
	return path, found
}

func TestRing(t *testing.T) {
	self, a, b, c := &point{name: "self"}, &point{name: "a"}, &point{name: "b"}, &point{name: "c"}
	tests := map[string]struct {
		set   func()
		stuck bool
		path  []Node // of a ring through self
	}{
		"waits for nobody":                   {func() {}, false, nil},
		"a waits for self":                   {func() { a.to = []Node{self} }, true, []Node{a}},
		"by way of another one":              {func() { a.to, b.to = []Node{b}, []Node{self} }, true, []Node{a, b}},
		"which goes on":                      {func() { a.to = []Node{b} }, false, nil},
		"for two, of which one goes on":      {func() { a.to, c.to = []Node{b, c}, []Node{self} }, true, []Node{a, c}},
		"for any of two":                     {func() { a.any, a.to, c.to = true, []Node{b, c}, []Node{self} }, false, nil},
		"for any of two, both stuck":         {func() { a.any, a.to, b.to, c.to = true, []Node{b, c}, []Node{a}, []Node{self} }, true, []Node{a, c}},
		"for any of none":                    {func() { a.any = true }, false, nil},
		"for any, all of which are skipped":  {func() { a.any, a.to = true, []Node{nil, nil} }, false, nil},
		"for any, the first is skipped":      {func() { a.any, a.to = true, []Node{nil, self} }, true, []Node{a}},
		"for the first end, which is past":   {func() { a.any, a.to, a.skips = true, []Node{nil, self}, 1 }, false, nil},
		"for the first end after one":        {func() { a.any, a.to, a.skips = true, []Node{nil, self}, 2 }, true, []Node{a}},
		"for all, one of which lets it go":   {func() { a.to, a.free = []Node{self, self}, []bool{false, true} }, false, nil},
		"for any, one of which lets it go":   {func() { a.any, a.to, a.free = true, []Node{self, self}, []bool{false, true} }, false, nil},
		"a list":                             {func() { a.list = []Node{b, self} }, true, []Node{a}},
		"any of a list":                      {func() { a.any, a.list, b.to = true, []Node{b, self}, []Node{self} }, true, []Node{a, b}},
		"any of a list, one goes on":         {func() { a.any, a.list = true, []Node{b, self} }, false, nil},
		"for a ring that self is not in":     {func() { a.to, b.to, c.to = []Node{b}, []Node{c}, []Node{b} }, true, nil},
		"for that, and self is behind it":    {func() { a.to, b.to, c.to = []Node{b, c}, []Node{a}, []Node{b, self} }, true, []Node{a, b}},
		"a way that is free at its end":      {func() { a.any, a.to, b.to, b.any = true, []Node{b}, []Node{self, c}, true }, false, nil},
		"what is free although the way is":   {func() { a.to, b.any, b.to = []Node{b, self}, true, []Node{a, c} }, true, []Node{a}},
		"what was found on a way that ended": {func() { a.to, b.any, b.to = []Node{b, c}, true, []Node{self, &point{}}; c.to = []Node{self} }, true, []Node{a, c}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for i, p := range []*point{self, a, b, c} {
				*p = point{name: []string{"self", "a", "b", "c"}[i]}
			}
			test.set()
			if got := Stuck(self, a); got != test.stuck {
				t.Errorf("Stuck is %v", got)
			}
			path, found := breaks(self, a)
			if found != (test.path != nil) {
				t.Errorf("Break is %v, with path %v", found, path)
			}
			switch name {
			case "for that, and self is behind it": // by one of two ways
			default:
				if !slices.Equal(path, test.path) {
					t.Errorf("the path is %v, want %v", path, test.path)
				}
			}
		})
	}
}

// A search along a chain costs one look a node and no memory, however long it is.
func TestRingLongChain(t *testing.T) {
	ps := points(100_000)
	runs := 0
	if n := testtools.Allocs(1, func() {
		runs++
		if Stuck(ps[0], ps[1]) {
			t.Error("a chain that ends is a ring")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	for i, p := range ps[1:] {
		if p.looks != runs || p.probes == 0 {
			t.Fatalf("node %d was looked at %d times, and probed %d times", i, p.looks, p.probes)
		}
	}
	ps[len(ps)-1].to = []Node{ps[0]}
	if path, found := breaks(ps[0], ps[1]); !found || len(path) != len(ps)-1 || !Stuck(ps[0], ps[1]) {
		t.Errorf("a long ring: %v, of %d", found, len(path))
	}
	ps[len(ps)-1].to = []Node{ps[500]}
	if _, found := breaks(ps[0], ps[1]); found || !Stuck(ps[0], ps[1]) {
		t.Error("a long way to a ring is taken for one")
	}
}

// What many wait for is looked at once in a search.
func TestRingSharedMembers(t *testing.T) {
	for _, way := range []string{"all", "any", "list"} {
		for _, end := range []string{"free", "self"} {
			self, last := &point{name: "self"}, &point{}
			if end == "self" {
				last.to = []Node{self}
			}
			var ps []*point
			for p := last; len(ps) < 100; p = ps[len(ps)-1] {
				next := &point{any: way == "any", to: []Node{p, p}}
				if way == "list" {
					next.to, next.list = nil, next.to
				}
				ps = append(ps, next)
			}
			top := ps[len(ps)-1]
			if got := Stuck(self, top); got != (end == "self") {
				t.Errorf("%s, %s: Stuck is %v", way, end, got)
			}
			for _, p := range ps {
				if p.looks > 2 { // goesOn, and the search
					t.Fatalf("%s, %s: a node was looked at %d times", way, end, p.looks)
				}
			}
		}
	}
}

// Of many members of which one is enough, the next search begins with the one
// that was found to go on.
func TestRingPrefersWhoGoesOn(t *testing.T) {
	self, slow := &point{name: "self"}, &point{name: "slow"}
	one := &point{any: true}
	behind := make([]*point, 1000)
	for i := range behind {
		behind[i] = &point{to: []Node{self}}
		one.to = append(one.to, behind[i])
	}
	one.to = append(one.to, slow)
	for range 10 {
		if Stuck(self, one) {
			t.Fatal("it is stuck")
		}
	}
	for i, p := range behind {
		if p.looks > 2 {
			t.Fatalf("member %d was looked at %d times", i, p.looks)
		}
	}
}

// What moves while a search goes on makes no ring of what never was there at
// once.
func TestRingMovesMeanwhile(t *testing.T) {
	for name, move := range map[string]func(self, a, b, c *point){
		"who was seen goes on":               func(_, a, _, _ *point) { a.to = nil },
		"who was seen waits for another one": func(_, a, _, c *point) { a.to = []Node{c} },
		"another member lets it go":          func(_, a, _, _ *point) { a.to, a.free = append(a.to, nil), []bool{false, true} },
		"another one is enough":              func(_, a, _, c *point) { a.any, a.to = true, append(a.to, c) },
		"a list that has changed":            func(_, a, _, c *point) { a.to, a.list = nil, []Node{c} },
	} {
		t.Run(name, func(t *testing.T) {
			self, a, b, c := &point{name: "self"}, &point{name: "a"}, &point{name: "b"}, &point{name: "c"}
			a.to, b.to = []Node{b}, []Node{self}
			b.inWait = func() {
				move(self, a, b, c)
			}
			if path, found := breaks(self, a); found {
				t.Errorf("a ring was found: %v", path)
			}
		})
	}
	a, b, self, c := &point{any: true}, &point{}, &point{}, &point{}
	a.to = []Node{self}
	if new(Graph).Break(self, a, func() bool { a.to = append(a.to, c); return true }, func([]Node) {}) {
		t.Error("a ring was found though another member has come that is enough")
	}
	a.to, b.to = []Node{b}, []Node{self}
	a.inWait = func() {
		a.inWait = func() { // when it is looked at again, it has waited for something else in between
			a.id++
			a.inWait = func() { b.to = nil }
		}
	}
	if path, found := breaks(self, a); found {
		t.Errorf("a ring was found of two waits of one node: %v", path)
	}
	a.to = []Node{self}
	if new(Graph).Break(self, a, func() bool { return false }, func([]Node) { t.Error("cut") }) {
		t.Error("a ring was found though self does not wait any more")
	}
}
