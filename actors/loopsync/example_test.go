// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
)

// inGroup runs f in a task, and waits for the tasks that it starts.
func inGroup(f func(g *actors.Group)) {
	quiet := func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }
	sys := actor.NewActorSystem(actor.WithLoggerFactory(quiet))
	defer sys.Shutdown()
	pid, err := actors.Spawn(context.Background(), sys.Root, "worker", none, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _, _ = actors.Stop(context.Background(), sys.Root, pid, time.Second) }()
	_, err = actors.Submit(sys.Root, pid, func(t *actors.Task) (struct{}, error) {
		g := t.NewGroup()
		f(g)
		return struct{}{}, g.Wait()
	}).Wait(context.Background())
	if err != nil {
		fmt.Println(err)
	}
}

// What has to hold over an await needs a Mutex: without it both would find the
// balance of the beginning.
func ExampleMutex() {
	var m loopsync.Mutex
	balance := 100
	inGroup(func(g *actors.Group) {
		for range 2 {
			g.Go(func(t *actors.Task) error {
				if err := m.Lock(t); err != nil {
					return err
				}
				defer m.Unlock()
				before := balance
				if err := t.Yield(); err != nil { // the bank is asked
					return err
				}
				balance = before - 10
				return nil
			})
		}
	})
	fmt.Println(balance)
	// Output: 80
}

// At most two requests at a time.
func ExampleSemaphore() {
	s := loopsync.NewSemaphore(2)
	running, most := 0, 0
	inGroup(func(g *actors.Group) {
		for range 10 {
			g.Go(func(t *actors.Task) error {
				if err := s.Acquire(t); err != nil {
					return err
				}
				defer s.Release()
				running++
				most = max(most, running)
				defer func() { running-- }()
				return t.Yield()
			})
		}
	})
	fmt.Println(most, "at a time")
	// Output: 2 at a time
}

func ExampleEvent() {
	var connected loopsync.Event
	inGroup(func(g *actors.Group) {
		for _, name := range []string{"reader", "writer"} {
			g.Go(func(t *actors.Task) error {
				if err := connected.Wait(t); err != nil {
					return err
				}
				fmt.Println(name, "begins")
				return nil
			})
		}
		g.Go(func(t *actors.Task) error {
			fmt.Println("connected")
			connected.Set()
			return nil
		})
	})
	// Output:
	// connected
	// reader begins
	// writer begins
}

// A queue of two holds the producer back.
func ExampleQueue() {
	q := loopsync.NewQueue[int](2)
	inGroup(func(g *actors.Group) {
		g.Go(func(t *actors.Task) error {
			defer q.Close()
			for i := range 4 {
				if err := q.Put(t, i); err != nil {
					return err
				}
				fmt.Println("put", i)
			}
			return nil
		})
		g.Go(func(t *actors.Task) error {
			for {
				v, err := q.Get(t)
				if errors.Is(err, loopsync.ErrClosed) {
					return nil
				}
				if err != nil {
					return err
				}
				fmt.Println("got", v)
			}
		})
	})
	// Output:
	// put 0
	// put 1
	// got 0
	// got 1
	// put 2
	// put 3
	// got 2
	// got 3
}
