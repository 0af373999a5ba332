// SPDX-License-Identifier: Apache-2.0

package seeded

import (
	"flag"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/protoloop/protoloop/internal/testtools"
)

var testDice = Flag("dice.seed", "package seeded")

// roll runs rounds of a test that fails in round bad.
func roll(n, bad int) (got []uint64, f *testtools.FakeTB) {
	f = testtools.RunFake(func(f *testtools.FakeTB) {
		for i, dice := range testDice.Rounds(f, n) {
			got = append(got, dice.Uint64())
			if i == bad {
				f.Errorf("bad")
			}
		}
	})
	return got, f
}

func TestRounds(t *testing.T) {
	if err := flag.Set("dice.seed", "7"); err != nil {
		t.Fatal(err)
	}
	defer flag.Set("dice.seed", "0")
	all, f := roll(10, -1)
	if want := map[bool]int{true: 1, false: 10}[testing.Short()]; len(all) != want {
		t.Errorf("%d rounds, want %d", len(all), want)
	}
	for i, got := range all {
		if want := rand.New(rand.NewPCG(7, uint64(i))).Uint64(); got != want {
			t.Errorf("round %d: got %d, want %d", i, got, want)
		}
	}
	if !slices.Equal(f.Logs, []string{"-dice.seed=7"}) || f.Failed() {
		t.Errorf("it said %q, and failed with %q", f.Logs, f.Errors)
	}
	if _, f = roll(100, 3); !slices.Equal(f.Errors, []string{"bad", "round 3 of -dice.seed=7"}) {
		t.Errorf("a failure said %q", f.Errors)
	}
}

func TestRoundsOfANewSeed(t *testing.T) {
	one, _ := roll(1, -1)
	two, _ := roll(1, -1)
	if slices.Equal(one, two) {
		t.Errorf("the same choices twice: %d", one)
	}
	for range testDice.Rounds(t, 10) {
		break
	}
}
