// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// Add asks a counter to add.
type Add struct{ N int }

// counter refuses to count past ten.
func counter(w *actors.Worker) error {
	sum := 0
	actors.Handle(w, func(_ *actors.Task, a Add) (int, error) {
		if sum += a.N; sum > 10 {
			panic("too much")
		}
		return sum, nil
	})
	return nil
}

func quietSystem() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
}

// A tree: a worker, and a supervisor of two. What fails starts anew at the
// same PID.
func ExampleStart() {
	sys := quietSystem()
	defer sys.Shutdown()
	pair, err := supervisor.Props(supervisor.Spec{
		Strategy: supervisor.OneForAll,
		Children: []supervisor.Child{{Name: "left", Props: actors.Props(counter)}, {Name: "right", Props: actors.Props(counter)}},
	})
	if err != nil {
		panic(err)
	}
	s, err := supervisor.Start(context.Background(), sys, supervisor.Spec{Name: "app", Children: []supervisor.Child{
		{Name: "single", Props: actors.Props(counter)},
		{Name: "pair", Props: pair},
	}})
	if err != nil {
		panic(err)
	}
	ctx, left := context.Background(), s.Child("pair/left")
	for _, n := range []int{7, 8, 1} {
		sum, err := actors.Call[int](ctx, sys.Root, left, Add{n})
		fmt.Println(sum, err)
	}
	if _, err := s.Stop(ctx); err != nil {
		panic(err)
	}
	// Output:
	// 7 <nil>
	// 0 panic: too much
	// 1 <nil>
}

// Run waits for a signal, here one that the process sends itself, at each
// poll.
func ExampleRun() {
	sys := quietSystem()
	defer sys.Shutdown()
	report, err := supervisor.Run(context.Background(), sys, supervisor.Spec{Name: "app", Children: []supervisor.Child{
		{Name: "poller", Props: actors.Props(func(w *actors.Worker) error {
			w.Main(func(t *actors.Task) error {
				for {
					syscall.Kill(syscall.Getpid(), syscall.SIGTERM) // as a service manager would
					if stopping, err := t.SleepOrStop(10 * time.Millisecond); stopping || err != nil {
						fmt.Println("the poller ends between two polls")
						return err
					}
				}
			})
			return nil
		}), Shutdown: 10 * time.Second},
	}}, nil) // SIGINT and SIGTERM
	fmt.Println(err, report.Err())
	// Output:
	// the poller ends between two polls
	// <nil> <nil>
}

// The report says what has become of all that was accepted.
func ExampleReport() {
	sys := quietSystem()
	defer sys.Shutdown()
	s, err := supervisor.Start(context.Background(), sys, supervisor.Spec{Name: "app", Children: []supervisor.Child{{Name: "counter", Props: actors.Props(counter)}}})
	if err != nil {
		panic(err)
	}
	for _, n := range []int{5, 6, 5} { // the second is too much
		actors.RequestFuture[int](sys.Root, s.Child("counter"), Add{n}).Wait(context.Background())
	}
	report, _ := s.Stop(context.Background())
	c := report.Children[0]
	fmt.Printf("%s: %d accepted, %d finished, %d failed, %d restarts\n", c.Name, c.Counts.Accepted, c.Counts.Finished, c.Counts.Failed, c.Restarts)
	fmt.Println("the sums agree:", report.Total.Agree(), "- left behind:", report.Err())
	// Output:
	// counter: 3 accepted, 2 finished, 1 failed, 1 restarts
	// the sums agree: true - left behind: <nil>
}

// A Dynamic has many children of one kind, which come and go.
func ExampleStartDynamic() {
	sys := quietSystem()
	defer sys.Shutdown()
	d, err := supervisor.StartDynamic(context.Background(), sys, supervisor.DynamicSpec{
		Name:  "sessions",
		Child: supervisor.Child{Props: actors.Props(counter), Restart: supervisor.Temporary},
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	for _, name := range []string{"ada", "bob"} {
		pid, err := d.Start(ctx, name, nil)
		fmt.Println(pid.Id, err)
	}
	_, err = d.Start(ctx, "ada", nil)
	fmt.Println(errors.Is(err, supervisor.ErrExists), d.Len())
	d.Stop(ctx)
	// Output:
	// sessions/ada <nil>
	// sessions/bob <nil>
	// true 2
}

// A message that crashes its worker is tried once more, and then put aside.
func ExampleCrashPolicy() {
	sys := quietSystem()
	defer sys.Shutdown()
	s, err := supervisor.Start(context.Background(), sys, supervisor.Spec{Name: "app", MaxRestarts: 5, Children: []supervisor.Child{{
		Name: "counter", Props: actors.Props(counter),
		OnCrash: supervisor.CrashPolicy{Retries: 1, DeadLetter: func(c supervisor.Crash) {
			fmt.Printf("%s gives up on %+v: %v\n", c.Child, c.Message, c.Err)
		}},
	}}})
	if err != nil {
		panic(err)
	}
	sys.Root.Send(s.Child("counter"), Add{11})
	sum, err := actors.Call[int](context.Background(), sys.Root, s.Child("counter"), Add{1})
	fmt.Println(sum, err)
	s.Stop(context.Background())
	// Unordered output:
	// counter gives up on {N:11}: panic: too much
	// 1 <nil>
}
