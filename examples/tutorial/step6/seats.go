// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

// Reserve asks for a seat.
type Reserve struct{ Seat, For string }

// Ticket says who has which seat, and for how much.
type Ticket struct {
	Seat, For string
	Price     int
}

// Sold asks for all tickets that were sold.
type Sold struct{}

// What the worker of the seats can be asked.
var (
	Sell   actors.Method[Reserve, Ticket]
	Report actors.Method[Sold, []Ticket]
)

var errTaken = errors.New("the seat is taken")

// seats returns the setup of the worker that owns the seats.
func seats(io *socketio.Server) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		taken := map[string]Ticket{} // by seat; only this worker's tasks touch it
		Sell.Handle(w, func(t *actors.Task, r Reserve) (Ticket, error) {
			price, err := Price.Ask(t, t.Sibling("prices"), PriceOf{r.Seat}, actors.Timeout(time.Second))
			if err != nil {
				return Ticket{}, fmt.Errorf("price of %s: %w", r.Seat, err)
			}
			if old, ok := taken[r.Seat]; ok { // looked at after the await
				if old.For == r.For {
					return old, nil // asked for again: the same answer
				}
				return Ticket{}, fmt.Errorf("%s: %w", r.Seat, errTaken)
			}
			taken[r.Seat] = Ticket{r.Seat, r.For, price}
			io.Emit("sold", taken[r.Seat]) // to all browsers; it waits for none
			return taken[r.Seat], nil
		})
		Report.Handle(w, func(*actors.Task, Sold) ([]Ticket, error) {
			return slices.SortedFunc(maps.Values(taken), func(a, b Ticket) int { return strings.Compare(a.Seat, b.Seat) }), nil
		})
		return nil
	}
}
