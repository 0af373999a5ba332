// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// kept counts values that are still in memory.
type kept struct{ made, gone atomic.Int64 }

// value returns one.
func (k *kept) value() *[1 << 10]byte {
	v := new([1 << 10]byte)
	k.made.Add(1)
	runtime.AddCleanup(v, func(struct{}) { k.gone.Add(1) }, struct{}{})
	return v
}

// lessThan waits until fewer than n are.
func (k *kept) lessThan(t *testing.T, n int64) {
	t.Helper()
	actortest.Eventually(t, fmt.Sprintf("fewer than %d of the values are kept", n), func() bool {
		runtime.GC()
		return k.made.Load()-k.gone.Load() < n
	})
}

// TestWhatHasEndedIsNotKeptForItsTimeout makes requests that all have an hour,
// and are answered, cancelled or refused at once.
func TestWhatHasEndedIsNotKeptForItsTimeout(t *testing.T) {
	sys := actortest.NewSystem(t)
	var answers, messages kept
	type ask struct {
		v     *[1 << 10]byte
		await bool
	}
	worker := actortest.Spawn(t, sys.Root, "worker", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, m ask) (*[1 << 10]byte, error) {
			if m.await {
				if err := t.Yield(); err != nil {
					return nil, err
				}
			}
			return answers.value(), nil
		})
		return nil
	}, actors.Options{})
	plain := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(ask); ok {
			c.Respond(answers.value())
		}
	}))
	hour := actors.Timeout(time.Hour)
	for i := range 1000 {
		for _, f := range []*actors.Future[*[1 << 10]byte]{
			actors.RequestFuture[*[1 << 10]byte](sys.Root, worker, ask{messages.value(), true}, hour),
			actors.RequestFuture[*[1 << 10]byte](sys.Root, worker, ask{messages.value(), false}, hour),
			actors.RequestFuture[*[1 << 10]byte](sys.Root, plain, ask{messages.value(), false}, hour),
			actors.RequestFuture[*[1 << 10]byte](sys.Root, plain, ask{messages.value(), false}), // 30 s
		} {
			if _, err := f.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		f := actors.RequestFuture[*[1 << 10]byte](sys.Root, plain, messages.value(), hour)
		if i%2 == 0 {
			f.Cancel()
		} else if _, err := actors.RequestFuture[int](sys.Root, worker, messages.value(), hour).Wait(t.Context()); !errors.Is(err, actors.ErrUnhandled) {
			t.Fatal(err)
		} else {
			f.Cancel()
		}
	}
	const few = 100 // the last ones, which pools and the stack may still have
	answers.lessThan(t, few)
	messages.lessThan(t, few)
}

// TestTurnsEndWhatIsLate has the runtime's timers never come: whatever else
// works on something that has a deadline sees to those that are over.
func TestTurnsEndWhatIsLate(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		actors.StallClock(sys)
		a := actortest.Spawn(t, sys.Root, "a", inspected, actors.Options{BlockedTurn: -1})
		b := actortest.Spawn(t, sys.Root, "b", inspected, actors.Options{BlockedTurn: -1})
		until := make(chan struct{})
		var late []*actors.Future[int]
		for range 100 {
			late = append(late, actors.RequestFuture[int](sys.Root, a, nap(time.Hour), actors.Timeout(time.Second)))
		}
		synctest.Wait()
		late = append(late, actors.RequestFuture[int](sys.Root, a, stick{until}, actors.Timeout(time.Second)))
		for range 100 {
			late = append(late, actors.RequestFuture[int](sys.Root, a, nap(1), actors.Timeout(time.Second)))
		}
		time.Sleep(2 * time.Second)
		for _, f := range late {
			if f.Done() {
				t.Fatal("the clock is not stalled")
			}
		}
		for range 20 {
			if v, err := actors.RequestFuture[int](sys.Root, b, nap(0), actors.Timeout(time.Minute)).Wait(t.Context()); v != 1 || err != nil {
				t.Fatal(v, err)
			}
		}
		for i, f := range late {
			if _, err := f.TryResult(); !errors.Is(err, actors.ErrTimeout) {
				t.Errorf("%d: %v", i, err)
			}
		}
		close(until)
	})
}

// TestDeadlineForEver: a budget without end sets no timer. One would fire again and
// again at the end of a bubble's time.
func TestDeadlineForEver(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "worker", inspected, actors.Options{BlockedTurn: -1, MaxInFlight: 1})
		var fs []*actors.Future[int]
		for range 2 { // the second waits in the queue
			fs = append(fs, actors.RequestFuture[int](sys.Root, pid, nap(time.Hour), actors.Timeout(math.MaxInt64)))
		}
		synctest.Wait()
		if actors.IsClockSet(sys) {
			t.Error("a timer is set")
		}
		for _, f := range fs {
			if v, err := f.Wait(t.Context()); v != 1 || err != nil {
				t.Error(v, err)
			}
		}
		// One with an end is found beside it.
		f := actors.RequestFuture[int](sys.Root, pid, nap(time.Hour), actors.Timeout(math.MaxInt64))
		if _, err := actors.RequestFuture[int](sys.Root, pid, nap(0), actors.Timeout(time.Second)).Wait(t.Context()); !errors.Is(err, actors.ErrTimeout) || !actors.IsClockSet(sys) && f.Done() {
			t.Error(err)
		}
		f.Cancel()
	})
}
