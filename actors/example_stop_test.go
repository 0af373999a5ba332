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

// Stop sets the stop event. New work is refused from then on; what was
// accepted is done in order, within the grace, and the account says what has
// become of it.
func ExampleStop() {
	ctx := context.Background()
	root := actor.NewActorSystem().Root
	told := make(chan struct{})
	var why error
	worker, err := actors.Spawn(ctx, root, "worker", func(w *actors.Worker) error {
		w.Background("poll", func(t *actors.Task) (err error) {
			for stopping := false; !stopping; {
				if stopping, err = t.SleepOrStop(time.Hour); err != nil {
					return err
				}
			}
			fmt.Println("poll: told to stop")
			close(told)
			return nil
		})
		w.OnStop(func(t *actors.Task) error {
			why = t.StopReason()
			return nil
		})
		return nil
	}, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}

	goOn := new(actors.Promise[string])
	inHand := actors.Submit(root, worker, func(t *actors.Task) (string, error) {
		return actors.Await(t, goOn.Future())
	})
	stopped := actors.RequestStop(root, worker, time.Minute)
	<-told

	_, err = actors.Submit(root, worker, func(*actors.Task) (string, error) { return "", nil }).Wait(ctx)
	fmt.Println("refused:", errors.Is(err, actors.ErrStopping))

	goOn.Resolve("done")
	fmt.Println(inHand.Wait(ctx))
	account, err := stopped.Wait(ctx)
	fmt.Println("hook:", errors.Is(why, actors.ErrStopped))

	fmt.Println(account, err)
	// Output:
	// poll: told to stop
	// refused: true
	// done <nil>
	// hook: true
	// 2 offered: 1 finished, 1 refused <nil>
}
