// SPDX-License-Identifier: Apache-2.0

package incidents

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// PriceOf asks for the price of an item, which depends on how many there are.
type PriceOf struct{ Item string }

// WorthOf asks what the stock of an item is worth, which depends on its price.
type WorthOf struct{ Item string }

// prices loads each price once, however many ask for it.
func prices(w *actors.Worker) error {
	loading := map[string]*actors.Future[int]{}
	actors.Handle(w, func(t *actors.Task, p PriceOf) (int, error) {
		if f, ok := loading[p.Item]; ok {
			return actors.Await(t, f)
		}
		f := actors.Start(t, func(t *actors.Task) (int, error) {
			return actors.Ask[int](t, t.Sibling("stock"), WorthOf(p))
		}, actors.Name("load price"), actors.Detached()) // it is not the first visitor's alone
		loading[p.Item] = f
		return actors.Await(t, f)
	})
	return nil
}

// stock asks for the price: it waits for the load that waits for it.
func stock(w *actors.Worker) error {
	actors.Handle(w, func(t *actors.Task, s WorthOf) (int, error) {
		price, err := actors.Ask[int](t, t.Sibling("prices"), PriceOf(s))
		return 12 * price, err
	})
	return nil
}

// Deadlock has two workers that wait for each other, and visitors that wait for them.
func Deadlock(ctx context.Context, sys *actor.ActorSystem) (*supervisor.Supervisor, error) {
	return supervisor.Start(ctx, sys, supervisor.Spec{Name: "shop", Children: []supervisor.Child{
		worker("prices", prices), worker("stock", stock),
		worker("web", func(w *actors.Worker) error {
			visit(w, "prices", 1, 200*time.Millisecond, PriceOf{"tea"}, actors.Timeout(20*time.Second))
			return nil
		}),
	}})
}
