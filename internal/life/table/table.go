// Package table looks at state machines that are pure functions, and writes down
// what it finds: as a golden file, as a diagram for a doc comment and as one for
// Markdown.
package table

import (
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

	State func(s S) string // all of s, for the golden file
	Event func(e E) string // all of e, for the golden file
	Node  func(s S) string // the node of the diagram that s belongs to
	Label func(e E) string // the words on its arrows; "" keeps an event out of it
	Ends  func(s S) bool   // nothing comes after s
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

// Golden is the table in full: for each state what each event does. Events that
// change nothing and ask for nothing are listed in one line.
func (t *Table[S, E]) Golden() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d states\n", t.Name, len(t.States()))
	for _, s := range t.States() {
		fmt.Fprintf(&b, "\n%s\n", t.State(s))
		var same []string
		for _, e := range t.Events {
			switch to, effects, possible := t.On(s, e); {
			case !possible:
			case to == s && effects == "":
				same = append(same, t.Event(e))
			case effects == "":
				fmt.Fprintf(&b, "\t%s -> %s\n", t.Event(e), t.State(to))
			default:
				fmt.Fprintf(&b, "\t%s -> %s: %s\n", t.Event(e), t.State(to), effects)
			}
		}
		if len(same) > 0 {
			fmt.Fprintf(&b, "\tnothing: %s\n", strings.Join(same, ", "))
		}
	}
	return b.String()
}

// arrow is from one node of the diagram to another.
type arrow struct {
	from, to string
	labels   []string
}

// arrows are those of the diagram, by the order in which their nodes are reached.
func (t *Table[S, E]) arrows() (all []*arrow) {
	var order []string
	for _, s := range t.States() {
		if n := t.Node(s); !slices.Contains(order, n) {
			order = append(order, n)
		}
	}
	for _, r := range t.Rows() {
		from, to, label := t.Node(r.From), t.Node(r.To), t.Label(r.Event)
		if from == to || label == "" {
			continue
		}
		i := slices.IndexFunc(all, func(a *arrow) bool { return a.from == from && a.to == to })
		if i < 0 {
			i = len(all)
			all = append(all, &arrow{from: from, to: to})
		}
		if !slices.Contains(all[i].labels, label) {
			all[i].labels = append(all[i].labels, label)
		}
	}
	of := func(node string) int { return slices.Index(order, node) }
	slices.SortStableFunc(all, func(a, b *arrow) int {
		if d := of(a.from) - of(b.from); d != 0 {
			return d
		}
		return of(a.to) - of(b.to)
	})
	// In the order of the events, whichever state came first.
	for _, a := range all {
		slices.SortStableFunc(a.labels, func(x, y string) int { return t.event(x) - t.event(y) })
	}
	return all
}

func (t *Table[S, E]) event(label string) int {
	return slices.IndexFunc(t.Events, func(e E) bool { return t.Label(e) == label })
}

// Text is the diagram as lines for a doc comment, one for each arrow.
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
		lines = append(lines, fmt.Sprintf("%-*s → %-*s  %s", from, name, to, a.to, strings.Join(a.labels, "; ")))
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
