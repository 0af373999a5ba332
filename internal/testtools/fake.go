// SPDX-License-Identifier: Apache-2.0

package testtools

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// FakeTB stands for the test that a helper is to fail or skip.
type FakeTB struct {
	testing.TB
	Errors []string // also of Fatalf
	Logs   []string
	Skips  []string

	mu       sync.Mutex
	cleanups []func()
}

// RunFake runs body and its cleanups as a test of their own, and returns what became
// of it.
func RunFake(body func(t *FakeTB)) *FakeTB {
	f := &FakeTB{}
	done := make(chan struct{})
	go func() { // Fatalf ends it
		defer close(done)
		defer func() {
			for _, c := range slices.Backward(f.cleanups) {
				c()
			}
		}()
		body(f)
	}()
	<-done
	return f
}

func (f *FakeTB) add(to *[]string, format string, args []any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*to = append(*to, fmt.Sprintf(format, args...))
}

// Helper does nothing.
func (f *FakeTB) Helper() {}

// Errorf notes an error.
func (f *FakeTB) Errorf(format string, args ...any) { f.add(&f.Errors, format, args) }

// Logf notes what is logged.
func (f *FakeTB) Logf(format string, args ...any) { f.add(&f.Logs, format, args) }

// Cleanup has c called when the body of RunFake is over, the last one first.
func (f *FakeTB) Cleanup(c func()) { f.cleanups = append(f.cleanups, c) }

// Fatalf notes an error and ends the test.
func (f *FakeTB) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

// Skipf notes why, and ends the test.
func (f *FakeTB) Skipf(format string, args ...any) {
	f.add(&f.Skips, format, args)
	runtime.Goexit()
}

// Failed reports whether an error was noted.
func (f *FakeTB) Failed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.Errors) > 0
}

// WantFailure fails t unless the test has failed once, with a message that contains
// part.
func (f *FakeTB) WantFailure(t testing.TB, part string) {
	t.Helper()
	if len(f.Errors) != 1 || !strings.Contains(f.Errors[0], part) {
		t.Errorf("failed with %q, want one failure with %q", f.Errors, part)
	}
}
