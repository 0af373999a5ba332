// SPDX-License-Identifier: Apache-2.0

package testtools

import (
	"fmt"
	"strings"
	"testing"
)

// PanicOf runs f and returns what it panics with; nil if it returns.
func PanicOf(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

// WantPanic fails the test unless f panics with a text that has all parts.
func WantPanic(t testing.TB, f func(), parts ...string) {
	t.Helper()
	WantText(t, PanicOf(f), parts...)
}

// WantText fails the test unless v, an error or what a function has panicked with,
// has a text with all parts.
func WantText(t testing.TB, v any, parts ...string) {
	t.Helper()
	if v == nil {
		t.Errorf("no error and no panic; want one that says %q", parts)
		return
	}
	text := fmt.Sprint(v)
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("it says %q; want it to say %q", text, p)
		}
	}
}
