// SPDX-License-Identifier: Apache-2.0

package pgstate

// Waiting is how many saves wait to be sent.
func (s *Store) Waiting() int {
	s.saves.mu.Lock()
	defer s.saves.mu.Unlock()
	return len(s.saves.waiting)
}

// MaxBatch and MaxInFlight are those of saves.
const (
	MaxBatch    = maxBatch
	MaxInFlight = maxInFlight
)
