// SPDX-License-Identifier: Apache-2.0

package inspect_test

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
)

// What fmt.Println(inspect.System(sys)) prints while a shop waits for a bank
// whose handler blocks.
func ExampleSnapshot_String() {
	at := time.Date(2030, 2, 3, 4, 5, 6, 0, time.UTC)
	bank, shop, tax := actor.NewPID("10.0.0.1:8090", "bank"), actor.NewPID("10.0.0.1:8090", "shop"), actor.NewPID("10.0.0.2:8090", "tax")
	fmt.Println(inspect.Snapshot{At: at, Workers: []inspect.Worker{
		{PID: bank, State: "running", Incarnation: 2, Queued: 17, OldestWait: 9 * time.Second, BlockedTurns: 1,
			Counts:  actors.Counts{Offered: 31, Accepted: 30, Refused: 1, Finished: 12, Pending: 18},
			Tasks:   []inspect.Task{{Name: "bank.Charge", State: "running"}},
			Blocked: &inspect.Turn{Task: "bank.Charge", Since: at.Add(-9 * time.Second), Stack: []byte("bank.(*ledger).lock(…)\n\tledger.go:31")}},
		{PID: actor.NewPID("10.0.0.1:8090", "mail"), State: "running", Incarnation: 1},
		{PID: shop, State: "running", Incarnation: 1, Counts: actors.Counts{Offered: 2, Accepted: 2, Pending: 2},
			Tasks: []inspect.Task{
				{Name: "shop.Order", State: "awaiting", Awaits: "bank.Charge", On: bank, Age: 8 * time.Second, Budget: 22 * time.Second},
				{Name: "shop.Refund", State: "awaiting", Awaits: "tax.Rate", On: tax, Age: 150 * time.Millisecond},
			}},
	}})
	// Output:
	// 2030-02-03T04:05:06.000Z: 3 workers: 1 blocked, 0 ending, 1 with work, 1 idle
	//
	// worker  state             incarnation  queued  oldest  in flight  account
	// bank    running, blocked            2      17      9s          1  accepted 30, refused 1, finished 12, pending 18, blocked turns 1
	//     blocked for 9s, since 04:04:57.000, by bank.Charge
	//         bank.(*ledger).lock(…)
	//         	ledger.go:31
	//     bank.Charge  running  -
	// shop    running                     1       0       -          2  accepted 2, pending 2
	//     shop.Order   awaiting     8s  for bank.Charge of bank, 22s left
	//     shop.Refund  awaiting  150ms  for tax.Rate of 10.0.0.2:8090/tax
}
