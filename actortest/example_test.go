// SPDX-License-Identifier: Apache-2.0

package actortest_test

import (
	"flag"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// Hello asks for a greeting.
type Hello struct{ Name string }

// greeter thinks for two seconds before it answers, and for ever if it does
// not know whom to greet.
func greeter(w *actors.Worker) error {
	actors.Handle(w, func(t *actors.Task, m Hello) (string, error) {
		think := 2 * time.Second
		if m.Name == "" {
			think = 1000 * time.Hour
		}
		if err := t.Sleep(think); err != nil {
			return "", err
		}
		return "Hello, " + m.Name, nil
	})
	return nil
}

// A test of a worker: what it needs is made inside the bubble, and an hour of
// its time is over at once.
func ExampleRun() {
	// func TestGreeterTimesOut(t *testing.T) {
	test(func(t *testing.T) {
		actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
			pid := actortest.Spawn(t, sys.Root, "greeter", greeter, actors.Options{})
			start := time.Now()
			f := actors.RequestFuture[string](sys.Root, pid, Hello{}, actors.Timeout(time.Hour))
			if _, err := f.Wait(t.Context()); err == nil {
				t.Error("it has greeted nobody")
			} else {
				fmt.Println(err, "after", time.Since(start))
			}
			account := actortest.Stop(t, sys.Root, pid, 0)
			fmt.Println("canceled:", account.Canceled)
		})
	})
	// Output:
	// actors: timeout: actortest_test.Hello of greeter after 1h0m0s
	// canceled: 1
}

// A call that blocks, while the test looks on.
func ExampleGo() {
	// func TestGreeterThinks(t *testing.T) {
	test(func(t *testing.T) {
		actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
			pid := actortest.Spawn(t, sys.Root, "greeter", greeter, actors.Options{})
			op := actortest.Go(t, func() (string, error) {
				return actors.Call[string](t.Context(), sys.Root, pid, Hello{"Ada"})
			})
			fmt.Println("thinks:", op.Blocked())
			time.Sleep(2 * time.Second) // of virtual time
			fmt.Println(op.Result())
		})
	})
	// Output:
	// thinks: true
	// Hello, Ada <nil>
}

// In real time there is no moment at which nothing happens any more.
func ExampleEventually() {
	// func TestCounts(t *testing.T) {
	test(func(t *testing.T) {
		sys := actortest.NewSystem(t)
		var greeted atomic.Int64
		pid := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(Hello); ok {
				greeted.Add(1)
			}
		}))
		sys.Root.Send(pid, Hello{"Ada"})
		actortest.Eventually(t, "Ada is greeted", func() bool { return greeted.Load() == 1 })
		fmt.Println("greeted:", greeted.Load())
	})
	// Output:
	// greeted: 1
}

// A Log is a handler for any slog.Logger, and can be asked what it was told.
func ExampleLog() {
	log := actortest.NewLog()
	logger := slog.New(log).With("worker", "w")
	logger.Info("started")
	logger.Warn("blocked turn", "task", "import")

	for _, r := range log.Find(slog.LevelWarn, "blocked") {
		fmt.Println(r)
		fmt.Println(r.Attr("task"))
	}
	// Output:
	// WARN blocked turn worker=w task=import
	// import
}

// test runs f as go test runs a test function, in an example: once, whatever
// -count and -cpu say, and without a word, unless it fails.
func test(f func(t *testing.T)) {
	for name, value := range map[string]string{"test.v": "false", "test.skip": ""} {
		set := flag.Lookup(name).Value
		before := set.String()
		defer set.Set(before)
		if err := set.Set(value); err != nil {
			panic(err)
		}
	}
	var once sync.Once
	all := func(string, string) (bool, error) { return true, nil }
	if !testing.RunTests(all, []testing.InternalTest{{Name: "Test", F: func(t *testing.T) { once.Do(func() { f(t) }) }}}) {
		fmt.Println("the test has failed")
	}
}
