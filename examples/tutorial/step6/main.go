// SPDX-License-Identifier: Apache-2.0

// Command step6 is the sixth step of docs/tutorial.md: live updates in
// browsers.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer/memory"
	"github.com/protoloop/protoloop/supervisor"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	flag.Parse()

	system := actor.NewActorSystem()
	queue := memory.New(memory.Options{})
	items, err := orders(queue)
	if err != nil {
		log.Fatal(err)
	}
	io, err := live(system)
	if err != nil {
		log.Fatal(err)
	}
	report, err := supervisor.Run(context.Background(), system, supervisor.Spec{
		Name: "app", MaxRestarts: 10, Within: time.Minute,
		Children: []supervisor.Child{ // started in this order, stopped in reverse
			{Name: "prices", Props: actors.Props(prices),
				Backoff: actors.Backoff{Initial: 100 * time.Millisecond, Max: 10 * time.Second}},
			{Name: "seats", Props: actors.Props(seats(io))},
			{Name: "orders", Props: items.Props(),
				Backoff: actors.Backoff{Initial: 100 * time.Millisecond, Max: 10 * time.Second}},
			{Name: "web", Props: actors.Props(serve(*addr, web(system.Root, system.NewLocalPID("app/seats"), queue, io)))},
			{Name: "live", Props: io.Props()}, // stopped first: web would wait for its clients
		},
	}, nil)
	fmt.Println(report)
	if err != nil {
		log.Fatal(err)
	}
}
