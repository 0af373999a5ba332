// SPDX-License-Identifier: Apache-2.0

package remind_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer/memory"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/remind"
	"github.com/protoloop/protoloop/supervisor"
)

type (
	// put is the item that is put into a cart.
	put = *wrapperspb.StringValue
	// forgotten is what a cart is sent that nobody has looked at for a while.
	forgotten = *emptypb.Empty
)

// cart is the setup of a cart. Each put sets the reminder anew; the pay that ends it is left out here.
func cart(w *actors.Worker, id string, reminders *remind.Reminders, after time.Duration) error {
	actors.On(w, func(t *actors.Task, item put) error {
		return t.AwaitOffload(func(ctx context.Context) error {
			return reminders.Set(ctx, remind.Reminder{
				Kind: "cart", ID: id, Name: "forgotten", At: time.Now().Add(after), Message: &emptypb.Empty{},
			})
		})
	})
	actors.On(w, func(t *actors.Task, _ forgotten) error {
		fmt.Println("mail to", id)
		return nil // what returns an error is sent again
	})
	return nil
}

// startCarts starts a grid with carts, and what reminds them.
func startCarts(ctx context.Context, system *actor.ActorSystem, store remind.Store) (*grid.Grid, *supervisor.Supervisor, error) {
	set, err := remind.New(remind.Options{Store: store}) // without a grid it delivers nothing, and carts can have it from the start
	if err != nil {
		return nil, nil, err
	}
	g, err := grid.Start(ctx, system, grid.Options{Kinds: []grid.Kind{{
		Name:    "cart",
		Accepts: []grid.Message{grid.MessageOf[put](), grid.MessageOf[forgotten]()},
		Setup:   func(w *actors.Worker, id string) error { return cart(w, id, set, 10*time.Millisecond) },
	}}})
	if err != nil {
		return nil, nil, err
	}
	deliver, err := remind.New(remind.Options{Store: store, Grid: g})
	if err != nil {
		return nil, nil, err
	}
	s, err := supervisor.Start(ctx, system, supervisor.Spec{Name: "app", MaxRestarts: 10, Children: []supervisor.Child{
		{Name: "grid", Props: g.Props()},
		{Name: "reminders", Props: deliver.Props(), Backoff: actors.Backoff{Initial: time.Second, Max: 30 * time.Second}},
	}})
	return g, s, err
}

func Example() {
	ctx := context.Background()
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}))
	store := remind.NewMemory(memory.Options{}) // of one process; reminders.New(nc, …) outlives it
	g, s, err := startCarts(ctx, system, store)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := actors.Call[actors.None](ctx, system.Root, g.PID("cart", "ada"), wrapperspb.String("tea")); err != nil {
		log.Fatal(err)
	}
	for left := 1; left > 0; time.Sleep(time.Millisecond) {
		all, err := store.List(ctx, "cart", "ada")
		if err != nil {
			log.Fatal(err)
		}
		left = len(all)
	}
	if _, err := s.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: mail to ada
}
