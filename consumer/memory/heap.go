// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"container/heap"
	"time"
)

// entry is an item's place in one of the queue's heaps. It is not moved when
// the item is: an item is entered anew, and an old entry is skipped.
type entry struct {
	it *item
	n  int       // of the item's entries, which one
	at time.Time // when it was to be visible
}

// stale reports whether the item has been entered elsewhere since, or has
// left.
func (e entry) stale() bool { return e.it.gone || e.it.entries != e.n }

// entries is a heap.
type entries struct{ h heapOf }

type heapOf struct {
	all  []entry
	less func(a, b entry) bool
}

func (h *heapOf) Len() int           { return len(h.all) }
func (h *heapOf) Less(i, j int) bool { return h.less(h.all[i], h.all[j]) }
func (h *heapOf) Swap(i, j int)      { h.all[i], h.all[j] = h.all[j], h.all[i] }
func (h *heapOf) Push(x any)         { h.all = append(h.all, x.(entry)) }
func (h *heapOf) Pop() any {
	last := h.all[len(h.all)-1]
	h.all[len(h.all)-1] = entry{}
	h.all = h.all[:len(h.all)-1]
	return last
}

func (s *entries) push(it *item) {
	it.entries++
	heap.Push(&s.h, entry{it, it.entries, it.visibleAt})
}

func (s *entries) pop() *item { return heap.Pop(&s.h).(entry).it }

// first returns the first item whose entry is not stale, or nil.
func (s *entries) first() *item {
	for len(s.h.all) > 0 {
		if e := s.h.all[0]; !e.stale() {
			return e.it
		}
		heap.Pop(&s.h)
	}
	return nil
}
