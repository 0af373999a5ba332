// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"maps"
	"slices"
)

// Graph is the groups by kind: whose tasks wait for those of which. Each node has its place in a drawing in
// which who waits is on the left of what it waits for.
type Graph struct {
	Nodes  []GraphNode `json:"nodes"` // 30 at most: what is waited for, and those with most tasks
	More   int         `json:"more_nodes"`
	Edges  []GraphEdge `json:"edges"`  // between these
	Layers int         `json:"layers"` // columns
	Rows   int         `json:"rows"`   // of the longest layer
}

// GraphNode is a kind of workers.
type GraphNode struct {
	Kind  string  `json:"kind"`
	Tasks int     `json:"tasks"`
	Root  bool    `json:"root"`  // something waits for it in the end
	Layer int     `json:"layer"` // the leftmost is 0
	Row   float64 `json:"row"`   // the uppermost is 0; a shorter layer is in the middle
}

// GraphEdge is tasks of one kind that await something of another.
type GraphEdge struct {
	From   string  `json:"from"`
	To     string  `json:"to"`
	N      int     `json:"n"`
	Oldest float64 `json:"oldest_s"`
	Ring   bool    `json:"ring"` // a ring goes along here
}

const maxGraphNodes = 30

// graphOf joins the groups of a kind.
func graphOf(v *Waits) Graph {
	nodes := map[string]*drawn{}
	node := func(kind string) *drawn {
		if nodes[kind] == nil {
			nodes[kind] = &drawn{GraphNode: GraphNode{Kind: kind}}
		}
		return nodes[kind]
	}
	type pair struct{ from, to string }
	edges := map[pair]*GraphEdge{}
	for i := range v.Groups {
		g := &v.Groups[i]
		node(g.Kind).Tasks += g.N
		if g.Of == "" {
			continue
		}
		node(g.Of)
		e := edges[pair{g.Kind, g.Of}]
		if e == nil {
			e = &GraphEdge{From: g.Kind, To: g.Of}
			edges[pair{g.Kind, g.Of}] = e
		}
		e.N += g.N
		e.Oldest = max(e.Oldest, g.Oldest)
	}
	for i := range v.Roots {
		r := &v.Roots[i]
		if r.Kind != "" && nodes[r.Kind] != nil {
			nodes[r.Kind].Root = true
		}
		for j, m := range r.Members {
			if e := edges[pair{m.Kind, r.Members[(j+1)%len(r.Members)].Kind}]; e != nil {
				e.Ring = true
			}
		}
	}
	shown := slices.SortedFunc(maps.Values(nodes), func(a, b *drawn) int {
		return cmp.Or(cmp.Compare(rootFirst(a), rootFirst(b)), cmp.Compare(b.Tasks, a.Tasks), cmp.Compare(a.Kind, b.Kind))
	})
	out := Graph{Nodes: []GraphNode{}, Edges: []GraphEdge{}, More: max(0, len(shown)-maxGraphNodes)}
	shown = shown[:len(shown)-out.More]
	for _, e := range edges {
		from, to := nodes[e.From], nodes[e.To]
		if !slices.Contains(shown, from) || !slices.Contains(shown, to) {
			continue
		}
		out.Edges = append(out.Edges, *e)
		if from != to {
			from.out = append(from.out, to)
			from.near = append(from.near, to)
			to.near = append(to.near, from)
		}
	}
	slices.SortFunc(out.Edges, func(a, b GraphEdge) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	out.Layers, out.Rows = place(shown)
	for _, n := range shown {
		out.Nodes = append(out.Nodes, n.GraphNode)
	}
	return out
}

func rootFirst(n *drawn) int {
	if n.Root {
		return 0
	}
	return 1
}

// drawn is a node while its place is looked for.
type drawn struct {
	GraphNode
	out, near []*drawn // what it waits for; and that with what waits for it
	depth     int      // its layer from the right, plus 1; 0: it was not come to
	open      bool     // its depth is being looked for
	middle    float64  // where its neighbors are
}

// place puts each node to the left of those that it waits for, but where that would go in a ring, and orders
// each layer by where its neighbors are. It returns how many layers there are, and the rows of the longest.
func place(nodes []*drawn) (layers, rows int) {
	for _, n := range nodes {
		// Of the edges that close a ring, which one goes back depends on where the search begins, and so does not on a map.
		slices.SortFunc(n.out, func(a, b *drawn) int { return cmp.Compare(a.Kind, b.Kind) })
	}
	for _, n := range nodes {
		layers = max(layers, n.findDepth())
	}
	all := make([][]*drawn, layers)
	for _, n := range nodes {
		n.Layer = layers - n.depth
		all[n.Layer] = append(all[n.Layer], n)
	}
	for _, l := range all {
		number(l)
		rows = max(rows, len(l))
	}
	for round := range 4 { // there and back: each layer is ordered by those on both sides
		for i := range all {
			if round%2 == 0 {
				i = len(all) - 1 - i
			}
			sortLayer(all[i])
		}
	}
	for _, l := range all {
		for _, n := range l {
			n.Row += float64(rows-len(l)) / 2
		}
	}
	return layers, rows
}

func (n *drawn) findDepth() int {
	if n.depth == 0 && !n.open {
		n.open = true
		deepest := 0
		for _, o := range n.out {
			deepest = max(deepest, o.findDepth())
		}
		n.depth, n.open = deepest+1, false
	}
	return n.depth // 0 while it is open: the edge goes in a ring
}

func sortLayer(l []*drawn) {
	for _, n := range l {
		n.middle = n.Row
		if len(n.near) > 0 {
			n.middle = 0
			for _, o := range n.near {
				n.middle += o.Row // whole numbers: the order of near does not matter
			}
			n.middle /= float64(len(n.near))
		}
	}
	slices.SortStableFunc(l, func(a, b *drawn) int {
		return cmp.Or(cmp.Compare(a.middle, b.middle), cmp.Compare(b.Tasks, a.Tasks))
	})
	number(l)
}

func number(l []*drawn) {
	for i, n := range l {
		n.Row = float64(i)
	}
}
