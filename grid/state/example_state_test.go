// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/state"
)

// Account is what is stored of an account.
type Account struct{ Cents int64 }

// accounts is the kind, with its state in a store.
func accounts(store state.Store) grid.Kind {
	options := state.Options{Store: store, Kind: "account"}
	return grid.Kind{
		Name:    "account",
		Accepts: []grid.Message{grid.MessageOf[*wrapperspb.Int64Value](), grid.MessageOf[*emptypb.Empty]()},
		Setup: func(w *actors.Worker, id string) error {
			account, err := state.Load[Account](w, id, options)
			if err != nil {
				return err
			}
			actors.Handle(w, func(t *actors.Task, amount *wrapperspb.Int64Value) (*wrapperspb.Int64Value, error) {
				var balance int64
				err := account.Update(t, func(a *Account) error {
					if a.Cents+amount.Value < 0 {
						return fmt.Errorf("account %s has only %d", id, a.Cents)
					}
					a.Cents += amount.Value
					balance = a.Cents // others may change it before this is saved
					return nil
				})
				return wrapperspb.Int64(balance), err // the store has it
			})
			actors.Handle(w, func(t *actors.Task, _ *emptypb.Empty) (*wrapperspb.Int64Value, error) {
				balance := account.Value().Cents
				return wrapperspb.Int64(balance), account.Saved(t) // never what may be lost
			})
			return nil
		},
	}
}

// Example has two processes after one another, as it were, on one store.
func Example() {
	ctx := context.Background()
	store := new(state.Memory)
	for range 2 {
		system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
			return slog.New(slog.NewTextHandler(io.Discard, nil))
		}))
		g, err := grid.Start(ctx, system, grid.Options{Kinds: []grid.Kind{accounts(store)}})
		if err != nil {
			log.Fatal(err)
		}
		ada := g.PID("account", "ada")
		balance, err := actors.Call[*wrapperspb.Int64Value](ctx, system.Root, ada, wrapperspb.Int64(100))
		fmt.Println(balance.GetValue(), err)
		if _, err := g.Drain(ctx); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// 100 <nil>
	// 200 <nil>
}

// Cart is a state that a journal keeps: its changes are stored, and all of it after each hundred.
type Cart struct{ Items map[string]int }

// Put is such a change.
type Put struct {
	Item string
	N    int
}

// Apply is called for each change, when it is made and when the cart is loaded.
func (c *Cart) Apply(p Put) {
	if c.Items == nil {
		c.Items = map[string]int{}
	}
	c.Items[p.Item] += p.N
}

// cart is the setup of a cart.
func cart(w *actors.Worker, id string, options state.JournalOptions) error {
	cart, err := state.LoadJournal[Cart, Put](w, id, options)
	if err != nil {
		return err
	}
	actors.Handle(w, func(t *actors.Task, p Put) (int, error) {
		err := cart.Record(t, p)
		return len(cart.Value().Items), err
	})
	return nil
}

// The second version of Account had Cents, and the first had Euros.
var versions = state.Format{Migrations: []func(data []byte) ([]byte, error){
	func(data []byte) ([]byte, error) {
		var euros int64
		_, err := fmt.Sscanf(string(data), `{"Euros":%d}`, &euros)
		return fmt.Appendf(nil, `{"Cents":%d}`, 100*euros), err
	},
}}

func ExampleLoadJournal() {
	ctx := context.Background()
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}))
	options := state.JournalOptions{Options: state.Options{Store: new(state.Memory), Kind: "cart"}}
	g, err := grid.Start(ctx, system, grid.Options{Kinds: []grid.Kind{{
		Name: "cart", Accepts: []grid.Message{grid.MessageOf[Put]()}, Share: true,
		Setup: func(w *actors.Worker, id string) error { return cart(w, id, options) },
	}}})
	if err != nil {
		log.Fatal(err)
	}
	for _, item := range []string{"tea", "milk", "tea"} {
		fmt.Println(actors.Call[int](ctx, system.Root, g.PID("cart", "ada"), Put{item, 1}))
	}
	if _, err := g.Drain(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
	// 2 <nil>
}

func ExampleFormat() {
	ctx := context.Background()
	store := new(state.Memory)
	// What a program without migrations has stored:
	owner, r, err := store.Open(ctx, "account/ada")
	if err != nil {
		log.Fatal(err)
	}
	if err := owner.Save(ctx, state.Write{Token: r.Token, Seq: 1, Snapshot: []byte("\x00{\"Euros\":3}")}); err != nil {
		log.Fatal(err)
	}
	cents, err := actors.Run(ctx, func(t *actors.Task) (int64, error) {
		pid, err := actors.Spawn(ctx, t, "ada", func(w *actors.Worker) error {
			a, err := state.Load[Account](w, "ada", state.Options{Store: store, Kind: "account", Format: versions})
			actors.Handle(w, func(*actors.Task, string) (int64, error) { return a.Value().Cents, nil })
			return err
		}, actors.Options{})
		if err != nil {
			return 0, err
		}
		return actors.Ask[int64](t, pid, "cents")
	})
	fmt.Println(cents, err)
	// Output: 300 <nil>
}
