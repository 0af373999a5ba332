// SPDX-License-Identifier: Apache-2.0

package testtools

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// Trace has lines of what has happened, in order. Any goroutine may add to it. The
// zero value has none.
type Trace struct {
	mu    sync.Mutex
	lines []string
}

// Add adds a line.
func (tr *Trace) Add(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.lines = append(tr.lines, fmt.Sprintf(format, args...))
}

// Take returns the lines, and forgets them.
func (tr *Trace) Take() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	lines := tr.lines
	tr.lines = nil
	return lines
}

// Sort puts the lines in order, where it does not matter which came first.
func (tr *Trace) Sort() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	slices.Sort(tr.lines)
}

// Want fails the test unless these are the lines, and forgets them.
func (tr *Trace) Want(t testing.TB, lines ...string) {
	t.Helper()
	if got := tr.Take(); !slices.Equal(got, lines) {
		t.Errorf("got %q, want %q", got, lines)
	}
}

// DeadLetters returns a trace of the system's dead letters: "MESSAGE to ID".
func DeadLetters(sys *actor.ActorSystem) *Trace {
	tr := &Trace{}
	sys.EventStream.Subscribe(func(e any) {
		if d, ok := e.(*actor.DeadLetterEvent); ok && d.PID != nil {
			tr.Add("%v to %s", d.Message, d.PID.Id)
		}
	})
	return tr
}
