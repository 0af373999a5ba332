// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

func ExampleTask_After() {
	inTask(func(t *actors.Task) error {
		tea := t.After(time.Millisecond, func(t *actors.Task) error {
			fmt.Println("the tea is ready")
			return nil
		})
		reminder := t.After(time.Hour, func(t *actors.Task) error {
			fmt.Println("the tea is cold")
			return nil
		})
		err := t.Await(tea)
		reminder.Cancel()
		fmt.Println(err, t.Await(reminder))
		return nil
	})
	// Output:
	// the tea is ready
	// <nil> actors: canceled
}

// Something to do again and again for as long as the worker lives.
func ExampleTask_Every() {
	ctx := context.Background()
	root := actor.NewActorSystem(actor.WithLoggerFactory(silent)).Root
	enough := make(chan struct{})
	swept := 0
	worker, err := actors.Spawn(ctx, root, "worker", func(w *actors.Worker) error {
		w.Background("sweep", func(t *actors.Task) error {
			for _, err := range t.Every(time.Millisecond) {
				if err != nil {
					fmt.Println(err)
					return err // that is no failure
				}
				if swept++; swept == 3 {
					close(enough)
				}
			}
			return nil
		})
		return nil
	}, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-enough
	_, err = actors.Stop(ctx, root, worker, time.Minute)
	fmt.Println(swept >= 3, err)
	// Output:
	// actors: the worker was told to stop
	// true <nil>
}
