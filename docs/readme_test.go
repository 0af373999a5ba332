// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"context"
	"fmt"
	"log"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/supervisor"
)

// The first program in README.md.
func Example() {
	ctx := context.Background()
	system := actor.NewActorSystem()
	worker, err := actors.Spawn(ctx, system.Root, "worker", func(w *actors.Worker) error { return nil }, actors.Options{})
	if err != nil {
		log.Fatal(err)
	}
	answer := actors.Submit(system.Root, worker, func(t *actors.Task) (int, error) {
		if err := t.Sleep(time.Second); err != nil { // the worker runs other tasks meanwhile
			return 0, err
		}
		return 42, nil
	}) // the task runs already

	fmt.Println(answer.Done())
	fmt.Println(answer.Wait(ctx)) // the task's result, or its error, or its panic with its stack
	// Output:
	// false
	// 42 <nil>
}

// The supervisor in README.md, until ctx ends.
func runApp(ctx context.Context, system *actor.ActorSystem, store, poller func(w *actors.Worker) error) error {
	report, err := supervisor.Run(ctx, system, supervisor.Spec{ // until Ctrl-C or SIGTERM
		Name: "app", MaxRestarts: 10, Within: time.Minute,
		Children: []supervisor.Child{ // started in this order, stopped in reverse
			{Name: "store", Props: actors.Props(store)},
			{Name: "poller", Props: actors.Props(poller), Shutdown: 10 * time.Second,
				Backoff: actors.Backoff{Initial: time.Second, Max: time.Minute, Jitter: 0.5}},
		},
	}, nil)
	fmt.Println(report) // child by child: finished, failed, canceled, abandoned with its stack, …
	return err
}

func TestReadmeSupervisor(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := func(*actors.Worker) error { return nil }
	poller := func(w *actors.Worker) error {
		w.Background("poll", func(t *actors.Task) error {
			cancel() // both are up, or about to be
			_, err := t.SleepOrStop(time.Hour)
			return err
		})
		return nil
	}
	if err := runApp(ctx, actortest.NewSystem(t), store, poller); err != nil {
		t.Error(err)
	}
}
