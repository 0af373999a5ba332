// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
)

// Closed is published for each account that was closed, by its name.
var Closed = grid.TopicOf[*wrapperspb.StringValue]("account closed")

// cache is the setup of a worker that has something of each account. Each process has one.
func cache(w *actors.Worker, forgotten chan<- string) error {
	balances := map[string]int64{"ada": 100, "grace": 200} // only this worker's tasks touch it
	Closed.On(w, func(t *actors.Task, account *wrapperspb.StringValue) error {
		delete(balances, account.Value)
		forgotten <- fmt.Sprint("forgot ", account.Value, ", has ", balances)
		return nil
	})
	return nil
}

func ExampleTopic() {
	ctx := context.Background()
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}))
	g, err := grid.Start(ctx, system, grid.Options{Kinds: []grid.Kind{{
		Name: "account", Setup: account, Accepts: []grid.Message{grid.MessageOf[*wrapperspb.Int64Value]()},
	}}})
	if err != nil {
		log.Fatal(err)
	}
	forgotten := make(chan string, 1)
	worker, err := actors.Spawn(ctx, system.Root, "cache", func(w *actors.Worker) error { return cache(w, forgotten) }, actors.Options{})
	if err != nil {
		log.Fatal(err)
	}
	err = Closed.Publish(system.Root, wrapperspb.String("ada")) // in a task: Publish(t, …)
	fmt.Println(err)
	fmt.Println(<-forgotten)
	if _, err := actors.Stop(ctx, system.Root, worker, actors.Forever); err != nil { // and so ends what it has subscribed to
		log.Fatal(err)
	}
	if _, err := g.Drain(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// <nil>
	// forgot ada, has map[grace:200]
}
