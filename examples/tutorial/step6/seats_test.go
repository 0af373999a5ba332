// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/supervisor"
)

// The worker, and what it asks and tells, as main has them.
func startSeats(t *testing.T, system *actor.ActorSystem) *actor.PID {
	io, err := live(system)
	if err != nil {
		t.Fatal(err)
	}
	app, err := supervisor.Start(t.Context(), system, supervisor.Spec{Name: "app", Children: []supervisor.Child{
		{Name: "prices", Props: actors.Props(prices)},
		{Name: "seats", Props: actors.Props(seats(io))},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return app.Child("seats")
}

func TestOneSeatIsSoldOnce(t *testing.T) {
	actortest.Run(t, func(t *testing.T, system *actor.ActorSystem) {
		worker := startSeats(t, system)
		start := time.Now()
		ada := Sell.Request(system.Root, worker, Reserve{"1A", "Ada"})
		bob := Sell.Request(system.Root, worker, Reserve{"1A", "Bob"})

		if got, err := ada.Wait(t.Context()); got != (Ticket{"1A", "Ada", 90}) || err != nil {
			t.Error(got, err)
		}
		if _, err := bob.Wait(t.Context()); !errors.Is(err, errTaken) {
			t.Error(err)
		}
		if took := time.Since(start); took != 100*time.Millisecond { // to the nanosecond: time is virtual
			t.Errorf("two prices at a time took %v", took)
		}
	})
}

func TestSlowPartner(t *testing.T) {
	actortest.Run(t, func(t *testing.T, system *actor.ActorSystem) {
		worker := startSeats(t, system)
		op := actortest.Go(t, func() (Ticket, error) {
			return Sell.Request(system.Root, worker, Reserve{"3C", "Dan"}).Wait(t.Context())
		})
		time.Sleep(999 * time.Millisecond)
		if !op.Blocked() {
			t.Error("it has not waited for a second")
		}
		time.Sleep(time.Millisecond)
		if _, err := op.Result(); !errors.Is(err, actors.ErrTimeout) {
			t.Error(err)
		}
	})
}
