// SPDX-License-Identifier: Apache-2.0

package loopsync

// Held is how many places of the Queue's storage are not empty.
func (q *Queue[T]) Held() (n int) {
	for _, v := range q.items.ring {
		if any(v) != any(*new(T)) {
			n++
		}
	}
	return n
}
