// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"math"
	"slices"
)

// results has the samples of each case, by its name, in the order of the
// rounds.
type results map[string][]sample

// figures is the median of each figure on its own.
func (r results) figures(name string) sample {
	s := r[name]
	return sample{
		Wall:   medianOf(s, func(s *sample) float64 { return s.Wall }),
		CPU:    medianOf(s, func(s *sample) float64 { return s.CPU }),
		Bytes:  medianOf(s, func(s *sample) float64 { return s.Bytes }),
		Allocs: medianOf(s, func(s *sample) float64 { return s.Allocs }),
		P50:    medianOf(s, func(s *sample) float64 { return s.P50 }),
		P99:    medianOf(s, func(s *sample) float64 { return s.P99 }),
		Memory: medianOf(s, func(s *sample) float64 { return s.Memory }),
	}
}

// compare is the median of a figure of one case over that of another in the
// same round, or of how much more it is.
func (r results) compare(of, against string, f figure) float64 {
	a, b := r[of], r[against]
	if len(a) == 0 || len(b) == 0 {
		return math.NaN()
	}
	ratios := make([]float64, min(len(a), len(b)))
	for i := range ratios {
		if f.more {
			ratios[i] = f.of(&a[i]) - f.of(&b[i])
			continue
		}
		ratios[i] = f.of(&a[i]) / f.of(&b[i])
	}
	return median(ratios)
}

// measuring is how a case is measured: by spawn, but in tests.
type measuring func(name string) (sample, error)

// turns lets all cases take turns for a number of rounds. Each round begins
// with another case: what else the machine does at intervals does not always
// hit the same one. With others each is measured in the other build, too.
func (r results) turns(cases []*benchCase, rounds int, others bool, measure measuring, progress io.Writer) error {
	for round := range rounds {
		for i := range cases {
			c := cases[(i+round*len(cases)/rounds)%len(cases)]
			fmt.Fprintf(progress, "\r\x1b[Kround %d of %d: %s", round+1, rounds, c.name)
			names := []string{c.name}
			if others {
				names = append(names, c.name+ofOther)
			}
			if round%2 == 1 { // what is measured second may find the machine otherwise
				slices.Reverse(names)
			}
			for _, name := range names {
				s, err := measure(name)
				if err != nil {
					return err
				}
				r[name] = append(r[name], s)
			}
		}
	}
	return nil
}

// memory is the same for those cases, which are few and settled sooner.
func (r results) memory(cases []*memoryCase, measure measuring, progress io.Writer) error {
	for round := range memoryRounds {
		for _, c := range cases {
			if round > 0 && c.once {
				continue
			}
			fmt.Fprintf(progress, "\r\x1b[Kmemory, round %d of %d: %s", round+1, memoryRounds, c.name)
			s, err := measure(c.name)
			if err != nil {
				return err
			}
			r[c.name] = append(r[c.name], s)
		}
	}
	return nil
}

// beside is the same for those with neighbours.
func (r results) beside(cases []*neighbourCase, measure measuring, progress io.Writer) error {
	for round := range neighbourRounds {
		for _, c := range cases {
			if round > 0 && c.once() {
				continue
			}
			fmt.Fprintf(progress, "\r\x1b[Kneighbours, round %d of %d: %s", round+1, neighbourRounds, c.name)
			s, err := measure(c.name)
			if err != nil {
				return err
			}
			r[c.name] = append(r[c.name], s)
		}
	}
	return nil
}

// fair is the same for those that are asked now and then.
func (r results) fair(cases []*fairCase, measure measuring, progress io.Writer) error {
	for round := range fairRounds {
		for _, c := range cases {
			fmt.Fprintf(progress, "\r\x1b[Kfairness, round %d of %d: %s", round+1, fairRounds, c.name)
			s, err := measure(c.name)
			if err != nil {
				return err
			}
			r[c.name] = append(r[c.name], s)
		}
	}
	return nil
}
