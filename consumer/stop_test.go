// SPDX-License-Identifier: Apache-2.0

package consumer_test

import (
	"context"
	"errors"
	"fmt"
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

// sleeper is a handler that takes as long as the message's attribute says.
func sleeper(t *actors.Task, m consumer.Message) error {
	d, err := time.ParseDuration(m.Attributes["takes"])
	if err != nil {
		return consumer.Poison(err)
	}
	return t.Sleep(d)
}

func takes(d string) consumer.Message {
	return consumer.Message{Attributes: map[string]string{"takes": d}}
}

// TestStopDrainsAndReturns: on the stop event polling ends at once, handlers
// that run finish within the grace, and the others' messages go back.
func TestStopDrainsAndReturns(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		q.Send(takes("2s"), takes("3s"), takes("1h"), takes("0s"), takes("0s"))
		c := newConsumer(q.Open, sleeper, consumer.Options{Concurrency: 3, Prefetch: 2})
		pid := spawn(t, sys, c, actors.Options{})
		synctest.Wait()
		began := time.Now()
		end := actortest.Go(t, func() (time.Duration, error) {
			_, err := actors.Stop(t.Context(), sys.Root, pid, 10*time.Second)
			return time.Since(began), err
		})
		synctest.Wait()
		if s := c.Stats(); s.Returned != 2 || s.Running != 3 { // what had not begun goes back at once
			t.Errorf("account after the stop event: %v", s)
		}
		q.SendBody("too late")
		pass(20 * time.Second)
		if took, err := end.Result(); err != nil || took != 10*time.Second {
			t.Errorf("the stop took %v, %v", took, err)
		}
		s := c.Stats()
		if s.Received != 5 || s.Acked != 2 || s.Drained != 2 || s.Returned != 3 || s.InFlight != 0 || !s.Agree() {
			t.Errorf("account: %v", s)
		}
		if q.InFlight() != 0 || q.Len() != 4 || q.Sources() != 0 {
			t.Errorf("%d in flight of %d, %d sources", q.InFlight(), q.Len(), q.Sources())
		}
	})
}

func TestStopEndsTheLongPollAtOnce(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		c := newConsumer(q.Open, sleeper, consumer.Options{Pollers: 3})
		pid := spawn(t, sys, c, actors.Options{})
		synctest.Wait()
		began := time.Now()
		stop(t, sys, pid, c, q, time.Minute)
		if d := time.Since(began); d != 0 {
			t.Errorf("an idle consumer took %v to stop", d)
		}
	})
}

// TestStopWithMessagesOnTheirWay: a source that returns messages although its
// context has ended, as one must that has taken them from the queue.
func TestStopWithMessagesOnTheirWay(t *testing.T) {
	for name, grace := range map[string]time.Duration{"graceful": time.Minute, "at once": -1} {
		t.Run(name, func(t *testing.T) {
			actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
				q := memory.New(memory.Options{})
				c := newConsumer(func(ctx context.Context) (consumer.Source, error) {
					s, err := q.Open(ctx)
					return stubborn{s}, err
				}, sleeper, consumer.Options{})
				pid := spawn(t, sys, c, actors.Options{})
				synctest.Wait()
				end := actortest.Go(t, func() (any, error) { return actors.Stop(t.Context(), sys.Root, pid, grace) })
				if !end.Blocked() {
					t.Error("the stop did not wait for the source")
				}
				q.Send(takes("0s"))
				pass(time.Minute)
				if _, err := end.Result(); err != nil {
					t.Error(err)
				}
				if s := c.Stats(); s.Received != 1 || s.Returned != 1 || !s.Agree() || q.InFlight() != 0 {
					t.Errorf("account: %v, %d in flight", s, q.InFlight())
				}
			})
		})
	}
}

// TestStopWithAHungReceive: it is abandoned when the worker has to give up, and
// what it returns then is lost to the queue's lease.
func TestStopWithAHungReceive(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{Wait: time.Hour})
		c := newConsumer(func(ctx context.Context) (consumer.Source, error) {
			s, err := q.Open(ctx)
			return stubborn{s}, err
		}, sleeper, consumer.Options{})
		pid := spawn(t, sys, c, actors.Options{StopGrace: time.Second})
		synctest.Wait()
		began := time.Now()
		actortest.Stop(t, sys.Root, pid, time.Second)
		if d := time.Since(began); d != 2*time.Second {
			t.Errorf("the stop took %v", d)
		}
		if n := len(actortest.LogOf(sys).Find(0, "a call of Receive has not returned")); n != 1 {
			t.Errorf("told %d times that a call is abandoned", n)
		}
		q.Send(takes("0s"))
		pass(time.Minute)
		if s := c.Stats(); s.Lost != s.Received || !s.Agree() || q.InFlight() != 0 {
			t.Errorf("account: %v, %d in flight", s, q.InFlight())
		}
	})
}

// stubborn is a source whose Receive does not look at its context before it
// has messages.
type stubborn struct{ consumer.Source }

func (s stubborn) Receive(_ context.Context, most int) ([]*consumer.Message, error) {
	return s.Source.Receive(context.Background(), most)
}

// TestStopDrainsTheStream: what a source has taken ahead is given back, too,
// and nothing is as long as the source may take it again.
func TestStopDrainsTheStream(t *testing.T) {
	for name, grace := range map[string]time.Duration{"graceful": time.Minute, "at once": -1} {
		t.Run(name, func(t *testing.T) {
			actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
				q := memory.New(memory.Options{})
				q.Send(takes("2s"), takes("0s"), takes("0s"))
				var src *stream
				c := newConsumer(func(ctx context.Context) (consumer.Source, error) {
					s, err := q.Open(ctx)
					src = &stream{Source: s}
					return src, err
				}, sleeper, consumer.Options{Concurrency: 1, Prefetch: 1})
				pid := spawn(t, sys, c, actors.Options{})
				synctest.Wait()
				if n := q.InFlight(); n != 2 {
					t.Fatalf("%d messages are in flight, want 2", n)
				}
				s := stop(t, sys, pid, c, q, grace)
				if s.Received != 3 || s.Returned+s.Acked != 3 || s.Returned < 2 || !s.Agree() || q.InFlight() != 0 {
					t.Errorf("account: %v, %d in flight", s, q.InFlight())
				}
				if !src.drained || src.early > 0 {
					t.Errorf("drained: %v, given back before: %d", src.drained, src.early)
				}
			})
		})
	}
}

// stream is a source that has taken one message more than was received.
type stream struct {
	consumer.Source
	drained bool
	early   int // given back before that
}

func (s *stream) Drain(ctx context.Context) ([]*consumer.Message, error) {
	if s.drained {
		return nil, nil
	}
	s.drained = true
	return s.Source.Receive(ctx, 1)
}

func (s *stream) Nack(ctx context.Context, ns []consumer.Nack) error {
	if !s.drained {
		s.early += len(ns)
	}
	return s.Source.Nack(ctx, ns)
}

// TestStopLetsACallEnd: what the source is being told when the grace is over is
// not told twice, unless it takes too long.
func TestStopLetsACallEnd(t *testing.T) {
	for name, c := range map[string]struct{ takes, stop time.Duration }{
		"soon": {time.Second, time.Second}, "hung": {time.Hour, 100*time.Millisecond + 2*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
				q := memory.New(memory.Options{})
				q.Send(takes("1h"), takes("0s"))
				src := &slowNack{takes: c.takes}
				con := newConsumer(func(ctx context.Context) (_ consumer.Source, err error) {
					src.Source, err = q.Open(ctx)
					return src, err
				}, sleeper, consumer.Options{Concurrency: 1, Prefetch: 1})
				pid := spawn(t, sys, con, actors.Options{})
				synctest.Wait()
				began := time.Now()
				s := stop(t, sys, pid, con, q, 100*time.Millisecond)
				if d := time.Since(began); d != c.stop {
					t.Errorf("the stop took %v, want %v", d, c.stop)
				}
				if c.takes < 2*time.Second && (s.Returned != 2 || s.Lost != 0 || s.Trouble != 0) {
					t.Errorf("account: %v", s)
				}
			})
		})
	}
}

// slowNack is a source whose first answer to Nack comes late: it has heard it.
type slowNack struct {
	consumer.Source
	takes time.Duration
	told  bool
}

func (s *slowNack) Nack(ctx context.Context, ns []consumer.Nack) error {
	if err := s.Source.Nack(ctx, ns); s.told {
		return err
	}
	s.told = true
	select {
	case <-time.After(s.takes):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// TestForcedStopReturnsAll: a kill gives everything back.
func TestForcedStopReturnsAll(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		q.Send(takes("1h"), takes("1h"), takes("0s"))
		c := newConsumer(q.Open, sleeper, consumer.Options{Concurrency: 2, Prefetch: 1})
		pid := spawn(t, sys, c, actors.Options{})
		synctest.Wait()
		s := stop(t, sys, pid, c, q, -1)
		if s.Returned != 3 || s.Failures != 0 || q.InFlight() != 0 {
			t.Errorf("account: %v, %d in flight", s, q.InFlight())
		}
	})
}

// TestAbandonedHandler: one that blocks its turn and never returns is given
// up; its message goes back, and what it says later is not heard.
func TestAbandonedHandler(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{Lease: time.Hour})
		q.SendBody("stuck")
		free := make(chan struct{})
		c := newConsumer(q.Open, func(*actors.Task, consumer.Message) error { <-free; return nil }, consumer.Options{})
		pid := spawn(t, sys, c, actors.Options{StopGrace: time.Second, BlockedTurn: -1})
		synctest.Wait()
		if n := actortest.Stop(t, sys.Root, pid, time.Second); n.Pending != 0 {
			t.Error(n)
		}
		s := c.Stats()
		if s.Returned != 1 || s.Acked != 0 || s.Running != 1 || q.InFlight() != 0 || q.Sources() != 0 {
			t.Errorf("account: %v, running %d, %d in flight", s, s.Running, q.InFlight())
		}
		close(free)
		synctest.Wait()
		if s := c.Stats(); s.Returned != 1 || s.Acked != 0 || s.Running != 0 || !s.Agree() {
			t.Errorf("account: %v, running %d", s, s.Running)
		}
	})
}

// TestPendingAcksAreToldAtTheEnd: what is handled and not acked yet at a hard
// stop is acked then, and not handled again.
func TestPendingAcksAreToldAtTheEnd(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		down := true
		q := memory.New(memory.Options{Fault: func(_ context.Context, call memory.Call, _ []string) error {
			if call == memory.Ack && down {
				return errors.New("no acks now")
			}
			return nil
		}})
		q.Send(takes("0s"), takes("0s"))
		c := newConsumer(q.Open, sleeper, consumer.Options{Trouble: actors.Backoff{Initial: time.Minute}})
		pid := spawn(t, sys, c, actors.Options{})
		synctest.Wait()
		down = false
		if s := stop(t, sys, pid, c, q, -1); s.Acked != 2 || s.Lost != 0 || q.Len() != 0 {
			t.Errorf("account: %v, %d left", s, q.Len())
		}
	})
}

// TestSourceThatCannotBeTold: nothing is counted as told that was not.
func TestSourceThatCannotBeTold(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{Lease: time.Minute, Fault: func(_ context.Context, call memory.Call, _ []string) error {
			if call == memory.Ack || call == memory.Nack {
				return errors.New("down")
			}
			return nil
		}})
		q.Send(takes("0s"), takes("1h"))
		c := newConsumer(q.Open, sleeper, consumer.Options{})
		pid := spawn(t, sys, c, actors.Options{})
		pass(time.Second)
		if s := stop(t, sys, pid, c, q, time.Second); s.Lost != 2 || s.Acked+s.Returned != 0 || q.InFlight() != 2 {
			t.Errorf("account: %v", s)
		}
		pass(time.Minute)
		if q.InFlight() != 0 { // the leases are over
			t.Error("messages did not come back")
		}
	})
}

func TestStopWhileItOpens(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		c := newConsumer(func(ctx context.Context) (consumer.Source, error) {
			time.Sleep(3 * time.Second) // without a look at ctx
			return q.Open(context.Background())
		}, sleeper, consumer.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := actors.Spawn(ctx, sys.Root, "consumer", c.Setup, actors.Options{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("spawned: %v", err)
		}
		pass(10 * time.Second)
		if n := q.Sources(); n != 0 {
			t.Errorf("%d sources are open", n)
		}
	})
}

func TestStartAndStopAtAnyTime(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		q.Send(takes("1ms"), takes("1h"), takes("0s"), takes("1s"), takes("x"))
		c := newConsumer(q.Open, sleeper, consumer.Options{Concurrency: 2, MaxTries: -1, Pollers: 2})
		var n atomic.Int64
		actortest.Stress(t, func() func() {
			pid, err := actors.Spawn(context.Background(), sys.Root, fmt.Sprint("consumer-", n.Add(1)), c.Setup, actors.Options{})
			if err != nil {
				t.Error(err)
				return func() {}
			}
			return func() {
				if _, err := actors.Stop(context.Background(), sys.Root, pid, time.Millisecond); err != nil {
					t.Error(err)
				}
			}
		})
		synctest.Wait()
		if s := c.Stats(); !s.Agree() || s.InFlight != 0 || s.Running != 0 || s.Lost != 0 || q.Sources() != 0 || q.InFlight() != 0 {
			t.Errorf("account: %v, %d sources, %d in flight", s, q.Sources(), q.InFlight())
		}
	})
}
