// SPDX-License-Identifier: Apache-2.0

package loopsync

// fifo is a ring of n items that grows. It shrinks when it is empty.
type fifo[T any] struct {
	ring []T
	head int
	n    int
}

const smallRing = 8

func (f *fifo[T]) push(v T) {
	if f.n == len(f.ring) {
		ring := make([]T, max(smallRing, 2*f.n))
		k := copy(ring, f.ring[f.head:])
		copy(ring[k:], f.ring[:f.head])
		f.ring, f.head = ring, 0
	}
	f.ring[(f.head+f.n)%len(f.ring)] = v
	f.n++
}

// pop takes the first item; there must be one.
func (f *fifo[T]) pop() T {
	var zero T
	v := f.ring[f.head]
	f.ring[f.head] = zero
	f.head = (f.head + 1) % len(f.ring)
	f.n--
	if f.n == 0 && len(f.ring) > smallRing {
		f.ring, f.head = nil, 0
	}
	return v
}
