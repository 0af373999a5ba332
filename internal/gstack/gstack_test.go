// SPDX-License-Identifier: Apache-2.0

package gstack_test

import (
	"runtime"
	"testing"

	"github.com/protoloop/protoloop/internal/gstack"
)

func onGoroutine(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// descend calls f with n frames of at least 1,024 bytes on the stack.
//
//go:noinline
func descend(n int, f func()) (sum byte) {
	var room [1024]byte
	room[n%len(room)] = 1
	if n == 0 {
		f()
	} else {
		sum = descend(n-1, f)
	}
	return sum + room[(n+1)%len(room)]
}

// TestUsed: also after the stack has moved, to a larger place and to a smaller
// one.
func TestUsed(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("not known")
	}
	onGoroutine(func() {
		used := func() uintptr { _, used := gstack.Here(); return used }
		want := func(what string, min, max uintptr) {
			if n := used(); n < min || n > max {
				t.Errorf("%s: %d bytes are used, want %d to %d", what, n, min, max)
			}
		}
		want("at first", 16, 4096)
		descend(1000, func() {
			want("1,000 frames deep", 1000*1024, 1200*1024)
			runtime.GC()
			want("after a collection", 1000*1024, 1200*1024)
		})
		runtime.GC()
		want("at last", 16, 4096)
	})
}

func TestID(t *testing.T) {
	id, _ := gstack.Here()
	descend(1000, func() {
		if again, _ := gstack.Here(); again != id {
			t.Errorf("the same goroutine is %x and %x", id, again)
		}
	})
	onGoroutine(func() {
		if other, _ := gstack.Here(); other == id {
			t.Errorf("two goroutines are %x", id)
		}
	})
}
