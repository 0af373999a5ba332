// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// Add asks a counter to add to its sum.
type Add struct{ N int }

// A panic in a handler reaches the asker and restarts the worker. What it was
// in the middle of fails with ErrRestarted at once; what waits in the mailbox
// goes to the new incarnation, at the same PID, whose state is fresh.
func Example_restart() {
	ctx := context.Background()
	root := actor.NewActorSystem().Root
	counter, err := actors.Spawn(ctx, root, "counter", func(w *actors.Worker) error {
		sum := 0 // a new one in each incarnation
		actors.Handle(w, func(t *actors.Task, m Add) (int, error) {
			if m.N < 0 {
				panic("negative")
			}
			sum += m.N
			return sum, nil
		})
		return nil
	}, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { actors.Stop(ctx, root, counter, 0) }()

	inHand := actors.Submit(root, counter, func(t *actors.Task) (int, error) {
		return actors.Await(t, new(actors.Promise[int]).Future()) // never comes
	})
	three := actors.RequestFuture[int](root, counter, Add{3})
	panics := actors.RequestFuture[int](root, counter, Add{-1})
	four := actors.RequestFuture[int](root, counter, Add{4})

	fmt.Println(three.Wait(ctx))
	_, err = panics.Wait(ctx)
	if p, ok := errors.AsType[*actors.PanicError](err); ok {
		fmt.Println("panic:", p.Value, "with stack:", len(p.Stack) > 0)
	}
	_, err = inHand.Wait(ctx)
	fmt.Println(errors.Is(err, actors.ErrRestarted))
	fmt.Println(four.Wait(ctx))
	// Output:
	// 3 <nil>
	// panic: negative with stack: true
	// true
	// 4 <nil>
}
