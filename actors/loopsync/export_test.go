// SPDX-License-Identifier: Apache-2.0

package loopsync

import "reflect"

// Held is how many places of the Queue's storage are not empty.
func (q *Queue[T]) Held() (n int) {
	ring := reflect.ValueOf(&q.items.fifo).Elem().FieldByName("ring")
	for i := range ring.Len() {
		if !ring.Index(i).IsZero() {
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
