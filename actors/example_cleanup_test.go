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

// Store asks for a write.
type Store struct{ Text string }

// What is to be done as a whole, although its asker may leave in the middle of it,
// is done in a Cleanup: the asker is told at once, and the write goes on.
func ExampleTask_Cleanup() {
	ctx := context.Background()
	root := actor.NewActorSystem().Root
	begun, written := make(chan struct{}), make(chan string)
	worker, err := actors.Spawn(ctx, root, "worker", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, m Store) (string, error) {
			err := t.Cleanup(5*time.Second, func(t *actors.Task) error {
				return t.AwaitOffload(func(ctx context.Context) error {
					close(begun)
					select {
					case written <- m.Text: // a slow disk
						return nil
					case <-ctx.Done():
						return context.Cause(ctx)
					}
				})
			})
			fmt.Println("the write returned", err)
			return "stored", err
		}, actors.Exclusive()) // the next one begins when this has returned
		return nil
	}, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}

	stored := actors.RequestFuture[string](root, worker, Store{"text"})
	<-begun
	stored.Cancel()
	_, err = stored.Wait(ctx)
	fmt.Println("the asker is told:", errors.Is(err, actors.ErrCanceled))
	text := <-written
	actors.Stop(ctx, root, worker, 0)
	fmt.Println("written:", text)
	// Output:
	// the asker is told: true
	// the write returned <nil>
	// written: text
}
