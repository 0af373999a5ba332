// SPDX-License-Identifier: Apache-2.0

// Package fifo is a queue in a ring.
//
// It is for queues that may stay filled for long, where a slice from which the first item is cut
// off would move to a new array again and again. Queues of another kind are elsewhere, on purpose:
// a loop's tasks are linked through themselves, so that to queue one allocates nothing; a supervisor's
// messages come in pages, because ten thousand of them come at a time.
package fifo

// Queue is a queue of items, which grows as needed. It gives up its memory when it is empty, but for a
// little. The zero value is empty.
type Queue[T any] struct {
	ring []T // its length is a power of two, or 0
	head int
	n    int
}

// small is the length of a ring that is kept.
const small = 8

// Len is how many items there are.
func (q *Queue[T]) Len() int { return q.n }

// Room is how many items can be added before all are copied.
func (q *Queue[T]) Room() int { return len(q.ring) - q.n }

// Reserve copies all items to where there is room for as many again.
func (q *Queue[T]) Reserve() { q.grow() }

// First is the item that Pop would take. There must be one.
func (q *Queue[T]) First() *T { return &q.ring[q.head] }

// Last is the item that was added last. There must be one.
func (q *Queue[T]) Last() *T { return &q.ring[(q.head+q.n-1)&(len(q.ring)-1)] }

// Push adds an item.
func (q *Queue[T]) Push(v T) {
	if q.n == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = v
	q.n++
}

func (q *Queue[T]) grow() {
	ring := make([]T, max(small, 2*q.n))
	k := copy(ring, q.ring[q.head:])
	copy(ring[k:], q.ring[:q.head])
	q.ring, q.head = ring, 0
}

// Pop takes the first item. There must be one.
func (q *Queue[T]) Pop() T {
	var zero T
	v := q.ring[q.head]
	q.ring[q.head] = zero
	q.head = (q.head + 1) & (len(q.ring) - 1)
	if q.n--; q.n == 0 && len(q.ring) > small {
		q.ring, q.head = nil, 0
	}
	return v
}
