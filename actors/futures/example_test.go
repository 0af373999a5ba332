// SPDX-License-Identifier: Apache-2.0

package futures_test

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

// inTask runs f as a task of a worker of its own.
func inTask(f func(t *actors.Task) error) {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard() }))
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

// double is work that takes a turn of the loop's.
func double(t *actors.Task, n int) *actors.Future[int] {
	return actors.Start(t, func(t *actors.Task) (int, error) { return 2 * n, t.Yield() })
}

func ExampleAll() {
	inTask(func(t *actors.Task) error {
		v, err := actors.Await(t, futures.All(double(t, 1), double(t, 2), double(t, 3)))
		fmt.Println(v, err)
		return nil
	})
	// Output: [2 4 6] <nil>
}

func ExampleSettled() {
	inTask(func(t *actors.Task) error {
		all, err := actors.Await(t, futures.Settled(double(t, 1), futures.Failed[int](errors.New("sold out"))))
		for _, one := range all {
			fmt.Println(one.Value, one.Err)
		}
		return err
	})
	// Output:
	// 2 <nil>
	// 0 sold out
}

// The first mirror that has it will do.
func ExampleAny() {
	down := futures.Failed[string](errors.New("mirror 1 is down"))
	v, err := futures.Any(down, futures.Resolved("from mirror 2")).Wait(context.Background())
	fmt.Println(v, err)
	// Output: from mirror 2 <nil>
}

// Work until something else comes first.
func ExampleRace() {
	stop := new(actors.Promise[string])
	work := new(actors.Promise[string])
	first := futures.Race(work.Future(), stop.Future())
	stop.Resolve("stopped")
	v, err := first.Wait(context.Background())
	fmt.Println(v, err, work.Future().Done())
	// Output: stopped <nil> false
}

// Who wants to know which are done, and not only the first result.
func ExampleFirstCompleted() {
	inTask(func(t *actors.Task) error {
		slow := new(actors.Promise[int])
		sets, err := actors.Await(t, futures.FirstCompleted(slow.Future(), double(t, 21)))
		if err != nil {
			return err
		}
		for _, f := range sets.Done {
			fmt.Println(f.TryResult())
		}
		for _, f := range sets.Pending {
			fmt.Println("canceled:", f.Cancel())
		}
		return nil
	})
	// Output:
	// 42 <nil>
	// canceled: true
}

// Results are handled as they come in, here from a plain goroutine.
func ExampleAsCompleted() {
	slow, fast := new(actors.Promise[string]), new(actors.Promise[string])
	fast.Resolve("fast")
	fs := []*actors.Future[string]{slow.Future(), fast.Future()}
	for i, err := range futures.AsCompleted(context.Background(), fs...) {
		if err != nil { // the context has ended
			break
		}
		v, err := fs[i].TryResult()
		fmt.Println(i, v, err)
		slow.Resolve("slow")
	}
	// Output:
	// 1 fast <nil>
	// 0 slow <nil>
}

func ExampleAwaitEach() {
	inTask(func(t *actors.Task) error {
		later := new(actors.Promise[int])
		fs := []*actors.Future[int]{later.Future(), double(t, 21)}
		for i, err := range futures.AwaitEach(t, fs...) {
			if err != nil { // the task was ended
				return err
			}
			v, err := fs[i].TryResult()
			fmt.Println(i, v, err)
			later.Resolve(1)
		}
		return nil
	})
	// Output:
	// 1 42 <nil>
	// 0 1 <nil>
}

// Whoever gives up waiting for the shield does not end the work.
func ExampleShield() {
	work := new(actors.Promise[string])
	shield := futures.Shield(work.Future())
	shield.Cancel()
	work.Resolve("saved")
	_, err := shield.TryResult()
	v, _ := work.Future().TryResult()
	fmt.Println(err)
	fmt.Println(v)
	// Output:
	// actors: canceled
	// saved
}

func ExampleWithTimeout() {
	work := new(actors.Promise[string])
	_, err := futures.WithTimeout(work.Future(), time.Millisecond).Wait(context.Background())
	fmt.Println(err, errors.Is(err, context.DeadlineExceeded))
	_, err = work.Future().Wait(context.Background())
	fmt.Println(err)
	// Output:
	// actors: timeout after 1ms true
	// actors: canceled
}

// A cache answers in the same way, whether it has to ask or not.
func ExampleResolved() {
	cached := map[string]int{"pi": 3}
	lookup := func(key string) *actors.Future[int] {
		if v, ok := cached[key]; ok {
			return futures.Resolved(v)
		}
		return futures.Failed[int](errors.New("no " + key))
	}
	fmt.Println(lookup("pi").TryResult())
	fmt.Println(lookup("e").TryResult())
	// Output:
	// 3 <nil>
	// 0 no e
}
