// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/protoloop/protoloop/internal/seeded"
)

var (
	graphDice = seeded.Flag("graph.seed", "TestRandomGraphs")
	graphRuns = flag.Int("graph.runs", 100, "number of graphs of TestRandomGraphs")
)

// TestRandomGraphs runs graphs of FuzzGraph's kind that follow from a seed:
// the same seed, the same bytes.
func TestRandomGraphs(t *testing.T) {
	for i, dice := range graphDice.Rounds(t, *graphRuns) {
		data := make([]byte, 3*(5+dice.IntN(100)))
		for k := range data {
			data[k] = byte(dice.Uint32())
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) { runGraph(t, data) })
	}
}
