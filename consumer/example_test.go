// SPDX-License-Identifier: Apache-2.0

package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
	"github.com/protoloop/protoloop/supervisor"
)

func quiet() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
}

// A consumer as a supervisor's child: it handles what is in the queue, and at
// the stop finishes what it has begun.
func Example() {
	type Item struct{ Name string }
	sys := quiet()
	defer sys.Shutdown()

	q := memory.New(memory.Options{})
	done := make(chan struct{})
	c, err := consumer.New(q.Open, consumer.JSON(func(t *actors.Task, item Item, m consumer.Message) error {
		if err := t.Sleep(10 * time.Millisecond); err != nil { // other messages are handled meanwhile
			return err
		}
		fmt.Printf("%s (key %s, delivery %d)\n", item.Name, m.Key, m.Deliveries)
		if item.Name == "coffee" {
			close(done)
		}
		return nil
	}), consumer.Options{Concurrency: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := supervisor.Start(context.Background(), sys, supervisor.Spec{Name: "app", MaxRestarts: 10, Children: []supervisor.Child{
		{Name: "items", Props: c.Props(), Backoff: actors.Backoff{Initial: time.Second, Jitter: 0.5}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	q.Send(
		consumer.Message{Key: "1", Body: []byte(`{"name": "tea"}`)},
		consumer.Message{Key: "2", Body: []byte(`tea`)},
		consumer.Message{Key: "3", Body: []byte(`{"name": "coffee"}`)},
	)
	<-done
	if _, err := s.Stop(context.Background()); err != nil {
		fmt.Println(err)
	}
	for _, d := range q.Dead() {
		fmt.Printf("dead: key %s, %v\n", d.Message.Key, d.Reason)
	}
	st := c.Stats()
	fmt.Println("received", st.Received, "acked", st.Acked, "dead-lettered", st.DeadLettered, "left", q.Len())
	// Output:
	// tea (key 1, delivery 1)
	// coffee (key 3, delivery 1)
	// dead: key 2, consumer: the body is no JSON of a consumer_test.Item: invalid character 'e' in literal true (expecting 'r')
	// received 3 acked 2 dead-lettered 1 left 0
}

// The messages of a group in their order, also when one of them fails at
// first.
func ExampleOptions_order() {
	sys := quiet()
	defer sys.Shutdown()

	q := memory.New(memory.Options{})
	for _, step := range []string{"create", "change", "remove"} {
		q.Send(consumer.Message{Group: "item 1", Body: []byte(step)})
	}
	failed := false
	done := make(chan struct{})
	c, err := consumer.New(q.Open, func(_ *actors.Task, m consumer.Message) error {
		if string(m.Body) == "change" && !failed {
			failed = true
			return errors.New("the database is busy")
		}
		fmt.Println(string(m.Body))
		if string(m.Body) == "remove" {
			close(done)
		}
		return nil
	}, consumer.Options{Order: consumer.ByGroup, Retry: actors.Backoff{Initial: 10 * time.Millisecond}})
	if err != nil {
		fmt.Println(err)
		return
	}
	pid, err := actors.Spawn(context.Background(), sys.Root, "items", c.Setup, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-done
	if _, err := actors.Stop(context.Background(), sys.Root, pid, time.Second); err != nil {
		fmt.Println(err)
	}
	// Output:
	// create
	// change
	// remove
}
