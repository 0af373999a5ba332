// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestMoveTable makes each move from each place with the functions that make it, and
// finds where the table says that it leads.
func TestMoveTable(t *testing.T) {
	const turn = 7
	at := func(p place) *turnWord {
		s := &turnWord{}
		s.initWord()
		s.bits.Store(uint64(wordOf(turn, p)))
		return s
	}
	for p := inLoop; p < places; p++ {
		for m := range moves {
			s := at(p)
			want, ok := p.afterMove(m)
			if !ok {
				want = p
			}
			switch m {
			case enter: // the runner is in the loop, and need not look
				if !ok {
					continue
				}
				s.enterTurn(turn)
			case leave:
				if p == isAwaited { // the runner waits there
					continue
				}
				from := p
				if p == isPinned { // it waits until it is called
					from = inReported
					s.looked <- from
				}
				quick := s.leaveTurn(turn)
				if got := s.leaveSlow(); quick != (p == inUser) || !quick && got != from {
					t.Errorf("leave from %d: %v, and slowly from %d", p, quick, got)
				}
			case pin:
				if s.pinWord(wordOf(turn-1, p)) || s.pinWord(wordOf(turn, p)) != ok {
					t.Errorf("pin from %d, allowed: %v, or from another turn", p, ok)
				}
			default:
				if !ok {
					continue // whoever unpins has pinned
				}
				if waited := s.unpinWord(wordOf(turn, inUser), m); waited != (p == isAwaited) {
					t.Errorf("unpin from %d: waited %v", p, waited)
				} else if called, _ := isPinned.afterMove(m); waited && <-s.looked != called {
					t.Errorf("it was not called from %d", called)
				}
			}
			if got := s.loadWord(); got != wordOf(turn, want) {
				t.Errorf("move %d from %d leads to %d, want %d", m, p, got.placeOf(), want)
			}
		}
	}
}

// TestWordHasOneFile: nothing but word.go writes a word.
func TestWordHasOneFile(t *testing.T) {
	files, _ := filepath.Glob("*.go")
	found := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		switch n := bytes.Count(text, []byte(".bits.")); {
		case name == "word.go":
			found = n
		case n > 0 && name != "word_test.go":
			t.Errorf("%s looks into a word", name)
		}
	}
	if found == 0 {
		t.Error("word.go does not write words")
	}
}
