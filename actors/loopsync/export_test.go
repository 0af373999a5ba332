// SPDX-License-Identifier: Apache-2.0

package loopsync

// Held is how many places of the Queue's storage are not empty.
func (q *Queue[T]) Held() (n int) {
	for _, v := range q.items.fifo.ring {
		if any(v) != any(*new(T)) {
			n++
		}
	}
	if q.items.heap != nil {
		all := q.items.heap.items
		for _, x := range all[:cap(all)] {
			if any(x.v) != any(*new(T)) {
				n++
			}
		}
	}
	return n
}
