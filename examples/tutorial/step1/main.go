// SPDX-License-Identifier: Apache-2.0

// Command step1 is the first step of docs/tutorial.md: a worker that owns the
// seats of a show.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// Reserve asks for a seat.
type Reserve struct{ Seat, For string }

// Ticket says who has which seat.
type Ticket struct{ Seat, For string }

// Sell is what the worker of the seats can be asked. A wrong type does not compile.
var Sell actors.Method[Reserve, Ticket]

var errTaken = errors.New("the seat is taken")

// seats is the setup of the worker that owns the seats.
func seats(w *actors.Worker) error {
	taken := map[string]Ticket{} // by seat; only this worker's tasks touch it
	Sell.Handle(w, func(t *actors.Task, r Reserve) (Ticket, error) {
		if _, ok := taken[r.Seat]; ok {
			return Ticket{}, fmt.Errorf("%s: %w", r.Seat, errTaken)
		}
		taken[r.Seat] = Ticket(r)
		return taken[r.Seat], nil
	})
	return nil
}

func main() {
	ctx := context.Background()
	root := actor.NewActorSystem().Root
	worker, err := actors.Spawn(ctx, root, "seats", seats, actors.Options{})
	if err != nil {
		log.Fatal(err)
	}

	// Both requests are under way before anybody waits.
	ada := Sell.Request(root, worker, Reserve{"1A", "Ada"})
	bob := Sell.Request(root, worker, Reserve{"1A", "Bob"})

	fmt.Println(ada.Wait(ctx))
	fmt.Println(bob.Wait(ctx))

	fmt.Println(actors.Stop(ctx, root, worker, time.Second))
}
