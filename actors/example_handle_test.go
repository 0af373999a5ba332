// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// Buy asks a shop for a packet of something.
type Buy struct{ Item string }

// PriceOf asks for the price of an item.
type PriceOf struct{ Name string }

// A handler that awaits is written straight on. Others run meanwhile, one at
// a time, so that the shop's state needs no lock; but it may have changed
// after an await.
func ExampleHandle() {
	ctx := context.Background()
	root := actor.NewActorSystem().Root

	// The prices are a plain Proto.Actor actor, which takes its time for tea.
	known := make(chan struct{})
	prices := root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if m, ok := c.Message().(PriceOf); ok {
			asker := c.Sender()
			go func() {
				if m.Name == "tea" {
					<-known
				}
				root.Send(asker, len(m.Name))
			}()
		}
	}))

	shop, err := actors.Spawn(ctx, root, "shop", func(w *actors.Worker) error {
		stock := map[string]int{"tea": 1, "milk": 1} // this incarnation's
		actors.Handle(w, func(t *actors.Task, m Buy) (string, error) {
			price, err := actors.Ask[int](t, prices, PriceOf{m.Item})
			if err != nil {
				return "", fmt.Errorf("price of %s: %w", m.Item, err)
			}
			if stock[m.Item] == 0 { // looked at after the await
				return "", fmt.Errorf("out of %s", m.Item)
			}
			stock[m.Item]--
			return fmt.Sprintf("%s for %d", m.Item, price), nil
		})
		return nil
	}, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { actors.Stop(ctx, root, shop, 0) }()

	tea := actors.RequestFuture[string](root, shop, Buy{"tea"})
	milk := actors.RequestFuture[string](root, shop, Buy{"milk"})
	fmt.Println(milk.Wait(ctx)) // the later one: tea's handler awaits
	close(known)
	fmt.Println(tea.Wait(ctx))
	fmt.Println(actors.Call[string](ctx, root, shop, Buy{"tea"}))
	// Output:
	// milk for 4 <nil>
	// tea for 3 <nil>
	//  out of tea
}
