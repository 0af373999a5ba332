// SPDX-License-Identifier: Apache-2.0

package loopsync

import "github.com/protoloop/protoloop/internal/fifo"

// storage is the items of a Queue: first in, first out, or by priority.
type storage[T any] struct {
	fifo fifo.Queue[T]
	heap *heap[T] // nil: first in, first out
}

func (s *storage[T]) n() int {
	if s.heap != nil {
		return len(s.heap.items)
	}
	return s.fifo.Len()
}

func (s *storage[T]) push(v T) {
	if s.heap != nil {
		s.heap.push(v)
	} else {
		s.fifo.Push(v)
	}
}

// pop takes the next item; there must be one.
func (s *storage[T]) pop() T {
	if s.heap != nil {
		return s.heap.pop()
	}
	return s.fifo.Pop()
}

// smallHeap is how much space a heap keeps that is empty.
const smallHeap = 8

// heap is a binary heap. Of items that are equal, the one that came first is the first
// out. It calls less before it moves anything, so that a less that panics does no harm.
type heap[T any] struct {
	less  func(a, b T) bool
	items []ranked[T]
	came  uint64 // items so far
}

// ranked is an item with its place in the order of arrival.
type ranked[T any] struct {
	v    T
	rank uint64
}

// before reports whether a comes out before b.
func (h *heap[T]) before(a, b *ranked[T]) bool {
	switch {
	case h.less(a.v, b.v):
		return true
	case a.rank > b.rank || h.less(b.v, a.v):
		return false
	}
	return true
}

func (h *heap[T]) push(v T) {
	h.came++
	x := ranked[T]{v, h.came}
	place, risen := len(h.items), 0
	for place > 0 {
		parent := (place - 1) / 2
		if !h.less(v, h.items[parent].v) { // among equals, the last to come
			break
		}
		place, risen = parent, risen+1
	}
	h.items = append(h.items, x)
	at := len(h.items) - 1
	for range risen {
		parent := (at - 1) / 2
		h.items[at] = h.items[parent]
		at = parent
	}
	h.items[at] = x
}

func (h *heap[T]) pop() T {
	last := len(h.items) - 1
	x := h.items[last]
	var room [64]int
	way := room[:0] // from the root down, what moves up
	for at := 0; ; {
		child := 2*at + 1
		if child >= last {
			break
		}
		if child+1 < last && h.before(&h.items[child+1], &h.items[child]) {
			child++
		}
		if !h.before(&h.items[child], &x) {
			break
		}
		way = append(way, child)
		at = child
	}
	v := h.items[0].v
	at := 0
	for _, child := range way {
		h.items[at] = h.items[child]
		at = child
	}
	h.items[at] = x
	h.items[last] = ranked[T]{}
	h.items = h.items[:last]
	if last == 0 && cap(h.items) > smallHeap {
		h.items = nil
	}
	return v
}
