// SPDX-License-Identifier: Apache-2.0

package incidents

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// Order is to be paid, which the bank says by a message.
type Order struct{ ID int }

// Paid is the bank's message. For some orders it never comes.
type Paid struct{ ID int }

// orders waits for the payment of each order, for ever if it has to.
func orders(w *actors.Worker) error {
	unpaid := map[int]*actors.Promise[actors.None]{}
	last := 0
	actors.On(w, func(t *actors.Task, o Order) error {
		last++
		paid := new(actors.Promise[actors.None])
		unpaid[last] = paid
		t.Send(t.Sibling("bank"), Order{last})
		_, err := actors.Await(t, paid.Future())
		return err
	})
	actors.On(w, func(t *actors.Task, p Paid) error {
		unpaid[p.ID].Resolve(actors.None{})
		delete(unpaid, p.ID)
		return nil
	})
	return nil
}

// bank forgets one order of four.
func bank(w *actors.Worker) error {
	actors.On(w, func(t *actors.Task, o Order) error {
		if o.ID%4 != 0 {
			t.Send(t.Sibling("orders"), Paid(o))
		}
		return nil
	})
	return nil
}

// TaskLeak has a worker with more and more tasks that wait for what does not come.
func TaskLeak(ctx context.Context, sys *actor.ActorSystem) (*supervisor.Supervisor, error) {
	return supervisor.Start(ctx, sys, supervisor.Spec{Name: "shop", Children: []supervisor.Child{
		worker("orders", orders), worker("bank", bank),
		worker("web", func(w *actors.Worker) error {
			w.Background("visitors", func(t *actors.Task) error {
				for _, err := range t.Every(100 * time.Millisecond) {
					if err != nil {
						return err
					}
					for range 40 {
						t.Send(t.Sibling("orders"), Order{})
					}
				}
				return nil
			})
			return nil
		}),
	}})
}
