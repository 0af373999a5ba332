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

// Lookup asks for an entry.
type Lookup struct{ Key string }

// A Timeout is a budget of the work. What a task asks of others has what is
// left of its own budget, however long a Timeout it names: when the customer
// gives up, so does everybody who works for it.
func ExampleTimeout() {
	ctx := context.Background()
	root := actor.NewActorSystem().Root
	gaveUp := make(chan error, 1)
	store, err := actors.Spawn(ctx, root, "store", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, m Lookup) (string, error) {
			_, err := actors.Await(t, new(actors.Promise[string]).Future()) // never comes
			gaveUp <- context.Cause(t.Context())
			return "", err
		})
		return nil
	}, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { actors.Stop(ctx, root, store, 0) }()
	front, err := actors.Spawn(ctx, root, "front", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, m Lookup) (string, error) {
			return actors.Ask[string](t, store, m, actors.Timeout(time.Hour))
		})
		return nil
	}, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { actors.Stop(ctx, root, front, 0) }()

	asked := actors.RequestFuture[string](root, front, Lookup{"tea"}, actors.Timeout(10*time.Millisecond))
	_, err = asked.Wait(ctx)
	fmt.Println(errors.Is(err, actors.ErrTimeout), errors.Is(err, context.DeadlineExceeded))
	fmt.Println("the store gave up:", <-gaveUp)
	// Output:
	// true true
	// the store gave up: actors: timeout
}
