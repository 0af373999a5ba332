// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// linesOf are lines with so many coroutines each, and the places of those.
func linesOf(dice *rand.Rand, count map[string]int) (s *Lines, at map[string][]Place) {
	s, at = &Lines{byTag: map[uint32]map[string]float64{}, count: map[string]float64{}}, map[string][]Place{}
	for line, n := range count {
		for range n {
			p := Place(dice.Uint64())
			tag := tagOf(uintptr(p))
			if s.byTag[tag] == nil {
				s.byTag[tag] = map[string]float64{}
			}
			s.byTag[tag][line]++
			s.count[line]++
			at[line] = append(at[line], p)
		}
	}
	return s, at
}

// TestLinesOfTasksThatHaveGoneOn: of the tasks that are asked for some are not in the profile, which was taken later.
func TestLinesOfTasksThatHaveGoneOn(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	s, at := linesOf(dice, map[string]int{"a.go:1": 3})
	if got := s.Take(append(at["a.go:1"], Place(dice.Uint64()))); got != "a.go:1" {
		t.Errorf("three of four tasks are at a.go:1, but the line is %q", got)
	}
	if left := s.count["a.go:1"]; left > 0.01 {
		t.Errorf("%v are left at a.go:1", left)
	}
}

// TestLinesAreTakenOff: whatever tasks are asked for, in the profile or not, no line is left with fewer than none.
func TestLinesAreTakenOff(t *testing.T) {
	for seed := range uint64(300) {
		dice := rand.New(rand.NewPCG(seed, 7))
		count := map[string]int{}
		for i := range 1 + dice.IntN(8) {
			count[fmt.Sprintf("a.go:%d", i)] = dice.IntN(1 + dice.IntN(400))
		}
		s, at := linesOf(dice, count)
		for range 10 {
			var asked []Place
			for _, line := range slices.Sorted(maps.Keys(at)) {
				if dice.IntN(3) == 0 {
					asked = append(asked, at[line][dice.IntN(len(at[line])):]...)
				}
			}
			for range dice.IntN(50) {
				asked = append(asked, Place(dice.Uint64()))
			}
			s.Take(asked)
			for line, n := range s.count {
				if n < -0.01 {
					t.Fatalf("seed %d: %v are left at %s", seed, n, line)
				}
			}
			for tag, lines := range s.byTag {
				for line, n := range lines {
					if n < 0 {
						t.Fatalf("seed %d: %v with number %d are left at %s", seed, n, tag, line)
					}
				}
			}
		}
	}
}
