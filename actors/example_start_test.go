// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// Start runs another task of the same worker at once, in the caller's turn,
// up to its first await.
func ExampleStart() {
	ctx := context.Background()
	root := actor.NewActorSystem().Root
	worker, err := actors.Spawn(ctx, root, "worker", func(*actors.Worker) error { return nil }, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { actors.Stop(ctx, root, worker, 0) }()

	done := actors.Submit(root, worker, func(t *actors.Task) (string, error) {
		child := actors.Start(t, func(t *actors.Task) (string, error) {
			fmt.Println("child: begins")
			err := t.Yield()
			fmt.Println("child: goes on")
			return "child's result", err
		})
		fmt.Println("parent: goes on")
		return actors.Await(t, child)
	})
	fmt.Println(done.Wait(ctx))
	// Output:
	// child: begins
	// parent: goes on
	// child: goes on
	// child's result <nil>
}
