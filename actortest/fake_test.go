// SPDX-License-Identifier: Apache-2.0

package actortest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fakeTB stands for the test that a helper is to fail.
type fakeTB struct {
	testing.TB
	mu       sync.Mutex
	errors   []string
	logs     []string
	cleanups []func()
}

func (f *fakeTB) Helper() {}

func (f *fakeTB) Errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}

func (f *fakeTB) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

func (f *fakeTB) Logf(format string, args ...any) {
	f.logs = append(f.logs, fmt.Sprintf(format, args...))
}
func (f *fakeTB) Cleanup(c func()) { f.cleanups = append(f.cleanups, c) }

func (f *fakeTB) Failed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.errors) > 0
}

// fake runs body and its cleanups as a test of their own, and returns what it
// failed with.
func fake(body func(t *fakeTB)) *fakeTB {
	f := &fakeTB{}
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

// wants fails t unless f has failed once, with a message that contains part.
func (f *fakeTB) wants(t *testing.T, part string) {
	t.Helper()
	if len(f.errors) != 1 || !strings.Contains(f.errors[0], part) {
		t.Errorf("failed with %q, want one failure with %q", f.errors, part)
	}
}
