// SPDX-License-Identifier: Apache-2.0

package inspect_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
)

// Who waits for whom? System tells, without asking the workers.
func ExampleSystem() {
	ctx := context.Background()
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))

	type Charge struct{ Cents int }
	type Order struct{ Cents int }
	reached := make(chan struct{})
	paid := new(actors.Promise[string]) // an answer that does not come
	bank, err := actors.Spawn(ctx, sys.Root, "bank", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, c Charge) (string, error) {
			close(reached)
			return actors.Await(t, paid.Future())
		})
		return nil
	}, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	shop, err := actors.Spawn(ctx, sys.Root, "shop", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, o Order) (string, error) {
			return actors.Ask[string](t, bank, Charge(o))
		})
		return nil
	}, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	sold := actors.RequestFuture[string](sys.Root, shop, Order{990})
	<-reached
	settle(sys)

	for _, w := range inspect.System(sys).Workers {
		for _, task := range w.Tasks {
			fmt.Printf("%s: %s is %s: %s", w.PID.Id, task.Name, task.State, task.Awaits)
			if task.On != nil {
				fmt.Printf(" of %s", task.On.Id)
			}
			fmt.Println()
		}
	}
	paid.Resolve("receipt 1")
	fmt.Println(sold.Wait(ctx))
	// Output:
	// bank: inspect_test.Charge is awaiting: promise
	// shop: inspect_test.Order is awaiting: inspect_test.Charge of bank
	// receipt 1 <nil>
}

// settle waits until all tasks await something: an example has no bubble in
// which everything comes to rest by itself.
func settle(sys *actor.ActorSystem) {
	for {
		busy := false
		for _, w := range inspect.System(sys).Workers {
			busy = busy || len(w.Tasks) == 0
			for _, task := range w.Tasks {
				busy = busy || task.State != "awaiting" || task.Awaits == ""
			}
		}
		if !busy {
			return
		}
	}
}
