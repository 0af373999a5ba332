// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// What blocks, a file, a database driver, a computation, goes to Offload: it
// runs on a goroutine of its own, and the worker goes on meanwhile.
func ExampleOffload() {
	ctx := context.Background()
	root := actor.NewActorSystem().Root
	worker, err := actors.Spawn(ctx, root, "worker", func(*actors.Worker) error { return nil }, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { actors.Stop(ctx, root, worker, 0) }()

	disk := make(chan string)
	read := actors.Submit(root, worker, func(t *actors.Task) (string, error) {
		return actors.Await(t, actors.Offload(t, func(ctx context.Context) (string, error) {
			select { // it blocks, but not the worker
			case s := <-disk:
				return s, nil
			case <-ctx.Done(): // the task has been ended
				return "", context.Cause(ctx)
			}
		}))
	})
	other := actors.Submit(root, worker, func(*actors.Task) (string, error) { return "the worker goes on", nil })

	fmt.Println(other.Wait(ctx))
	disk <- "what was read"
	fmt.Println(read.Wait(ctx))
	// Output:
	// the worker goes on <nil>
	// what was read <nil>
}
