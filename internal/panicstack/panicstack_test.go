// SPDX-License-Identifier: Apache-2.0

package panicstack_test

import (
	"runtime/debug"
	"strings"
	"testing"

	"github.com/protoloop/protoloop/internal/panicstack"
)

// fail panics in a function of a name, and returns the stack that is taken there.
func fail(take func() []byte) (stack []byte) {
	defer func() {
		if recover() != nil {
			stack = take()
		}
	}()
	doFail()
	return nil
}

//go:noinline
func doFail() { panic("boom") }

//go:noinline
func helper() []byte { return panicstack.Take(1) }

func TestTake(t *testing.T) {
	for range 2 { // the second time it is the one that was printed last
		stack := string(fail(helper))
		if !strings.HasPrefix(stack, "github.com/protoloop/protoloop/internal/panicstack_test.fail.func1(...)\n\t") {
			t.Errorf("it does not begin with the deferred function:\n%s", stack)
		}
		if !strings.Contains(stack, "\npanic(...)\n") || !strings.Contains(stack, "panicstack_test.doFail(...)\n\t") {
			t.Errorf("it lacks the panic:\n%s", stack)
		}
	}
	var deep func(n int) []byte
	deep = func(n int) []byte {
		if n > 0 {
			return deep(n - 1)
		}
		return fail(helper)
	}
	if stack := string(deep(200)); !strings.Contains(stack, "doFail") || !strings.Contains(stack, "testing.tRunner") {
		t.Errorf("a deep one lacks one of its ends:\n%s", stack)
	}
}

// TestTakeDownToBase takes it in one place with a base and without one in turn: the one that was
// printed last is that of another call.
func TestTakeDownToBase(t *testing.T) {
	whole := func() []byte { return panicstack.Take(1) }
	above := func() []byte {
		return panicstack.Take(1, "no function", "github.com/protoloop/protoloop/internal/panicstack_test.base")
	}
	takes := map[bool]func() []byte{false: whole, true: above}
	for range 3 {
		for _, cut := range []bool{false, true, true, false} {
			stack := string(base(takes[cut]))
			if !strings.Contains(stack, "panicstack_test.doFail(...)\n\t") || strings.Contains(stack, "testing.tRunner") == cut ||
				strings.Contains(stack, "panicstack_test.base(...)") == cut {
				t.Fatalf("with a base: %v:\n%s", cut, stack)
			}
		}
	}
}

// base calls what fails. What it calls is not inlined: it has a defer.
func base(take func() []byte) []byte { return fail(take) }

// BenchmarkTake is a stack taken in one place, in two in turn, and by debug.Stack.
func BenchmarkTake(b *testing.B) {
	same := func() []byte { return panicstack.Take(0) }
	other := func() []byte { return panicstack.Take(0) }
	for name, takes := range map[string][2]func() []byte{
		"same": {same, same}, "changing": {same, other}, "debug": {debug.Stack, debug.Stack},
	} {
		b.Run(name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				takes[i%2]()
			}
		})
	}
}
