// SPDX-License-Identifier: Apache-2.0

// Command step2 is the second step of docs/tutorial.md: a handler that awaits
// another worker.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

func main() {
	ctx := context.Background()
	root := actor.NewActorSystem().Root
	pricing, err := actors.Spawn(ctx, root, "prices", prices, actors.Options{})
	if err != nil {
		log.Fatal(err)
	}
	worker, err := actors.Spawn(ctx, root, "seats", seats(pricing), actors.Options{})
	if err != nil {
		log.Fatal(err)
	}

	ada := Sell.Request(root, worker, Reserve{"1A", "Ada"})
	bob := Sell.Request(root, worker, Reserve{"1A", "Bob"})
	cleo := Sell.Request(root, worker, Reserve{"2B", "Cleo"})
	dan := Sell.Request(root, worker, Reserve{"3C", "Dan"})

	fmt.Println(ada.Wait(ctx))
	fmt.Println(bob.Wait(ctx))
	fmt.Println(cleo.Wait(ctx))
	fmt.Println(dan.Wait(ctx)) // the price takes too long
}
