// SPDX-License-Identifier: Apache-2.0

package messages

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/protoloop/protoloop/internal/testtools"
)

// sliceError is not comparable.
type sliceError []string

func (sliceError) Error() string { return "several" }

func TestRegisterErrorMisuse(t *testing.T) {
	var r registry
	one, two := errors.New("one"), errors.New("two")
	r.register("a", one)
	for _, test := range []struct {
		code     string
		sentinel error
		want     string
	}{
		{"", one, "messages: RegisterError with an empty code"},
		{"error", one, `messages: RegisterError with the code "error"`},
		{"\xff", one, "UTF-8"},
		{"b", nil, `messages: RegisterError("b", nil)`},
		{"b", sliceError{"x"}, "sliceError is not comparable"},
		{"b", fmt.Errorf("wrapped: %w", &Failure{Code: "b"}), "a *Failure"},
		{"a", two, `messages: RegisterError("a", "two"): the code belongs to "one"`},
		{"b", one, `messages: RegisterError("b", "one"): the error has the code "a"`},
	} {
		testtools.WantPanic(t, func() { r.register(test.code, test.sentinel) }, test.want)
	}
	r.register("a", one)
	if got := r.list(); !slices.Equal(got, []entry{{"a", one}}) {
		t.Errorf("the registry has %v, want one entry", got)
	}
	testtools.WantPanic(t, func() { RegisterError("test.full", errTimeout) }, "messages: RegisterError(")
}

func TestRegisterErrorConcurrently(t *testing.T) {
	const goroutines, each = 8, 50
	var r registry
	shared := errors.New("shared")
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				own := fmt.Errorf("%d/%d", g, i)
				r.register(own.Error(), own)
				r.register("shared", shared)
				if got, want := r.codes(errors.Join(own, shared)), 2; len(got) != want {
					t.Errorf("codes = %q, want %d", got, want)
				}
			}
		})
	}
	wg.Wait()
	if got, want := len(r.list()), goroutines*each+1; got != want {
		t.Errorf("%d entries, want %d", got, want)
	}
}
