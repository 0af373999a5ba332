// SPDX-License-Identifier: Apache-2.0

package table_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/protoloop/protoloop/internal/life/table"
)

// door is open (0), shut (1), locked (2) or gone (3).
func door() *table.Table[int, string] {
	steps := map[string][4]int{"push": {1, 1, 2, 3}, "slam": {1, 1, 2, 3}, "pull": {0, 0, 2, 3}, "turn the key": {0, 2, 1, 3}, "take it down": {3, 1, 2, 3}}
	names := []string{"open", "shut", "locked", "gone"}
	return &table.Table[int, string]{
		Name: "test.Door", Start: 0,
		Events: []string{"push", "slam", "pull", "turn the key", "take it down"},
		On: func(s int, e string) (int, string, bool) {
			to := steps[e][s]
			if to != s {
				return to, "creak", s != 3
			}
			return to, "", s != 3
		},
		State: func(s int) string { return names[s] },
		Event: func(e string) string { return e },
		Node:  func(s int) string { return names[s] },
		Label: func(r table.Row[int, string]) string { return r.Event },
		Ends:  func(s int) bool { return s == 3 },
	}
}

func TestText(t *testing.T) {
	want := []string{
		"open   → shut    push",
		"                 slam",
		"       → gone    take it down",
		"shut   → open    pull",
		"       → locked  turn the key",
		"locked → shut    turn the key",
	}
	if got := door().Text(); !slices.Equal(got, want) {
		t.Errorf("the diagram of a door is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestMermaid(t *testing.T) {
	want := []string{
		"stateDiagram-v2",
		"    [*] --> open",
		"    open --> shut: push, or slam",
		"    open --> gone: take it down",
		"    shut --> open: pull",
		"    shut --> locked: turn the key",
		"    locked --> shut: turn the key",
		"    gone --> [*]",
	}
	if got := door().Mermaid(); !slices.Equal(got, want) {
		t.Errorf("the diagram of a door is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestGolden(t *testing.T) {
	const want = `test.Door: 4 states

open
	push | slam -> shut: creak
	pull | turn the key -> nothing
	take it down -> gone: creak

shut
	push | slam | take it down -> nothing
	pull -> open: creak
	turn the key -> locked: creak

gone

locked
	push | slam | pull | take it down -> nothing
	turn the key -> shut: creak
`
	if got := door().Golden(); got != want {
		t.Errorf("the table of a door is\n%s\nwant\n%s", got, want)
	}
}

func TestStuck(t *testing.T) {
	d := door()
	if got := d.Stuck(); len(got) != 0 {
		t.Errorf("no end can be reached from %v", got)
	}
	d.Events = d.Events[:4] // nobody takes it down
	if got := d.Stuck(); len(got) != 3 {
		t.Errorf("no end can be reached from %v, want all three states", got)
	}
}

func TestSplice(t *testing.T) {
	for _, test := range []struct{ name, file, want string }{
		{"Go", "package a\n\n// A Door, generated from test.Door by go generate:\n//\n//\told\n//\told\n//\n// That is all.\ntype Door int\n",
			"package a\n\n// A Door, generated from test.Door by go generate:\n//\n//\t" + strings.Join(door().Text(), "\n//\t") + "\n//\n// That is all.\ntype Door int\n"},
		{"Go, the first time", "// generated from test.Door by go generate:\n//\ntype Door int\n",
			"// generated from test.Door by go generate:\n//\n//\t" + strings.Join(door().Text(), "\n//\t") + "\ntype Door int\n"},
		{"Markdown", "# Doors\n\n<!-- generated from test.Door by go generate -->\n```mermaid\nold\n```\n\nText.\n",
			"# Doors\n\n<!-- generated from test.Door by go generate -->\n```mermaid\n" + strings.Join(door().Mermaid(), "\n") + "\n```\n\nText.\n"},
	} {
		got, err := table.Splice(test.file, "test.Door", door())
		if got != test.want || err != nil {
			t.Errorf("%s:\n%s, %v\nwant\n%s", test.name, got, err, test.want)
		}
		if again, err := table.Splice(got, "test.Door", door()); again != got || err != nil {
			t.Errorf("%s, the second time:\n%s, %v", test.name, again, err)
		}
	}
	for _, file := range []string{"", "generated from test.Doorbell by go generate", "generated from test.Door by nobody\ntext"} {
		if _, err := table.Splice(file, "test.Door", door()); err == nil {
			t.Errorf("%q: no error", file)
		}
	}
}
