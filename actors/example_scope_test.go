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

// A part of a task has less time than the rest.
func ExampleTask_Scope() {
	inTask(func(t *actors.Task) error {
		err := t.Scope(func(t *actors.Task) error {
			return t.Sleep(time.Hour)
		}, actors.Timeout(time.Millisecond))
		fmt.Println("the scope ran out of time:", errors.Is(err, actors.ErrTimeout))
		return t.Yield() // the task goes on
	})
	// Output: the scope ran out of time: true
}

// What only waits ends at the stop event. Without the UntilStop the stop would wait for
// it, for an hour.
func ExampleTask_UntilStop() {
	ctx := context.Background()
	root := actor.NewActorSystem(actor.WithLoggerFactory(silent)).Root
	news := new(actors.Promise[string])
	waiting := make(chan struct{})
	worker, err := actors.Spawn(ctx, root, "worker", func(w *actors.Worker) error {
		w.Background("news", func(t *actors.Task) error {
			err := t.UntilStop(func(t *actors.Task) error {
				close(waiting)
				return t.Await(news.Future())
			})
			fmt.Println("told to stop:", t.StopRequested())
			return err // that is no failure
		})
		return nil
	}, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-waiting
	account, err := actors.Stop(ctx, root, worker, time.Hour)
	fmt.Println(account.Pending, err)
	// Output:
	// told to stop: true
	// 0 <nil>
}

// What has to be done although the task that has begun it is cancelled.
func ExampleDetached() {
	inTask(func(t *actors.Task) error {
		var save *actors.Future[string]
		asker := t.Go(func(t *actors.Task) error {
			save = actors.Start(t, func(t *actors.Task) (string, error) {
				return "saved", t.Yield()
			}, actors.Detached(), actors.Timeout(time.Minute))
			return t.Await(save)
		})
		asker.Cancel()
		fmt.Println(t.Await(asker))
		fmt.Println(actors.Await(t, save))
		return nil
	})
	// Output:
	// actors: canceled
	// saved <nil>
}

func ExampleGroup_SetLimit() {
	inTask(func(t *actors.Task) error {
		running, most := 0, 0
		g := t.NewGroup()
		g.SetLimit(2)
		for range 10 {
			g.Go(func(t *actors.Task) error { // does not wait for its turn
				running++
				most = max(most, running)
				defer func() { running-- }()
				return t.Yield()
			})
		}
		err := g.Wait()
		fmt.Println("at a time:", most, err)
		return nil
	})
	// Output: at a time: 2 <nil>
}
