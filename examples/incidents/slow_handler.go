// SPDX-License-Identifier: Apache-2.0

package incidents

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// Add adds an item to the list.
type Add struct{ Text string }

// list saves each item, and holds up its loop for as long as that takes.
func list(w *actors.Worker) error {
	var items []string
	actors.Handle(w, func(t *actors.Task, a Add) (int, error) {
		items = append(items, a.Text)
		return len(items), save(items)
	})
	return nil
}

// save stands for a driver that takes no context, with a server that does not answer.
func save([]string) error {
	time.Sleep(slowness)
	return nil
}

var slowness = 8 * time.Second

// SlowHandler has a worker that waits in a call that is not an await, and visitors of another one that wait
// for it.
func SlowHandler(ctx context.Context, sys *actor.ActorSystem) (*supervisor.Supervisor, error) {
	return supervisor.Start(ctx, sys, supervisor.Spec{Name: "shop", Children: []supervisor.Child{
		worker("list", list),
		worker("cart", func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, a Add) (int, error) { return actors.Ask[int](t, t.Sibling("list"), a) })
			return nil
		}),
		worker("web", func(w *actors.Worker) error {
			visit(w, "cart", 4, 250*time.Millisecond, Add{"tea"}, actors.Timeout(30*time.Second))
			return nil
		}),
	}})
}
