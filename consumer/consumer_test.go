// SPDX-License-Identifier: Apache-2.0

package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
)

func TestMain(m *testing.M) { actortest.Main(m) }

// spawn starts a consumer's worker without a supervisor.
func spawn(t *testing.T, sys *actor.ActorSystem, c *consumer.Consumer, o actors.Options) *actor.PID {
	t.Helper()
	return actortest.Spawn(t, sys.Root, "consumer", c.Setup, o)
}

// stop stops a worker and checks the account, and that the source was closed.
func stop(t *testing.T, sys *actor.ActorSystem, pid *actor.PID, c *consumer.Consumer, q *memory.Queue, grace time.Duration) consumer.Stats {
	t.Helper()
	actortest.Stop(t, sys.Root, pid, grace)
	s := c.Stats()
	if !s.Agree() || s.InFlight != 0 {
		t.Errorf("the account does not hold at the end: %v", s)
	}
	if n := q.Sources(); n != 0 {
		t.Errorf("%d sources are open after the stop", n)
	}
	return s
}

// pass lets time pass, and everything come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// seen is what handlers have seen; tests look at it meanwhile.
type seen[T any] struct {
	mu  sync.Mutex
	all []T
}

// add adds v and returns how many there are.
func (s *seen[T]) add(v T) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, v)
	return len(s.all)
}

func (s *seen[T]) list() []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// bodies are n different ones.
func bodies(n int) []string {
	bs := make([]string, n)
	for i := range bs {
		bs[i] = fmt.Sprint("body ", i)
	}
	return bs
}

func TestHandlesAndAcks(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		q.SendBody(bodies(100)...)
		var got seen[string]
		c := newConsumer(q.Open, func(_ *actors.Task, m consumer.Message) error {
			got.add(string(m.Body))
			if m.Key == "" || m.ID == "" || m.Deliveries != 1 || m.SentAt.IsZero() || m.ReceivedAt.IsZero() {
				t.Errorf("incomplete message: %+v", m)
			}
			return nil
		}, consumer.Options{})
		pid := spawn(t, sys, c, actors.Options{})
		synctest.Wait()
		if !slices.Equal(got.list(), bodies(100)) {
			t.Errorf("handled %q", got.list())
		}
		if q.Len() != 0 {
			t.Errorf("%d messages are left", q.Len())
		}
		q.SendBody("one more") // ends the long poll
		synctest.Wait()
		if all := got.list(); all[len(all)-1] != "one more" {
			t.Errorf("handled last: %q", all[len(all)-1])
		}
		s := stop(t, sys, pid, c, q, time.Second)
		if want := (consumer.Stats{Received: 101, Acked: 101, Polls: s.Polls, Incarnations: 1}); s != want {
			t.Errorf("account: %v, want %v", s, want)
		}
	})
}

func TestRetriesWithBackoff(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		q.SendBody("x")
		var at []time.Duration
		began := time.Now()
		c := newConsumer(q.Open, func(_ *actors.Task, m consumer.Message) error {
			at = append(at, time.Since(began))
			if m.Deliveries != len(at) {
				t.Errorf("delivery %d says it is %d", len(at), m.Deliveries)
			}
			switch {
			case len(at) == 2:
				panic("boom")
			case len(at) < 5:
				return errors.New("not yet")
			}
			return nil
		}, consumer.Options{Retry: actors.Backoff{Initial: time.Second, Max: 3 * time.Second}})
		pid := spawn(t, sys, c, actors.Options{})
		pass(time.Minute)
		want := []time.Duration{0, time.Second, 3 * time.Second, 6 * time.Second, 9 * time.Second}
		if !slices.Equal(at, want) {
			t.Errorf("tried at %v, want %v", at, want)
		}
		s := stop(t, sys, pid, c, q, time.Second)
		if s.Retried != 4 || s.Acked != 1 || s.Failures != 4 || len(q.Dead()) != 0 {
			t.Errorf("account: %v", s)
		}
	})
}

func TestDeadLetterAfterTries(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		q.Send(consumer.Message{Body: []byte("bad"), Key: "k", Attributes: map[string]string{"a": "b"}})
		reason := errors.New("it never works")
		tries := 0
		c := newConsumer(q.Open, func(*actors.Task, consumer.Message) error { tries++; return reason }, consumer.Options{MaxTries: 3})
		pid := spawn(t, sys, c, actors.Options{})
		pass(time.Minute)
		dead := q.Dead()
		if tries != 3 || len(dead) != 1 || q.Len() != 0 {
			t.Fatalf("%d tries, dead: %v, %d left", tries, dead, q.Len())
		}
		if d := dead[0]; !errors.Is(d.Reason, reason) || d.Tries != 3 || string(d.Message.Body) != "bad" {
			t.Errorf("dead letter: %+v", d)
		}
		attrs := consumer.DeadAttributes(dead[0])
		if attrs[consumer.AttrReason] != "it never works" || attrs[consumer.AttrTries] != "3" || attrs["a"] != "b" || attrs[consumer.AttrKey] != "k" {
			t.Errorf("attributes: %v", attrs)
		}
		if s := stop(t, sys, pid, c, q, time.Second); s.DeadLettered != 1 || s.Retried != 2 {
			t.Errorf("account: %v", s)
		}
	})
}

// noText is an error whose methods panic if it is nil.
type noText struct{ text string }

func (e *noText) Error() string { return e.text }

// TestErrorThatPanics: a handler's error whose methods panic is one like others,
// and does not bring the worker down where the source reads it.
func TestErrorThatPanics(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		q.SendBody("bad", "worse")
		c := newConsumer(func(ctx context.Context) (consumer.Source, error) {
			s, err := q.Open(ctx)
			return reading{s.(consumer.DeadLetterer)}, err
		}, func(_ *actors.Task, m consumer.Message) error {
			var none *noText
			if string(m.Body) == "worse" {
				return consumer.Poison(none)
			}
			return none
		}, consumer.Options{MaxTries: 2})
		pid := spawn(t, sys, c, actors.Options{})
		pass(time.Minute)
		if s := stop(t, sys, pid, c, q, time.Second); s.DeadLettered != 2 || s.Retried != 1 || s.Incarnations != 1 {
			t.Errorf("account: %v, %d incarnations", s, s.Incarnations)
		}
	})
}

// badLog is a log handler that panics.
type badLog struct{ slog.Handler }

func (badLog) Enabled(context.Context, slog.Level) bool  { return true }
func (badLog) Handle(context.Context, slog.Record) error { panic("a log handler") }
func (b badLog) WithAttrs([]slog.Attr) slog.Handler      { return b }

// TestLogHandlerThatPanics: the consumer goes on as it would have.
func TestLogHandlerThatPanics(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		calls := 0
		q := memory.New(memory.Options{Fault: func(_ context.Context, call memory.Call, _ []string) error {
			if call == memory.Receive {
				if calls++; calls < 3 {
					return errors.New("the source fails")
				}
			}
			return nil
		}})
		q.SendBody("bad", "worse")
		c := newConsumer(q.Open, func(_ *actors.Task, m consumer.Message) error {
			if string(m.Body) == "worse" {
				return consumer.Poison(errors.New("poison"))
			}
			return errors.New("no")
		}, consumer.Options{MaxTries: 2, Logger: slog.New(badLog{slog.DiscardHandler})})
		pid := spawn(t, sys, c, actors.Options{})
		pass(time.Minute)
		if s := stop(t, sys, pid, c, q, time.Second); s.DeadLettered != 2 || s.Retried != 1 || s.Incarnations != 1 {
			t.Errorf("account: %v, %d incarnations", s, s.Incarnations)
		}
	})
}

// reading is a source that reads the reasons, as those outside of the process do.
type reading struct{ consumer.DeadLetterer }

func (s reading) DeadLetter(ctx context.Context, ds []consumer.Dead) error {
	for _, d := range ds {
		_ = consumer.DeadAttributes(d)
	}
	return s.DeadLetterer.DeadLetter(ctx, ds)
}

func TestPoisonDelaysNobody(t *testing.T) {
	type item struct{ N int }
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		stuck := make(chan struct{}) // the place for dead letters is slow
		q := memory.New(memory.Options{Fault: func(ctx context.Context, call memory.Call, _ []string) error {
			if call == memory.DeadLetter {
				<-stuck
			}
			return nil
		}})
		q.SendBody(`{"N":1}`, `{"N":`, `{"N":2}`, `nonsense`, "", `{"N":3}`)
		var got []int
		c := newConsumer(q.Open, consumer.JSON(func(_ *actors.Task, v item, _ consumer.Message) error {
			got = append(got, v.N)
			return nil
		}), consumer.Options{Concurrency: 1})
		pid := spawn(t, sys, c, actors.Options{})
		synctest.Wait()
		if !slices.Equal(got, []int{1, 2, 3}) || q.Len() != 3 {
			t.Errorf("handled %v at once, %d left", got, q.Len())
		}
		close(stuck)
		synctest.Wait()
		if dead := q.Dead(); len(dead) != 3 || !errors.Is(dead[0].Reason, consumer.ErrPoison) || dead[0].Tries != 1 {
			t.Errorf("dead: %v", dead)
		}
		if s := stop(t, sys, pid, c, q, time.Second); s.DeadLettered != 3 || s.Acked != 3 || s.Retried != 0 {
			t.Errorf("account: %v", s)
		}
	})
}

func TestNoPlaceForDeadLetters(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{NoDeadLetters: true})
		q.SendBody("bad")
		var at []time.Duration
		began := time.Now()
		c := newConsumer(q.Open, func(*actors.Task, consumer.Message) error {
			at = append(at, time.Since(began))
			return consumer.Poison(errors.New("bad"))
		}, consumer.Options{Retry: actors.Backoff{Initial: time.Second, Max: time.Minute}})
		pid := spawn(t, sys, c, actors.Options{})
		pass(150 * time.Second)
		if want := []time.Duration{0, time.Minute, 2 * time.Minute}; !slices.Equal(at, want) {
			t.Errorf("tried at %v, want %v", at, want)
		}
		if s := stop(t, sys, pid, c, q, time.Second); s.DeadLettered != 0 || s.Retried != 3 || q.Len() != 1 {
			t.Errorf("account: %v, %d left", s, q.Len())
		}
		if n := len(actortest.LogOf(sys).Find(0, "no place for dead letters")); n != 1 {
			t.Errorf("told %d times that there is no place", n)
		}
	})
}
