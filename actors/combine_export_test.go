// SPDX-License-Identifier: Apache-2.0

package actors

// Waiting is how many wait for f, by a callback or in an await.
func Waiting[T any](f *Future[T]) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := f.waits; w != nil; w = w.next {
		n++
	}
	return n
}
