// SPDX-License-Identifier: Apache-2.0

package consumer_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
	"github.com/protoloop/protoloop/supervisor"
)

// supervise starts a consumer as a supervisor's child.
func supervise(t *testing.T, sys *actor.ActorSystem, c *consumer.Consumer, b actors.Backoff) *supervisor.Supervisor {
	t.Helper()
	s, err := supervisor.Start(context.Background(), sys, supervisor.Spec{Name: "app", MaxRestarts: 1000, Children: []supervisor.Child{
		{Name: "items", Props: c.Props(), Backoff: b},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRestartReopensTheSource(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		q.SendBody(bodies(3)...)
		var got seen[string]
		c := newConsumer(q.Open, func(t *actors.Task, m consumer.Message) error {
			got.add(string(m.Body))
			if string(m.Body) == "body 1" && m.Deliveries == 1 {
				return t.Sleep(time.Hour) // cut off by the restart
			}
			return nil
		}, consumer.Options{})
		s := supervise(t, sys, c, actors.Backoff{Initial: time.Second})
		synctest.Wait()
		q.Break()
		pass(500 * time.Millisecond)
		if n := q.Sources(); n != 0 {
			t.Errorf("%d sources are open while the consumer is down", n)
		}
		q.SendBody("later")
		pass(time.Minute) // the lease of body 1 is over: a broken source could not give it back
		want := []string{"body 0", "body 1", "body 2", "later", "body 1"}
		if !slices.Equal(got.list(), want) || q.Len() != 0 {
			t.Errorf("handled %v, %d left", got.list(), q.Len())
		}
		if _, err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if st := c.Stats(); st.Incarnations != 2 || st.Acked != 4 || st.Lost != 1 || !st.Agree() {
			t.Errorf("account: %v, incarnations %d", st, st.Incarnations)
		}
	})
}

// TestOutageIsWaitedOut: errors of the source are no failure of the worker;
// handlers go on meanwhile.
func TestOutageIsWaitedOut(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		began := time.Now()
		var calls seen[time.Duration]
		q := memory.New(memory.Options{Lease: time.Hour, Fault: func(_ context.Context, call memory.Call, _ []string) error {
			if call != memory.Receive || time.Since(began) < time.Second || time.Since(began) > 50*time.Second {
				return nil
			}
			calls.add(time.Since(began))
			return errors.New("down")
		}, Wait: time.Second})
		q.Send(takes("30s"))
		c := newConsumer(q.Open, sleeper, consumer.Options{Trouble: actors.Backoff{Initial: time.Second, Max: 8 * time.Second}})
		s := supervise(t, sys, c, actors.Backoff{})
		pass(40 * time.Second)
		if st := c.Stats(); st.Acked != 1 || st.Incarnations != 1 {
			t.Errorf("account in the outage: %v", st)
		}
		q.Send(takes("0s"))
		pass(20 * time.Second)
		if st := c.Stats(); st.Acked != 2 || st.Incarnations != 1 || int(st.Trouble) != len(calls.list()) {
			t.Errorf("account after the outage: %v", st)
		}
		var waits []time.Duration
		for i, at := range calls.list()[1:] {
			waits = append(waits, at-calls.list()[i])
		}
		if want := []time.Duration{1e9, 2e9, 4e9, 8e9}; !slices.Equal(waits[:4], want) || slices.Max(waits) != 8*time.Second {
			t.Errorf("waited %v", waits)
		}
		if _, err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestLongOutageRestarts: after Outage the supervisor has the source opened
// again, also if that fails at first.
func TestLongOutageRestarts(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		var down atomic.Bool
		var opens atomic.Int64
		q := memory.New(memory.Options{Wait: time.Second, Fault: func(_ context.Context, call memory.Call, _ []string) error {
			if call == memory.Open {
				opens.Add(1)
			}
			if down.Load() && call != memory.Close {
				return errors.New("down")
			}
			return nil
		}})
		c := newConsumer(q.Open, sleeper, consumer.Options{Outage: 10 * time.Second})
		s := supervise(t, sys, c, actors.Backoff{Initial: time.Second, Max: 5 * time.Second})
		synctest.Wait()
		down.Store(true)
		pass(9 * time.Second)
		if n := opens.Load(); n != 1 {
			t.Errorf("opened %d times within the outage that is waited out", n)
		}
		pass(50 * time.Second)
		down.Store(false)
		q.Send(takes("0s"))
		pass(10 * time.Second)
		if st := c.Stats(); opens.Load() < 5 || st.Incarnations != 2 || st.Acked != 1 {
			t.Errorf("opened %d times, account: %v, incarnations %d", opens.Load(), st, st.Incarnations)
		}
		if _, err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if n := q.Sources(); n != 0 {
			t.Errorf("%d sources are open", n)
		}
	})
}

func TestOpenErrorFailsTheStart(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		why := errors.New("no such queue")
		c := newConsumer(func(context.Context) (consumer.Source, error) { return nil, why }, sleeper, consumer.Options{})
		_, err := supervisor.Start(context.Background(), sys, supervisor.Spec{Name: "app", Children: []supervisor.Child{{Name: "items", Props: c.Props()}}})
		var open *consumer.OpenError
		if !errors.Is(err, why) || !errors.As(err, &open) {
			t.Errorf("start: %v", err)
		}
	})
}

// TestSourceThatNeverWaits is not called in a tight loop.
func TestSourceThatNeverWaits(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{Wait: time.Nanosecond})
		c := newConsumer(q.Open, sleeper, consumer.Options{})
		pid := spawn(t, sys, c, actors.Options{})
		pass(10 * time.Second)
		if n := c.Stats().Polls; n > 110 {
			t.Errorf("%d calls in ten seconds", n)
		}
		stop(t, sys, pid, c, q, time.Second)
	})
}

// TestAcksAreToldAgain: acks that fail are told again, those of a batch that
// did not fail are not, and a message that is gone is given up.
func TestAcksAreToldAgain(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		var told seen[[]string]
		q := memory.New(memory.Options{Fault: func(_ context.Context, call memory.Call, ids []string) error {
			if call != memory.Ack {
				return nil
			}
			switch told.add(ids) {
			case 1:
				return errors.New("down")
			case 2:
				var b consumer.BatchError
				b.Fail(1, errors.New("busy"))
				b.Fail(2, consumer.ErrGone)
				return &b
			}
			return nil
		}})
		q.SendBody(bodies(4)...)
		runs := 0
		c := newConsumer(q.Open, func(*actors.Task, consumer.Message) error { runs++; return nil }, consumer.Options{})
		pid := spawn(t, sys, c, actors.Options{})
		pass(time.Second)
		if all := told.list(); len(all) != 3 || !slices.Equal(all[1], []string{"1", "2", "3", "4"}) || !slices.Equal(all[2], []string{"2"}) {
			t.Errorf("acks: %v", all)
		}
		if s := stop(t, sys, pid, c, q, time.Second); s.Acked != 3 || s.Lost != 1 || runs != 4 || s.Trouble != 2 {
			t.Errorf("account: %v, %d runs", s, runs)
		}
	})
}
