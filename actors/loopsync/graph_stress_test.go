package loopsync_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
)

var (
	graphSeed = flag.Uint64("graph.seed", 0, "seed of TestRandomGraphs; 0: a new one")
	graphRuns = flag.Int("graph.runs", 100, "number of graphs of TestRandomGraphs")
)

// TestRandomGraphs runs graphs of FuzzGraph's kind that follow from a seed:
// the same seed, the same bytes.
func TestRandomGraphs(t *testing.T) {
	seed := *graphSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-graph.seed=%d", seed)
	for i := range *graphRuns {
		dice := rand.New(rand.NewPCG(seed, uint64(i)))
		data := make([]byte, 3*(5+dice.IntN(100)))
		for k := range data {
			data[k] = byte(dice.Uint32())
		}
		if !t.Run(fmt.Sprint(i), func(t *testing.T) { runGraph(t, data) }) {
			t.Fatalf("graph %d of -graph.seed=%d", i, seed)
		}
	}
}
