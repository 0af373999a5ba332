// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// Withdraw takes money from an account.
type Withdraw struct{ Amount int }

// While an Exclusive handler awaits, no other message starts and no other
// task goes on: what it has looked at before the await still holds after it.
func ExampleExclusive() {
	ctx := context.Background()
	root := actor.NewActorSystem().Root
	checked := new(actors.Promise[bool])
	account, err := actors.Spawn(ctx, root, "account", func(w *actors.Worker) error {
		balance := 100
		actors.Handle(w, func(t *actors.Task, m Withdraw) (int, error) {
			if m.Amount > balance {
				return 0, fmt.Errorf("there are only %d", balance)
			}
			if _, err := actors.Await(t, checked.Future()); err != nil {
				return 0, err
			}
			balance -= m.Amount // still enough
			return balance, nil
		}, actors.Exclusive())
		return nil
	}, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { actors.Stop(ctx, root, account, 0) }()

	first := actors.RequestFuture[int](root, account, Withdraw{80})
	second := actors.RequestFuture[int](root, account, Withdraw{80})
	checked.Resolve(true)
	fmt.Println(first.Wait(ctx))
	fmt.Println(second.Wait(ctx))
	// Output:
	// 20 <nil>
	// 0 there are only 20
}
