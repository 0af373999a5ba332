// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// Reserve asks for a seat.
type Reserve struct{ Seat, For string }

// Ticket says who has which seat, and for how much.
type Ticket struct {
	Seat, For string
	Price     int
}

// Sell is what the worker of the seats can be asked. A wrong type does not compile.
var Sell actors.Method[Reserve, Ticket]

var errTaken = errors.New("the seat is taken")

// seats returns the setup of the worker that owns the seats.
func seats(pricing *actor.PID) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		taken := map[string]Ticket{} // by seat; only this worker's tasks touch it
		Sell.Handle(w, func(t *actors.Task, r Reserve) (Ticket, error) {
			price, err := Price.Ask(t, pricing, PriceOf{r.Seat}, actors.Timeout(time.Second))
			if err != nil {
				return Ticket{}, fmt.Errorf("price of %s: %w", r.Seat, err)
			}
			if _, ok := taken[r.Seat]; ok { // looked at after the await
				return Ticket{}, fmt.Errorf("%s: %w", r.Seat, errTaken)
			}
			taken[r.Seat] = Ticket{r.Seat, r.For, price}
			return taken[r.Seat], nil
		})
		return nil
	}
}
