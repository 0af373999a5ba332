// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
)

// silent is the logger of systems that say nothing.
func silent(*actor.ActorSystem) *slog.Logger { return discard() }

// inTask runs f as a task of a worker of its own.
func inTask(f func(t *actors.Task) error) {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(silent))
	defer sys.Shutdown()
	pid, err := actors.Spawn(context.Background(), sys.Root, "worker", none, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _, _ = actors.Stop(context.Background(), sys.Root, pid, time.Second) }()
	_, err = actors.SubmitErr(sys.Root, pid, f).Wait(context.Background())
	if err != nil {
		fmt.Println(err)
	}
}

func ExampleFuture_OnDone() {
	p := new(actors.Promise[int])
	p.Future().OnDone(func(v int, err error) { fmt.Println("done:", v, err) })
	p.Resolve(7)
	// Output: done: 7 <nil>
}

// An actor gets the result as a message, like any other.
func ExampleFuture_PipeTo() {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(silent))
	defer sys.Shutdown()
	got := make(chan any)
	pid := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case string, error: // an error comes as a *messages.Failure
			got <- m
		}
	}))
	defer sys.Root.Poison(pid)
	futures.Resolved("the result").PipeTo(sys.Root, pid)
	fmt.Println(<-got)
	futures.Failed[string](actors.ErrTimeout).PipeTo(sys.Root, pid)
	fmt.Println(errors.Is((<-got).(error), actors.ErrTimeout))
	// Output:
	// the result
	// true
}
