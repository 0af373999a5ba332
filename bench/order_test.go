// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"slices"
	"testing"
)

var orderRounds = flag.Int("orders.rounds", 24, "how many `rounds` of 1,000 orders TestOrdersKeepTheHeapFlat places")

// TestOrdersKeepTheHeapFlat places orders for few accounts, each of which has
// soon as many receipts as it keeps. From there on an order must leave nothing
// behind: not in the loops, the clocks, the caller's context or the futures.
func TestOrdersKeepTheHeapFlat(t *testing.T) {
	const accounts = 8
	e := newEnv()
	defer func() {
		if err := e.close(); err != nil {
			t.Error("close:", err)
		}
	}()
	s, err := newWorkerShop(e, orderGateway{})
	if err != nil {
		t.Fatal(err)
	}
	place := orders(e, s, orderLoad{accounts, ordersInFlight})
	live := make([]float64, *orderRounds)
	for i := range live {
		if _, err := place(ordersInFlight); err != nil {
			t.Fatal(err)
		}
		e.latencies = nil
		live[i] = liveHeap()
	}
	// The pools grow to the widest burst, which chance decides: a step of some 400 kB at a time, up to what all in flight need.
	// What each order leaves is seen between two rounds as a rule, and what grows by steps of its own in a soak.
	const step = 1 << 20
	third := len(live) / 3
	var grown []float64
	for i := third; i+1 < len(live); i++ {
		grown = append(grown, (live[i+1]-live[i])/ordersInFlight)
	}
	slices.Sort(grown)
	if each := grown[len(grown)/2]; each > 40 {
		t.Errorf("%.0f bytes an order stay: the live heap of each round is %.0f", each, live)
	}
	first, last := slices.Min(live[third:2*third]), slices.Min(live[2*third:])
	t.Logf("live heap %.0f bytes in the second third of the rounds, %.0f in the last, %.0f an order from round to round", first, last, grown[len(grown)/2])
	if each := (last - first - step) / float64(third*ordersInFlight); each > 40 {
		t.Errorf("%.0f bytes an order stay from one third of the rounds to the next: the live heap of each round is %.0f", each, live)
	}
}
