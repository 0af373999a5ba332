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

// Tasks wait for state that others change.
func ExampleCondition() {
	var changed loopsync.Condition
	stock := 0
	inGroup(func(g *actors.Group) {
		for _, n := range []int{3, 2} {
			g.Go(func(t *actors.Task) error {
				if err := changed.WaitFor(t, func() bool { return stock >= n }); err != nil {
					return err
				}
				stock -= n
				fmt.Println("took", n)
				return nil
			})
		}
		g.Go(func(t *actors.Task) error {
			for range 5 {
				stock++
				fmt.Println("stock", stock)
				changed.NotifyAll()
				if err := t.Yield(); err != nil {
					return err
				}
			}
			return nil
		})
	})
	// Output:
	// stock 1
	// stock 2
	// took 2
	// stock 1
	// stock 2
	// stock 3
	// took 3
}

// All tasks finish a phase before one begins the next.
func ExampleBarrier() {
	phase := loopsync.NewBarrier(2)
	inGroup(func(g *actors.Group) {
		for _, name := range []string{"left", "right"} {
			g.Go(func(t *actors.Task) error {
				fmt.Println(name, "sorts its half")
				i, err := phase.Wait(t)
				if err == nil && i == 0 {
					fmt.Println("merge")
				}
				return err
			})
		}
	})
	// Output:
	// left sorts its half
	// right sorts its half
	// merge
}

// The most urgent item comes first; of equally urgent ones, the one that was put first.
func ExampleNewPriorityQueue() {
	type job struct {
		name  string
		level int
	}
	q := loopsync.NewPriorityQueue(0, func(a, b job) bool { return a.level < b.level })
	inGroup(func(g *actors.Group) {
		g.Go(func(t *actors.Task) error {
			for _, j := range []job{{"report", 2}, {"page", 1}, {"backup", 3}, {"alert", 1}} {
				if err := q.Put(t, j); err != nil {
					return err
				}
			}
			for q.Len() > 0 {
				j, err := q.Get(t)
				if err != nil {
					return err
				}
				fmt.Println(j.name)
			}
			return nil
		})
	})
	// Output:
	// page
	// alert
	// report
	// backup
}

// A plain goroutine feeds the tasks of a worker, and is held back when they are slow.
func ExampleQueue_PutContext() {
	q := loopsync.NewQueue[string](1)
	go func() {
		defer q.Close()
		for _, line := range []string{"one", "two", "three"} {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			err := q.PutContext(ctx, line)
			cancel()
			if err != nil {
				return
			}
		}
	}()
	inGroup(func(g *actors.Group) {
		g.Go(func(t *actors.Task) error {
			for {
				line, err := q.Get(t)
				if errors.Is(err, loopsync.ErrClosed) {
					return nil
				}
				if err != nil {
					return err
				}
				fmt.Println("got", line)
			}
		})
	})
	// Output:
	// got one
	// got two
	// got three
}
