// SPDX-License-Identifier: Apache-2.0

// Package panicstack has the stack of a panic as text.
package panicstack

import (
	"bytes"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"github.com/protoloop/protoloop/internal/loop"
)

// lastPrinted is the one that Take has printed last: what panics again and again does so in
// one place. It saves most of the time of a stack where that is so, and costs little where
// the places change (BenchmarkTake).
var lastPrinted atomic.Pointer[printed]

type printed struct {
	pcs   []uintptr // down to the first frame that is not in the text
	text  []byte
	bases []string // with which it was printed
}

// Take is the stack from the panic down to the task that runs, or to the end of the goroutine. It is
// called by the deferred function that has recovered the panic, or with skip functions between.
// If there are bases, it ends above the first frame of one of these functions, too.
//
// debug.Stack would walk on through the loop's machinery, three times over
// because it begins with a small buffer, and print the words of each frame's
// arguments. That took half of a restart (bench: restart/worker). A frame that is walked over
// takes 1,500 instructions: so bases is worth it where a task panics again and again.
func Take(skip int, bases ...string) []byte {
	var pcs [64]uintptr
	if last := lastPrinted.Load(); last != nil && slices.Equal(bases, last.bases) {
		if n := runtime.Callers(2+skip, pcs[:len(last.pcs)]); slices.Equal(pcs[:n], last.pcs) {
			return bytes.Clone(last.text)
		}
	}
	n := runtime.Callers(2+skip, pcs[:])
	if n == len(pcs) { // deep: debug.Stack leaves out the middle
		return debug.Stack()
	}
	s := &printed{pcs: slices.Clone(pcs[:n]), bases: bases}
	s.print()
	lastPrinted.Store(s)
	return bytes.Clone(s.text)
}

// print makes the text of a stack and forgets the frames below it.
func (s *printed) print() {
	text, n := loop.AppendFrames(make([]byte, 0, 1<<10), s.pcs, s.bases)
	s.pcs, s.text = s.pcs[:min(n+1, len(s.pcs))], text
}
