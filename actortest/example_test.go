package actortest_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// Hello asks for a greeting.
type Hello struct{ Name string }

// greeter thinks for two seconds before it answers.
func greeter(w *actors.Worker) error {
	actors.Handle(w, func(t *actors.Task, m Hello) (string, error) {
		if err := t.Sleep(2 * time.Second); err != nil {
			return "", err
		}
		return "Hello, " + m.Name, nil
	})
	return nil
}

func TestGreeter(t *testing.T) { actortest.Run(t, testGreeter) }

func testGreeter(t *testing.T, sys *actor.ActorSystem) {
	pid := actortest.Spawn(t, sys.Root, "greeter", greeter, actors.Options{})
	op := actortest.Go(t, func() (string, error) {
		return actors.RequestFuture[string](sys.Root, pid, Hello{"Ada"}).Wait(t.Context())
	})
	if !op.Blocked() {
		t.Error("the greeter answered at once")
	}
	time.Sleep(2 * time.Second) // of virtual time
	if got, err := op.Result(); got != "Hello, Ada" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if c := actortest.Stop(t, sys.Root, pid, 0); c.Finished != 1 {
		t.Errorf("account: %v", c)
	}
}

// A test of a worker: what it needs is made inside the bubble, and it takes
// two seconds of virtual time.
func ExampleRun() {
	var t *testing.T // the test function's

	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "greeter", greeter, actors.Options{})
		op := actortest.Go(t, func() (string, error) {
			return actors.RequestFuture[string](sys.Root, pid, Hello{"Ada"}).Wait(t.Context())
		})
		if !op.Blocked() {
			t.Error("the greeter answered at once")
		}
		time.Sleep(2 * time.Second)
		if got, err := op.Result(); got != "Hello, Ada" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
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
