// SPDX-License-Identifier: Apache-2.0

package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
)

func TestConcurrencyAndPrefetchBound(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		q.SendBody(bodies(100)...)
		running, most := 0, 0
		c := newConsumer(q.Open, func(t2 *actors.Task, _ consumer.Message) error {
			running++
			most = max(most, running)
			defer func() { running-- }()
			return t2.Sleep(time.Second)
		}, consumer.Options{Concurrency: 4, Prefetch: 3, Pollers: 2})
		pid := spawn(t, sys, c, actors.Options{})
		for range 10 {
			synctest.Wait()
			if s := c.Stats(); s.Running != 4 || s.InFlight > 7 || s.InFlight < 6 || !s.Agree() {
				t.Errorf("account: %v, running %d", s, s.Running)
			}
			if n := q.InFlight(); n > 7 {
				t.Errorf("%d messages were taken from the queue", n)
			}
			time.Sleep(time.Second)
		}
		pass(time.Minute)
		if most != 4 || q.Len() != 0 {
			t.Errorf("at most %d at a time, %d left", most, q.Len())
		}
		stop(t, sys, pid, c, q, time.Second)
	})
}

func TestSlowHandlerSlowsThePolling(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		q.SendBody(bodies(50)...)
		c := newConsumer(q.Open, func(t *actors.Task, _ consumer.Message) error { return t.Sleep(time.Second) },
			consumer.Options{Concurrency: 1})
		pid := spawn(t, sys, c, actors.Options{})
		pass(10*time.Second + time.Millisecond)
		if s := c.Stats(); s.Received != 11 || s.Acked != 10 || s.Polls != 11 {
			t.Errorf("account after ten seconds: %v, %d polls", s, s.Polls)
		}
		stop(t, sys, pid, c, q, 2*time.Second)
	})
}

func TestSlowSourceSlowsThePolling(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		free := make(chan struct{})
		q := memory.New(memory.Options{Fault: func(_ context.Context, call memory.Call, _ []string) error {
			if call == memory.Ack {
				<-free
			}
			return nil
		}})
		q.SendBody(bodies(1000)...)
		c := newConsumer(q.Open, func(*actors.Task, consumer.Message) error { return nil }, consumer.Options{})
		pid := spawn(t, sys, c, actors.Options{})
		synctest.Wait()
		if n := c.Stats().InFlight; n > 128+16 {
			t.Errorf("%d messages in flight while the source cannot be told", n)
		}
		close(free)
		synctest.Wait()
		if s := stop(t, sys, pid, c, q, time.Second); s.Acked != 1000 {
			t.Errorf("account: %v", s)
		}
	})
}

func TestLeasesAreExtended(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		var extends atomic.Int64
		q := memory.New(memory.Options{Lease: 10 * time.Second, Fault: func(_ context.Context, call memory.Call, _ []string) error {
			if call == memory.Extend && extends.Add(1) == 3 {
				return errors.New("a hiccup")
			}
			return nil
		}})
		q.SendBody(bodies(3)...)
		runs := 0
		c := newConsumer(q.Open, func(t *actors.Task, _ consumer.Message) error {
			runs++
			return t.Sleep(95 * time.Second)
		}, consumer.Options{Concurrency: 2, Prefetch: 1})
		pid := spawn(t, sys, c, actors.Options{})
		pass(4 * time.Minute)
		if s := c.Stats(); runs != 3 || s.Acked != 3 || s.Lost != 0 {
			t.Errorf("%d runs, account: %v", runs, s)
		}
		if n := extends.Load(); n < 30 || n > 60 {
			t.Errorf("%d calls to extend leases of 10 s over 190 s", n)
		}
		stop(t, sys, pid, c, q, time.Second)
	})
}

func TestHandlerTimeout(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		q.SendBody("slow")
		var ended []error
		c := newConsumer(q.Open, func(t *actors.Task, m consumer.Message) error {
			d := time.Hour
			if m.Deliveries == 2 {
				d = time.Second
			}
			err := t.Sleep(d)
			ended = append(ended, err)
			return err
		}, consumer.Options{Timeout: 5 * time.Second, Concurrency: 1})
		pid := spawn(t, sys, c, actors.Options{})
		pass(time.Minute)
		if len(ended) != 2 || !errors.Is(ended[0], actors.ErrTimeout) || ended[1] != nil {
			t.Errorf("runs ended with %v", ended)
		}
		if s := stop(t, sys, pid, c, q, time.Second); s.Retried != 1 || s.Acked != 1 {
			t.Errorf("account: %v", s)
		}
	})
}

// TestOtherWorkGetsItsTurns: the worker answers requests while it handles a
// large backlog.
func TestOtherWorkGetsItsTurns(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		q.SendBody(bodies(10000)...)
		handled := 0
		var pid *actor.PID
		var asked *actors.Future[int]
		c := newConsumer(q.Open, func(t *actors.Task, _ consumer.Message) error {
			if handled++; handled == 10 {
				asked = actors.RequestFuture[int](t.ActorSystem().Root, t.Self(), "how many?")
			}
			return nil
		}, consumer.Options{Concurrency: 5000})
		pid = actortest.Spawn(t, sys.Root, "consumer", func(w *actors.Worker) error {
			actors.Handle(w, func(*actors.Task, string) (int, error) { return handled, nil })
			return c.Setup(w)
		}, actors.Options{})
		synctest.Wait()
		if n, err := asked.TryResult(); err != nil || n > 1000 {
			t.Errorf("a request made at message 10 was answered at message %d, %v", n, err)
		}
		stop(t, sys, pid, c, q, time.Second)
	})
}

// TestNoBound: the largest bounds are none.
func TestNoBound(t *testing.T) {
	for _, o := range []consumer.Options{{Concurrency: math.MaxInt, Prefetch: 1}, {Prefetch: math.MaxInt}, {Concurrency: math.MaxInt, Prefetch: math.MaxInt}} {
		actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
			q := memory.New(memory.Options{})
			q.SendBody(bodies(1000)...)
			c := newConsumer(q.Open, func(*actors.Task, consumer.Message) error { return nil }, o)
			pid := spawn(t, sys, c, actors.Options{})
			synctest.Wait()
			if s := stop(t, sys, pid, c, q, time.Second); s.Acked != 1000 {
				t.Errorf("%d and %d: %v", o.Concurrency, o.Prefetch, s)
			}
		})
	}
}

// TestIdlePollersStarveNobody: there may be more of them than goroutines of
// Offload in an actor system, for as long as their queues are empty.
func TestIdlePollersStarveNobody(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{Lease: 10 * time.Second, Wait: time.Hour})
		c := newConsumer(q.Open, sleeper, consumer.Options{})
		for i := range 200 {
			actortest.Spawn(t, sys.Root, fmt.Sprint("consumer-", i), c.Setup, actors.Options{})
		}
		synctest.Wait()
		q.Send(takes("0s"), takes("1m"))
		pass(2 * time.Minute)
		if s := c.Stats(); s.Incarnations != 200 || s.Received != 2 || s.Acked != 2 || s.Lost != 0 {
			t.Errorf("account: %v, %d incarnations", s, s.Incarnations)
		}
	})
}
