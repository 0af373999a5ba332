// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// takeOver takes the turn that started has told of.
func takeOver(t *testing.T, sys *actor.ActorSystem, pid *actor.PID, started *atomic.Bool) {
	t.Helper()
	actortest.Eventually(t, "the turn has begun", started.Load)
	time.Sleep(5 * time.Millisecond) // no event: the race detector is not to see one
	actortest.Eventually(t, "the turn is taken over", func() bool { return actors.TakeOver(sys, pid) })
}

// TestLateActsOfAnAbandonedTask: what it does when its turn has been taken
// over puts nothing into the tree, nor into a table, from which nobody takes
// it out again.
func TestLateActsOfAnAbandonedTask(t *testing.T) {
	sys := actortest.NewSystem(t)
	goOn, started, kids := make(chan struct{}), &atomic.Bool{}, make(chan int, 1)
	pid := actortest.Spawn(t, sys.Root, "worker", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, _ string) (string, error) {
			actors.Start(t, func(u *actors.Task) (struct{}, error) {
				started.Store(true)
				<-goOn
				did(u, u.Self(), func(*actors.Task) error { return nil })
				u.Context()
				u.Sender()
				return struct{}{}, u.Sleep(time.Second)
			})
			kids <- actors.Kids(t)
			return "", nil
		}, actors.Exclusive())
		return nil
	}, actors.Options{Logger: discard()})
	f := actors.RequestFuture[string](sys.Root, pid, "")
	takeOver(t, sys, pid, started)
	wantErr(t, f, actors.ErrRestarted)
	close(goOn)
	if n := <-kids; n != 0 {
		t.Errorf("%d children of the task are kept", n)
	}
	if n := actors.Requests(sys); n != 0 {
		t.Errorf("%d requests are kept", n)
	}
	if actors.Holds(sys, pid) {
		t.Error("the worker is said to be held")
	}
}

// TestTakeoverOfAFirstAwait takes turns over at the moment in which a child of
// Start awaits first, and so becomes one of its parent's kids: the race detector
// sees whether both write the tree.
func TestTakeoverOfAFirstAwait(t *testing.T) {
	sys := actortest.NewSystem(t)
	pid := actortest.Spawn(t, sys.Root, "worker", none, actors.Options{Logger: discard()})
	rounds := 5000
	if testing.Short() {
		rounds /= 10
	}
	taken := 0
	for i := range rounds {
		p := new(actors.Promise[int])
		started := &atomic.Bool{}
		wait := func(spin int) func(t *actors.Task) (int, error) {
			return func(t *actors.Task) (int, error) {
				started.Store(true)
				for range spin {
					runtime.KeepAlive(spin)
				}
				return actors.Await(t, p.Future())
			}
		}
		f := actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
			first := actors.Start(t, wait(0))
			second := actors.Start(t, wait(i%1000), actors.Timeout(time.Hour))
			if _, err := actors.Await(t, first); err != nil {
				return 0, err
			}
			return actors.Await(t, second)
		})
		for !started.Load() {
			runtime.Gosched()
		}
		if actors.TakeOver(sys, pid) {
			taken++
		}
		p.Resolve(1)
		if v, err := result(f); err == nil && v != 1 || err != nil && !errors.Is(err, actors.ErrRestarted) {
			t.Fatalf("round %d: %v, %v", i, v, err)
		}
	}
	t.Logf("%d of %d turns were taken over", taken, rounds)
}
