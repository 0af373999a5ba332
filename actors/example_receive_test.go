// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// Receive waits for a channel without holding up the worker: a bridge to code
// that knows nothing of actors.
func ExampleReceive() {
	ctx := context.Background()
	root := actor.NewActorSystem().Root
	worker, err := actors.Spawn(ctx, root, "worker", func(*actors.Worker) error { return nil }, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { actors.Stop(ctx, root, worker, 0) }()

	lines := make(chan string)
	read := actors.Submit(root, worker, func(t *actors.Task) (n int, err error) {
		for {
			line, ok, err := actors.Receive(t, lines)
			if err != nil || !ok { // the task was ended, or lines closed
				return n, err
			}
			fmt.Println("read", line)
			n++
		}
	})

	lines <- "one"
	lines <- "two"
	close(lines)
	fmt.Println(read.Wait(ctx))
	// Output:
	// read one
	// read two
	// 2 <nil>
}
