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
	// The pools grow to the widest burst, which chance decides, and never
	// further; 40 bytes an order would be seen.
	third := len(live) / 3
	first, last := slices.Min(live[third:2*third]), slices.Min(live[2*third:])
	t.Logf("live heap %.0f bytes in the second third of the rounds, %.0f in the last", first, last)
	if grown := (last - first) / float64(third*ordersInFlight); grown > 40 {
		t.Errorf("%.0f bytes an order stay: the live heap of each round is %.0f", grown, live)
	}
}
