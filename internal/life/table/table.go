// SPDX-License-Identifier: Apache-2.0

// Package table looks at state machines that are pure functions, and writes down
// what it finds: as a golden file, as a diagram for a doc comment and as one for
// Markdown.
package table

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Table is a state machine. S is all that it knows, as a value; E is what can
// happen to it.
type Table[S comparable, E any] struct {
	Name   string // as in "life.Worker"
	Start  S
	Events []E // each with every fact that On may look at

	// On returns the state after e, and in words what is to be done. It reports
	// false if e cannot happen in s.
	On func(s S, e E) (to S, effects string, possible bool)

	State func(s S) string         // all of s, for the golden file
	Event func(e E) string         // all of e, for the golden file
	Node  func(s S) string         // the node of the diagram that s belongs to
	Label func(r Row[S, E]) string // the words on the arrow of a step; "" keeps it out of the diagram
	Ends  func(s S) bool           // nothing comes after s
}

// Row is one step: what e does to a state.
type Row[S comparable, E any] struct {
	From    S
	Event   E
	To      S
	Effects string
}

// States are all that can be reached, the nearest first, and how.
func (t *Table[S, E]) States() []S {
	seen := map[S]bool{t.Start: true}
	all := []S{t.Start}
	for i := 0; i < len(all); i++ {
		for _, e := range t.Events {
			if to, _, possible := t.On(all[i], e); possible && !seen[to] {
				seen[to] = true
				all = append(all, to)
			}
		}
	}
	return all
}

// Rows are all steps from all states, in their order.
func (t *Table[S, E]) Rows() (rows []Row[S, E]) {
	for _, s := range t.States() {
		for _, e := range t.Events {
			if to, effects, possible := t.On(s, e); possible {
				rows = append(rows, Row[S, E]{s, e, to, effects})
			}
		}
	}
	return rows
}

// Stuck are the states from which no end can be reached.
func (t *Table[S, E]) Stuck() (stuck []S) {
	before := map[S][]S{}
	for _, r := range t.Rows() {
		before[r.To] = append(before[r.To], r.From)
	}
	all := t.States()
	ends := map[S]bool{}
	var todo []S
	for _, s := range all {
		if t.Ends(s) {
			ends[s] = true
			todo = append(todo, s)
		}
	}
	for ; len(todo) > 0; todo = todo[1:] {
		for _, s := range before[todo[0]] {
			if !ends[s] {
				ends[s] = true
				todo = append(todo, s)
			}
		}
	}
	for _, s := range all {
		if !ends[s] {
			stuck = append(stuck, s)
		}
	}
	return stuck
}

// Golden is the table in full: for each state what each event does. Events that do
// the same share a line.
func (t *Table[S, E]) Golden() string {
	var b strings.Builder
	states := t.States()
	fmt.Fprintf(&b, "%s: %d states\n", t.Name, len(states))
	for _, s := range states {
		fmt.Fprintf(&b, "\n%s\n", t.State(s))
		var outcomes []string
		events := map[string][]string{}
		for _, e := range t.Events {
			to, effects, possible := t.On(s, e)
			if !possible {
				continue
			}
			outcome := "nothing"
			switch {
			case to != s && effects != "":
				outcome = t.State(to) + ": " + effects
			case to != s:
				outcome = t.State(to)
			case effects != "":
				outcome = "stays: " + effects
			}
			if events[outcome] == nil {
				outcomes = append(outcomes, outcome)
			}
			events[outcome] = append(events[outcome], t.Event(e))
		}
		for _, o := range outcomes {
			fmt.Fprintf(&b, "\t%s -> %s\n", strings.Join(events[o], " | "), o)
		}
	}
	return b.String()
}

// arrow is from one node of the diagram to another.
type arrow struct {
	from, to string
	labels   []string // in the order of their events
}

// arrows are those of the diagram, by the order in which their nodes are reached.
func (t *Table[S, E]) arrows() (all []*arrow) {
	var order []string
	states := t.States()
	for _, s := range states {
		if n := t.Node(s); !slices.Contains(order, n) {
			order = append(order, n)
		}
	}
	for _, e := range t.Events {
		for _, s := range states {
			to, effects, possible := t.On(s, e)
			if !possible || t.Node(s) == t.Node(to) {
				continue
			}
			label := t.Label(Row[S, E]{s, e, to, effects})
			if label == "" {
				continue
			}
			i := slices.IndexFunc(all, func(a *arrow) bool { return a.from == t.Node(s) && a.to == t.Node(to) })
			if i < 0 {
				i = len(all)
				all = append(all, &arrow{from: t.Node(s), to: t.Node(to)})
			}
			if !slices.Contains(all[i].labels, label) {
				all[i].labels = append(all[i].labels, label)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *arrow) int {
		of := func(node string) int { return slices.Index(order, node) }
		return cmp.Or(of(a.from)-of(b.from), of(a.to)-of(b.to))
	})
	return all
}

// Text is the diagram as lines for a doc comment, one for each label of an arrow.
func (t *Table[S, E]) Text() []string {
	arrows := t.arrows()
	from, to := 0, 0
	for _, a := range arrows {
		from, to = max(from, len(a.from)), max(to, len(a.to))
	}
	var lines []string
	last := ""
	for _, a := range arrows {
		name := a.from
		if name == last {
			name = ""
		}
		last = a.from
		lines = append(lines, fmt.Sprintf("%-*s → %-*s  %s", from, name, to, a.to, a.labels[0]))
		for _, label := range a.labels[1:] {
			lines = append(lines, fmt.Sprintf("%*s  %s", from+3+to, "", label))
		}
	}
	return lines
}

// Mermaid is the diagram as lines of a state diagram of Mermaid.
func (t *Table[S, E]) Mermaid() []string {
	lines := []string{"stateDiagram-v2", "    [*] --> " + id(t.Node(t.Start))}
	var ends []string
	for _, s := range t.States() {
		n := t.Node(s)
		if t.Ends(s) && !slices.Contains(ends, n) {
			ends = append(ends, n)
		}
		if named := fmt.Sprintf("    %s: %s", id(n), n); id(n) != n && !slices.Contains(lines, named) {
			lines = append(lines, named)
		}
	}
	for _, a := range t.arrows() {
		lines = append(lines, fmt.Sprintf("    %s --> %s: %s", id(a.from), id(a.to), strings.Join(a.labels, ", or ")))
	}
	for _, n := range ends {
		lines = append(lines, fmt.Sprintf("    %s --> [*]", id(n)))
	}
	return lines
}

func id(node string) string { return strings.ReplaceAll(node, " ", "_") }
