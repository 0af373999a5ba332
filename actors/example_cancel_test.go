// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// Cancel ends the work, not only the waiting for it: each await of the task,
// and of what it has started, returns ErrCanceled. Cleanup is for deferred
// code that has to await nevertheless.
func ExampleFuture_Cancel() {
	ctx := context.Background()
	root := actor.NewActorSystem().Root
	worker, err := actors.Spawn(ctx, root, "worker", func(*actors.Worker) error { return nil }, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}

	begun := make(chan struct{})
	copied := actors.Submit(root, worker, func(t *actors.Task) (string, error) {
		defer t.Cleanup(time.Second, func(t *actors.Task) error {
			fmt.Println("cleaning up:", t.Sleep(time.Microsecond))
			return nil
		})
		part := actors.Start(t, func(t *actors.Task) (string, error) {
			close(begun)
			err := t.Sleep(time.Hour)
			fmt.Println("part:", err)
			return "", err
		})
		_, err := actors.Await(t, part)
		fmt.Println("copy:", err)
		return "", err
	}, actors.Name("copy"))

	<-begun
	fmt.Println(copied.Cancel(), copied.Cancel()) // the second one finds it done
	_, err = copied.Wait(ctx)
	fmt.Println(errors.Is(err, actors.ErrCanceled), errors.Is(err, context.Canceled))

	account, err := actors.Stop(ctx, root, worker, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("canceled:", account.Canceled)
	// Unordered output:
	// true false
	// true true
	// part: actors: canceled
	// copy: actors: canceled
	// cleaning up: <nil>
	// canceled: 1
}
