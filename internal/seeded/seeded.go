// SPDX-License-Identifier: Apache-2.0

// Package seeded is for tests that make random choices: each can be made again,
// from the seed that a failure names.
package seeded

import (
	"flag"
	"iter"
	"math/rand/v2"
	"testing"
)

// Dice are those of one test.
type Dice struct {
	name string
	seed *uint64
}

// Flag returns the dice of a test, with a flag for their seed.
func Flag(name, test string) Dice {
	return Dice{name, flag.Uint64(name, 0, "seed of "+test+"; 0: a new one")}
}

// Seed is that of the flag, or a new one.
func (d Dice) Seed() uint64 {
	if *d.seed != 0 {
		return *d.seed
	}
	return rand.Uint64()
}

// Rounds yields the numbers of n rounds, or of a tenth of them under -short,
// and what each is to take its choices from. After a round in which t has
// failed it names that, and ends the test.
func (d Dice) Rounds(t testing.TB, n int) iter.Seq2[int, *rand.Rand] {
	return func(yield func(int, *rand.Rand) bool) {
		t.Helper()
		seed := d.Seed()
		t.Logf("-%s=%d", d.name, seed)
		if testing.Short() {
			n = (n + 9) / 10
		}
		for i := range n {
			more := yield(i, rand.New(rand.NewPCG(seed, uint64(i))))
			if t.Failed() {
				t.Fatalf("round %d of -%s=%d", i, d.name, seed)
			}
			if !more {
				return
			}
		}
	}
}
