// SPDX-License-Identifier: Apache-2.0

package actortest

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/protoloop/protoloop/internal/goroutines"
	"github.com/protoloop/protoloop/internal/testtools"
)

// leakGiveUp is how long goroutines may take to end after the last test. It
// is longer than the second for which a dead letter keeps one of the engine's.
const leakGiveUp = 5 * time.Second

// Main runs the tests of a package and fails if they leave goroutines behind
// that were not there before: for packages that use real sockets, where no
// bubble looks. It does not return.
//
//	func TestMain(m *testing.M) { actortest.Main(m) }
func Main(m *testing.M) { os.Exit(gate(m.Run, leakGiveUp, os.Stderr)) }

// gate returns the exit code of run, or 1 if goroutines are left after it.
//
// Rejected: go.uber.org/goleak, which does the same with a list of exceptions
// to maintain; goroutines that were there before the tests are exception
// enough.
func gate(run func() int, giveUp time.Duration, w io.Writer) int {
	before := othersStacks()
	code := run()
	if code != 0 {
		return code // a test that has failed may well have left something
	}
	var left []string
	testtools.Poll(giveUp, func() bool {
		left = left[:0]
		for id, stack := range othersStacks() {
			if _, old := before[id]; !old && !background(stack) {
				left = append(left, stack)
			}
		}
		return len(left) == 0
	})
	if len(left) == 0 {
		return 0
	}
	fmt.Fprintf(w, "actortest: %d goroutines are left after the tests:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
	return 1
}

// background reports whether a goroutine is one of the standard library's
// that never end.
func background(stack string) bool {
	for _, by := range []string{"created by os/signal.", "created by runtime.", "created by runtime/trace."} {
		if strings.Contains(stack, by) {
			return true
		}
	}
	return false
}

// othersStacks returns the stacks of all goroutines but the caller's, by their
// number.
func othersStacks() map[string]string {
	all := map[string]string{}
	for _, stack := range goroutines.Stacks()[1:] {
		id, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
		all[id] = stack
	}
	return all
}
