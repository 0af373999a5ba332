// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/consumer/jetstream/embedded"
	"github.com/protoloop/protoloop/grid"
)

// ordersKind has a worker for each part of the queue, on the node that owns it.
func ordersKind(q *jetstream.Partitions, handle consumer.Handler, ownerOf func(w *actors.Worker) (uint64, error)) grid.Kind {
	return grid.Kind{
		Name:   "orders",
		Always: q.Parts(),
		Setup: func(w *actors.Worker, part string) error {
			owner, err := ownerOf(w)
			if err != nil {
				return err
			}
			c, err := consumer.New(q.Opener(part, owner), handle, consumer.Options{Order: consumer.ByGroup})
			if err != nil {
				return err
			}
			return c.Setup(w)
		},
	}
}

// byToken is the number of the owner in a cluster: that of a later one is greater.
func byToken(w *actors.Worker) (uint64, error) {
	token, err := grid.TokenOf(w.Task())
	return token.Rev, err
}

func ExamplePartitions() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "orders")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	server, err := embedded.Start(embedded.Options{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Shutdown()
	nc, err := server.Connect()
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	q, err := jetstream.NewPartitions(nc, jetstream.Options{Name: "ORDERS"}, 4)
	if err != nil {
		log.Fatal(err)
	}
	handled := make(chan string)
	handle := func(t *actors.Task, m consumer.Message) error {
		return t.AwaitOffload(func(context.Context) error { handled <- m.Group + " " + string(m.Body); return nil })
	}
	alone := func(*actors.Worker) (uint64, error) { return 0, nil } // in a cluster it is byToken
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}))
	g, err := grid.Start(ctx, system, grid.Options{Kinds: []grid.Kind{ordersKind(q, handle, alone)}})
	if err != nil {
		log.Fatal(err)
	}
	if err := q.Ensure(ctx); err != nil {
		log.Fatal(err)
	}
	for _, step := range []string{"placed", "paid", "sent"} {
		if err := q.Send(ctx, consumer.Message{Group: "order 7", Body: []byte(step)}); err != nil {
			log.Fatal(err)
		}
	}
	for range 3 {
		fmt.Println(<-handled)
	}
	if _, err := g.Drain(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// order 7 placed
	// order 7 paid
	// order 7 sent
}
