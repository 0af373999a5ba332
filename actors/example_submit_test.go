// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

var errNoTea = errors.New("out of tea")

// Submit runs a function as a task of a worker, and returns at once. The task
// runs whether or not anybody waits for it.
func ExampleSubmit() {
	ctx := context.Background()
	root := actor.NewActorSystem().Root
	kettle, err := actors.Spawn(ctx, root, "kettle", func(w *actors.Worker) error { return nil }, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { actors.Stop(ctx, root, kettle, 0) }()

	boiled := new(actors.Promise[int]) // completed by hand, below
	tea := actors.Submit(root, kettle, func(t *actors.Task) (string, error) {
		degrees, err := actors.Await(t, boiled.Future()) // gives the loop back
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("tea of %d degrees", degrees), nil
	})
	none := actors.Submit(root, kettle, func(*actors.Task) (string, error) {
		return "", errNoTea // while the first task awaits
	})

	_, err = none.Wait(ctx)
	fmt.Println(err, errors.Is(err, errNoTea))

	_, err = tea.TryResult() // never blocks
	fmt.Println(tea.Done(), errors.Is(err, actors.ErrPending))

	boiled.Resolve(95)
	fmt.Println(tea.Wait(ctx))
	// Output:
	// out of tea true
	// false true
	// tea of 95 degrees <nil>
}
