// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
)

// Receive waits for a channel without holding up the worker: a bridge to code
// that knows nothing of actors.
func ExampleReceive() {
	ctx := context.Background()
	root := actor.NewActorSystem().Root
	worker, err := actors.Spawn(ctx, root, "worker", func(*actors.Worker) error { return nil }, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { actors.Stop(ctx, root, worker, 0) }()

	lines := make(chan string)
	read := actors.Submit(root, worker, func(t *actors.Task) (n int, err error) {
		for {
			line, ok, err := loopsync.Receive(t, lines)
			if err != nil || !ok { // the task was ended, or lines closed
				return n, err
			}
			fmt.Println("read", line)
			n++
		}
	})

	lines <- "one"
	lines <- "two"
	close(lines)
	fmt.Println(read.Wait(ctx))
	// Output:
	// read one
	// read two
	// 2 <nil>
}

// Send waits until the other side has room, and the worker goes on meanwhile.
func ExampleSend() {
	lines := make(chan string)
	written := make(chan struct{})
	go func() { // code that knows nothing of actors
		defer close(written)
		for line := range lines {
			fmt.Println("write", line)
		}
	}()
	inGroup(func(g *actors.Group) {
		g.Go(func(t *actors.Task) error {
			defer close(lines)
			for _, line := range []string{"one", "two"} {
				if err := loopsync.Send(t, lines, line); err != nil {
					return err
				}
			}
			return nil
		})
	})
	<-written
	// Output:
	// write one
	// write two
}

// A select statement that holds up no worker, over a channel, a future and a timer.
func ExampleSelect() {
	prices := make(chan int, 3)
	prices <- 101
	prices <- 99
	closing := new(actors.Promise[string])
	inGroup(func(g *actors.Group) {
		g.Go(func(t *actors.Task) error {
			for {
				var price int
				i, err := loopsync.Select(t,
					loopsync.OnReceive(prices, &price, nil),
					loopsync.OnFuture(closing.Future()),
					loopsync.OnTimer(time.Minute),
				)
				switch {
				case err != nil: // the task was ended
					return err
				case i == 0:
					fmt.Println("price", price)
				case i == 1:
					why, err := closing.Future().TryResult()
					fmt.Println(why)
					return err
				case i == 2:
					fmt.Println("no price for a minute")
				}
				if len(prices) == 0 {
					closing.Resolve("the exchange has closed")
				}
			}
		})
	})
	// Output:
	// price 101
	// price 99
	// the exchange has closed
}
