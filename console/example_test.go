// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/console"
	"github.com/protoloop/protoloop/supervisor"
)

func list(*actors.Worker) error { return nil }

// startShop starts the console with the workers that it shows.
func startShop(ctx context.Context, sys *actor.ActorSystem) (*supervisor.Supervisor, error) {
	c, err := console.New(sys, console.Options{})
	if err != nil {
		return nil, err
	}
	return supervisor.Start(ctx, sys, supervisor.Spec{
		Name: "shop", MaxRestarts: 5, Within: time.Minute,
		Children: []supervisor.Child{
			{Name: "console", Props: actors.Props(c.Setup)}, // the first to start is the last to stop
			{Name: "list", Props: actors.Props(list)},
		},
	})
}

// The console is a worker like others.
func Example() {
	ctx := context.Background()
	shop, err := startShop(ctx, actor.NewActorSystem())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(shop.Child("console").Id)
	if _, err := shop.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: shop/console
}
