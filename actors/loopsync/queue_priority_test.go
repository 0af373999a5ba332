// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/internal/seeded"
	"github.com/protoloop/protoloop/internal/testtools"
)

func less(a, b int) bool { return a < b }

// ranked is an item whose priority is not all there is of it.
type ranked struct{ rank, number int }

func lessRanked(a, b ranked) bool { return a.rank < b.rank }

var priorityDice = seeded.Flag("priority.seed", "TestPriorityQueueIsStable")

// TestPriorityQueueIsStable compares a queue with a list that is sorted anew for each
// item.
func TestPriorityQueueIsStable(t *testing.T) {
	for _, dice := range priorityDice.Rounds(t, 200) {
		q := loopsync.NewPriorityQueue(0, lessRanked)
		var model []ranked
		for n := range 200 {
			if dice.IntN(5) < 3 {
				v := ranked{dice.IntN(1 + dice.IntN(20)), n}
				q.TryPut(v)
				model = append(model, v)
				slices.SortStableFunc(model, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
				continue
			}
			v, ok := q.TryGet()
			if ok != (len(model) > 0) || ok && v != model[0] {
				t.Fatalf("got %v, %v of %v", v, ok, model)
			}
			model = model[min(1, len(model)):]
		}
		if left := q.CloseNow(); !slices.Equal(left, model) {
			t.Fatalf("left %v, want %v", left, model)
		}
	}
}

func TestPriorityQueueServesInOrder(t *testing.T) {
	run(t, func(b *bench) {
		q := loopsync.NewPriorityQueue(2, less)
		for _, v := range []int{5, 3, 4, 1} {
			b.putter(q, v)
		}
		b.heard("put 5", "put 3")
		b.getter(q, "a")
		b.heard("a got 3", "put 4")
		b.getter(q, "b")
		b.getter(q, "c")
		b.getter(q, "d")
		b.heard("b got 4", "put 1", "c got 1", "d got 5")
		b.getter(q, "e")
		b.getter(q, "f")
		b.do(func(*actors.Task) error { q.TryPut(2); q.TryPut(1); return nil })
		b.heard("e got 1", "f got 2")
	})
}

// A less that panics does no harm to the items, nor to those in line.
func TestPriorityQueueLessPanics(t *testing.T) {
	run(t, func(b *bench) {
		var bad bool
		q := loopsync.NewPriorityQueue(0, func(x, y int) bool {
			if bad {
				panic("less")
			}
			return x < y
		})
		for i := range 20 {
			q.TryPut(rand.IntN(100)*20 + i)
		}
		bad = true
		for range 10 {
			testtools.WantPanic(b, func() { q.TryPut(1) }, "less")
			testtools.WantPanic(b, func() { q.TryGet() }, "less")
		}
		bad = false
		if q.Len() != 20 {
			b.Errorf("%d items", q.Len())
		}
		if all := drain(q); !slices.IsSorted(all) || len(all) != 20 {
			b.Errorf("left: %v", all)
		}
	})
}

func TestPriorityQueueLetsGoOfItsItems(t *testing.T) {
	run(t, func(b *bench) {
		q := loopsync.NewPriorityQueue(0, func(x, y *int) bool { return *x < *y })
		for i := range 50 {
			q.TryPut(&i)
			if i%3 == 0 {
				q.TryGet()
			}
		}
		for _, ok := q.TryGet(); ok; _, ok = q.TryGet() {
		}
		if held := q.Held(); held != 0 {
			b.Errorf("%d items are held", held)
		}
	})
}

func TestPriorityQueueMisuse(t *testing.T) {
	run(t, func(b *bench) {
		testtools.WantPanic(b, func() { loopsync.NewPriorityQueue[int](0, nil) }, "loopsync: NewPriorityQueue: less is nil")
	})
}
