// SPDX-License-Identifier: Apache-2.0

package seeded

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

var testDice = Flag("dice.seed", "package seeded")

// recorder is a test that fails in one of its rounds.
type recorder struct {
	testing.TB
	failed bool
	said   []string
}

func (r *recorder) Helper()                        {}
func (r *recorder) Failed() bool                   { return r.failed }
func (r *recorder) Logf(format string, a ...any)   { r.said = append(r.said, fmt.Sprintf(format, a...)) }
func (r *recorder) Fatalf(format string, a ...any) { r.Logf(format, a...); panic(r) }

// roll runs rounds of a test that fails in round bad.
func roll(r *recorder, n, bad int) (got []uint64) {
	defer func() {
		if p := recover(); p != nil && p != any(r) {
			panic(p)
		}
	}()
	for i, dice := range testDice.Rounds(r, n) {
		got = append(got, dice.Uint64())
		r.failed = i == bad
	}
	return got
}

func TestRounds(t *testing.T) {
	if err := flag.Set("dice.seed", "7"); err != nil {
		t.Fatal(err)
	}
	defer flag.Set("dice.seed", "0")
	r := &recorder{}
	all := roll(r, 10, -1)
	if want := map[bool]int{true: 1, false: 10}[testing.Short()]; len(all) != want {
		t.Errorf("%d rounds, want %d", len(all), want)
	}
	for i, got := range all {
		if want := rand.New(rand.NewPCG(7, uint64(i))).Uint64(); got != want {
			t.Errorf("round %d: got %d, want %d", i, got, want)
		}
	}
	if !slices.Equal(r.said, []string{"-dice.seed=7"}) {
		t.Errorf("it said %q", r.said)
	}
	r = &recorder{}
	roll(r, 100, 3)
	if !slices.Equal(r.said, []string{"-dice.seed=7", "round 3 of -dice.seed=7"}) {
		t.Errorf("a failure said %q", r.said)
	}
}

func TestRoundsOfANewSeed(t *testing.T) {
	one, two := roll(&recorder{}, 1, -1), roll(&recorder{}, 1, -1)
	if slices.Equal(one, two) {
		t.Errorf("the same choices twice: %d", one)
	}
	for range testDice.Rounds(t, 10) {
		break
	}
}
