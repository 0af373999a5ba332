// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestInboxTable makes each move from each state with the methods that make it, and
// finds where the table says that it leads.
func TestInboxTable(t *testing.T) {
	heads := [inboxStates]*Task{inboxIdle: idleMark, inboxFilled: new(Task)}
	for s := inboxIdle; s < inboxStates; s++ {
		for m := range inboxMoves {
			want, ok := s.after(m)
			if !ok {
				want = s
			}
			var q inbox
			q.head.Store(heads[s])
			switch m {
			case inboxPush:
				if idle := q.push(new(Task)); idle != (s == inboxIdle) {
					t.Errorf("a push in state %d found it idle: %v", s, idle)
				}
			case inboxTake:
				if !ok {
					continue // whoever takes runs the loop
				}
				if got := q.take(); (got != nil) != (s == inboxFilled) {
					t.Errorf("taking in state %d gave %v", s, got)
				}
			case inboxSleep:
				if slept := q.sleep(); slept != ok {
					t.Errorf("sleeping in state %d: %v", s, slept)
				}
			}
			if got := stateOf(&q); got != want {
				t.Errorf("move %d from state %d leads to %d, want %d", m, s, got, want)
			}
		}
	}
}

func stateOf(q *inbox) inboxState {
	switch q.head.Load() {
	case idleMark:
		return inboxIdle
	case nil:
		return inboxEmpty
	}
	return inboxFilled
}

// TestInboxHasOneFile: nothing but inbox.go writes the head of an inbox.
func TestInboxHasOneFile(t *testing.T) {
	files, _ := filepath.Glob("*.go")
	found := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, call := range []string{"head.Store(", "head.Swap(", "head.CompareAndSwap("} {
			n += bytes.Count(text, []byte(call))
		}
		switch {
		case name == "inbox.go":
			found = n
		case n > 0 && !strings.HasSuffix(name, "_test.go"):
			t.Errorf("%s writes the head of an inbox", name)
		}
	}
	if found == 0 {
		t.Error("inbox.go does not write heads")
	}
}
