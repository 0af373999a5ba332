// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"testing/synctest"
)

func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCrew(t)
		var out strings.Builder
		if err := failures(t.Context(), c, &out); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"error: no sale: order 7: sold out\n",
			"errors.Is(err, errSoldOut): true\n",
			"panic: runtime error: index out of range [3] with length 3\n    at example.total (failures.go:",
			"the next task returned 42.\n",
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the output lacks %q:\n%s", want, out.String())
			}
		}
		if frames := strings.Count(out.String(), "    at "); frames != 2 {
			t.Errorf("want the two frames of the example itself, have %d:\n%s", frames, out.String())
		}
	})
}

func TestOwnFrames(t *testing.T) {
	const stack = `goroutine 7 [running]:
runtime/debug.Stack()
	/go/src/runtime/debug/stack.go:26 +0x5e
github.com/protoloop/protoloop/actors.newPanicError(...)
	/src/actors/errors.go:112
panic({0x1?, 0x2?})
	/go/src/runtime/panic.go:785 +0x132
runtime.goPanicIndex(0x3, 0x3)
	/go/src/runtime/panic.go:115 +0x74
example.org/shop.(*Cart).total(0xc000012, {0x1, 0x2})
	/home/me/shop/cart.go:41 +0x1d
main.checkout.func1(...)
	/home/me/shop/main.go:12
github.com/protoloop/protoloop/actors.(*submission[...]).Run(0xc00001)
	/src/actors/call.go:30 +0x1f
main.notMine()
	/x.go:1 +0x1
created by somebody in goroutine 1
	/src/internal/coro/coro.go:1 +0x2`
	got := strings.Join(ownFrames([]byte(stack)), "; ")
	if want := "shop.(*Cart).total (cart.go:41); main.checkout.func1 (main.go:12)"; got != want {
		t.Errorf("have %s\nwant %s", got, want)
	}
	if got := ownFrames(nil); len(got) != 0 {
		t.Errorf("frames of no stack: %q", got)
	}
}
