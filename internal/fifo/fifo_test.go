// SPDX-License-Identifier: Apache-2.0

package fifo

import (
	"math/rand/v2"
	"testing"
)

// TestQueue pushes and pops at random, more of the one and then more of the other.
func TestQueue(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var q Queue[*int]
	var want []*int
	for i := range 20_000 {
		if more := i/1000%2 == 0; len(want) == 0 || (rnd.IntN(3) > 0) == more {
			v := new(int)
			q.Push(v)
			want = append(want, v)
		} else {
			if got := q.Pop(); got != want[0] {
				t.Fatalf("step %d: not the first of %d", i, len(want))
			}
			want = want[1:]
		}
		if q.Len() != len(want) {
			t.Fatalf("step %d: %d items, want %d", i, q.Len(), len(want))
		}
		if n := len(q.ring); n&(n-1) != 0 || len(want) == 0 && n > small {
			t.Fatalf("step %d: a ring of %d for %d items", i, n, len(want))
		}
	}
	for q.Len() > 0 {
		q.Pop()
	}
	for _, v := range q.ring {
		if v != nil {
			t.Error("it keeps what was taken")
		}
	}
}

// BenchmarkQueue is one item in and one out, of many.
func BenchmarkQueue(b *testing.B) {
	var q Queue[*int]
	for range 1000 {
		q.Push(nil)
	}
	for b.Loop() {
		q.Push(nil)
		q.Pop()
	}
}
