// SPDX-License-Identifier: Apache-2.0

package safeerr_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/protoloop/protoloop/internal/safeerr"
)

// bad panics in the method that it names.
type bad struct{ method string }

func (b bad) panicIn(method string) {
	if b.method == method {
		panic(method)
	}
}

func (b bad) Error() string   { b.panicIn("Error"); return "bad" }
func (b bad) Is(error) bool   { b.panicIn("Is"); return false }
func (b bad) As(any) bool     { b.panicIn("As"); return false }
func (b bad) Unwrap() []error { b.panicIn("Unwrap"); return nil }

func TestSoundErrors(t *testing.T) {
	path := &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}
	err := fmt.Errorf("about %w", path)
	if !safeerr.Is(err, fs.ErrExist, fs.ErrNotExist) || safeerr.Is(err, fs.ErrExist) || safeerr.Is(err) || safeerr.Is(nil, fs.ErrExist) {
		t.Error("Is")
	}
	if got, ok := safeerr.As[*fs.PathError](err); !ok || got != path {
		t.Error("As", got, ok)
	}
	if _, ok := safeerr.As[*fs.PathError](fs.ErrExist); ok {
		t.Error("As finds what is not there")
	}
	for _, err := range []error{err, nil} {
		safeerr.Check(err, func(v any) { t.Error("Check of", err, v) })
	}
}

func TestErrorsThatPanic(t *testing.T) {
	for _, method := range []string{"Error", "Is", "As", "Unwrap"} {
		inner := bad{method}
		for _, err := range []error{inner, errors.Join(fs.ErrNotExist, inner)} {
			var panicked any
			safeerr.Check(err, func(v any) { panicked = v })
			if panicked != method {
				t.Errorf("%s: Check: %v", method, panicked)
			}
			if safeerr.Is(err, fs.ErrExist) {
				t.Errorf("%s: Is finds what is not there", method)
			}
			if _, ok := safeerr.As[*fs.PathError](err); ok {
				t.Errorf("%s: As finds what is not there", method)
			}
		}
	}
	if err := errors.Join(fs.ErrNotExist, bad{"Unwrap"}); !safeerr.Is(err, fs.ErrNotExist) {
		t.Error("Is does not find what comes before the panic")
	}
}
