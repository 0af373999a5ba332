// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"strings"
	"testing"
)

// waitsOf has a group for each edge: "a>b" is tasks of a that wait for b.
func waitsOf(edges ...string) *Waits {
	v := &Waits{}
	for i, e := range edges {
		from, to, _ := strings.Cut(e, ">")
		v.Groups = append(v.Groups, Group{Kind: from, Of: to, N: len(edges) - i, Oldest: float64(i)})
	}
	return v
}

// TestGraphPlaces: who waits is on the left of what it waits for, a ring ends the search, and a short layer is
// in the middle. Each is the same at every look.
func TestGraphPlaces(t *testing.T) {
	for name, c := range map[string]struct {
		v    *Waits
		want string // kind: layer, row
	}{
		"nothing":        {waitsOf(), "0x0"},
		"alone":          {waitsOf("a>"), "1x1 a:0,0"},
		"itself":         {waitsOf("a>a"), "1x1 a:0,0"},
		"a chain":        {waitsOf("a>b", "b>c"), "3x1 a:0,0 b:1,0 c:2,0"},
		"a short cut":    {waitsOf("a>c", "a>b", "b>c"), "3x1 a:0,0 b:1,0 c:2,0"},
		"two for one":    {waitsOf("a>c", "b>c"), "2x2 a:0,0 b:0,1 c:1,0.5"},
		"a ring":         {waitsOf("a>b", "b>a"), "2x1 a:0,0 b:1,0"},
		"before a ring":  {waitsOf("a>b", "b>c", "c>b"), "3x1 a:0,0 b:1,0 c:2,0"},
		"without a knot": {waitsOf("a>x", "b>y", "c>x"), "2x3 a:0,0 b:0,2 c:0,1 x:1,0.5 y:1,1.5"},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 { // maps have no order
				g := graphOf(c.v)
				got := fmt.Sprintf("%dx%d", g.Layers, g.Rows)
				at := map[string]string{}
				for _, n := range g.Nodes {
					at[n.Kind] = fmt.Sprintf(" %s:%d,%g", n.Kind, n.Layer, n.Row)
				}
				for _, kind := range strings.Split("abcxy", "") {
					got += at[kind]
				}
				if got != c.want {
					t.Fatalf("%s, want %s", got, c.want)
				}
			}
		})
	}
}

// TestGraphIsBounded: of many kinds those are drawn that are waited for in the end, and those with most tasks,
// and no edge leads to another.
func TestGraphIsBounded(t *testing.T) {
	v := &Waits{Roots: []Root{{Kind: "root"}}}
	for i := range 500 {
		v.Groups = append(v.Groups, Group{Kind: fmt.Sprintf("k%03d", i), Of: "root", N: i + 1}, Group{Kind: fmt.Sprintf("k%03d", i), Of: "k000", N: 1})
	}
	g := graphOf(v)
	if len(g.Nodes) != maxGraphNodes || g.More != 501-maxGraphNodes || !g.Nodes[0].Root || g.Nodes[1].Kind != "k499" {
		t.Errorf("%d nodes and %d more: %+v", len(g.Nodes), g.More, g.Nodes)
	}
	if len(g.Edges) != maxGraphNodes-1 {
		t.Errorf("%d edges: %+v", len(g.Edges), g.Edges)
	}
}
