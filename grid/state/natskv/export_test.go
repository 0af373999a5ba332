// SPDX-License-Identifier: Apache-2.0

package natskv

// CountPending is how many started saves are on their way.
func (s *Store) CountPending() int {
	s.started.mu.Lock()
	defer s.started.mu.Unlock()
	if (s.started.oldest == nil) != (len(s.started.pending) == 0) {
		panic("the list and the map differ")
	}
	return len(s.started.pending)
}

// NewReadAck returns the function that reads the acknowledgements of a store.
func NewReadAck() func(data []byte) uint64 { return new(startedSaves).readAck }
