// SPDX-License-Identifier: Apache-2.0

package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
)

// byType is a kind: what the producer calls the message's type.
func byType(m consumer.Message) string { return m.Attributes["type"] }

// TestInfo: what is in flight, how far it has come, and what has gone wrong last.
func TestInfo(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{MaxBatch: 2, Lease: time.Hour})
		hold := new(actors.Promise[actors.None])
		broken := errors.New("broken")
		c := newConsumer(q.Open, func(t *actors.Task, m consumer.Message) error {
			switch string(m.Body) {
			case "hold":
				return t.Await(hold.Future())
			case "panic":
				panic(m.ID)
			}
			return broken
		}, consumer.Options{Name: "orders", Kind: byType, Concurrency: 3, Prefetch: 2, MaxTries: 2,
			Order: consumer.ByGroup, Retry: actors.Backoff{Initial: time.Minute}})
		if i := c.Info(); i.Name != "orders" || i.Workers != nil || !i.LastPoll.IsZero() || i.InFlight != nil {
			t.Errorf("before it has a worker it is %+v", i)
		}
		if all := consumer.All(sys); len(all) != 0 {
			t.Errorf("there are consumers without workers: %v", all)
		}
		message := func(id, group, body string) consumer.Message {
			return consumer.Message{ID: id, Key: "key " + group, Group: group, Body: []byte(body), Attributes: map[string]string{"type": "Placed"}}
		}
		q.Send(message("m1", "g", "hold"), message("m2", "g", "hold"), message("m3", "h", "fails"), message("m4", "", "panic"))
		pass(10 * time.Second)
		pid := spawn(t, sys, c, actors.Options{})
		synctest.Wait()
		began := time.Now()
		pass(2 * time.Second)
		if all := consumer.All(sys); len(all) != 1 || all[0] != c {
			t.Errorf("found %v", all)
		}
		i := c.Info()
		var got []string
		for _, m := range i.InFlight {
			got = append(got, fmt.Sprintf("%s %s, %s, %s, tries %d, %v", m.Worker.Id, m.ID, m.Task, m.State, m.Tries, m.Age))
		}
		want := []string{
			"consumer m1, orders: message Placed, running, tries 1, 2s",
			"consumer m2, orders: message Placed, waiting, tries 0, 2s",
			"consumer m3, orders: message Placed, pausing, tries 1, 2s",
		}
		if !slices.Equal(got, want) {
			t.Errorf("in flight are\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
		}
		if h := i.InFlight; h[0].KeyHash != h[1].KeyHash || h[0].KeyHash == h[2].KeyHash || h[0].KeyHash == 0 {
			t.Errorf("the hashes of keys are %x, %x and %x", h[0].KeyHash, h[1].KeyHash, h[2].KeyHash)
		}
		if i.QueueTime != 10*time.Second || i.LastReceive != began || i.Stats != c.Stats() || i.Concurrency != 3 || i.Prefetch != 2 || i.MaxTries != 2 ||
			len(i.Workers) != 1 || !i.Workers[0].Equal(pid) {
			t.Errorf("%+v", i)
		}
		if e := i.Errors; len(e) != 2 || e[0].Message != "m3" || e[0].Err != broken || e[0].Try != 1 || e[0].At != began || e[0].Stack != nil ||
			e[1].Message != "m4" || !strings.Contains(string(e[1].Stack), "consumer_test.TestInfo") {
			t.Errorf("errors %+v", i.Errors)
		}
		if n, err := c.Lag(t.Context()); n != 1 || err != nil { // m4 has gone back
			t.Errorf("%d messages wait, %v", n, err)
		}
		hold.Resolve(actors.None{})
		pass(0)
		stop(t, sys, pid, c, q, time.Second)
		if i := c.Info(); i.Workers != nil || i.InFlight != nil || len(i.Errors) != 2 {
			t.Errorf("in the end it is %+v", i)
		}
		if all := consumer.All(sys); len(all) != 0 {
			t.Errorf("in the end there are %v", all)
		}
		if _, err := c.Lag(t.Context()); !errors.Is(err, consumer.ErrClosed) {
			t.Errorf("in the end the lag is an error %v", err)
		}
	})
}

// TestInfoBounds: of many messages the oldest are shown, and of many errors the last.
func TestInfoBounds(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{MaxBatch: 100, Fault: func(_ context.Context, call memory.Call, _ []string) error {
			if call == memory.Nack {
				return errors.New("no nacks")
			}
			return nil
		}})
		n := 0
		c := newConsumer(q.Open, func(t *actors.Task, m consumer.Message) error {
			if n++; n <= 20 {
				return consumer.Unavailable(fmt.Errorf("error %d", n))
			}
			return t.Sleep(time.Hour)
		}, consumer.Options{Concurrency: 500, Breaker: consumer.Breaker{Failures: -1}, Trouble: actors.Backoff{Initial: time.Hour}})
		pid := spawn(t, sys, c, actors.Options{})
		for range 3 {
			q.SendBody(bodies(100)...)
			pass(time.Second)
		}
		i := c.Info()
		if len(i.InFlight) != 200 || i.InFlight[0].Age != 3*time.Second || i.InFlight[199].Age != 2*time.Second {
			t.Errorf("%d are shown, of ages %v to %v", len(i.InFlight), i.InFlight[0].Age, i.InFlight[199].Age)
		}
		if e := i.Errors; len(e) != 8 || e[6].Err.Error() != "error 20" || e[7].Err.Error() != "no nacks" || e[7].Message != "" {
			t.Errorf("errors %+v", e)
		}
		actortest.Stop(t, sys.Root, pid, 0)
	})
}

// TestTaskNames: tasks have as many names as there are kinds of messages, and no more than
// there is room for.
func TestTaskNames(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		c := newConsumer(q.Open, func(t *actors.Task, m consumer.Message) error { return t.Sleep(time.Hour) },
			consumer.Options{Name: "orders", Concurrency: 1000, Kind: func(m consumer.Message) string {
				if m.ID == "0" {
					panic("no kind")
				}
				return m.Attributes["type"]
			}})
		pid := spawn(t, sys, c, actors.Options{})
		for n := range 300 {
			q.Send(consumer.Message{ID: fmt.Sprint(n), Attributes: map[string]string{"type": fmt.Sprintf("kind\n%d", n/2)}})
		}
		synctest.Wait()
		names := map[string]int{}
		for _, w := range inspect.System(sys).Workers {
			for _, task := range w.Tasks {
				names[task.Name]++
			}
		}
		if len(names) > 64+1+8 || names["orders: message (unknown)"] != 1 || names["orders: message kind 1"] != 2 || names["orders: message (other)"] < 150 || names["orders: poll"] != 1 {
			t.Errorf("%d names: %v", len(names), names)
		}
		actortest.Stop(t, sys.Root, pid, 0)
	})
}

// TestLagOfNoLagger: a source that cannot tell says so, and one that is asked is closed afterwards.
func TestLagOfNoLagger(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		plain := func(ctx context.Context) (consumer.Source, error) {
			s, err := q.Open(ctx)
			return struct{ consumer.Source }{s}, err
		}
		c := newConsumer(plain, func(*actors.Task, consumer.Message) error { return nil }, consumer.Options{})
		pid := spawn(t, sys, c, actors.Options{})
		synctest.Wait()
		if _, err := c.Lag(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("error %v", err)
		}
		stop(t, sys, pid, c, q, time.Second)

		slow := &slowLagger{}
		c = newConsumer(func(ctx context.Context) (consumer.Source, error) {
			s, err := q.Open(ctx)
			slow.Source = s
			return slow, err
		}, func(*actors.Task, consumer.Message) error { return nil }, consumer.Options{})
		pid = spawn(t, sys, c, actors.Options{})
		synctest.Wait()
		lag := actortest.Go(t, func() (int64, error) { return c.Lag(context.Background()) })
		if !lag.Blocked() {
			t.Error("it does not ask the source")
		}
		stop(t, sys, pid, c, q, time.Second)
		if _, err := lag.Result(); !errors.Is(err, context.Canceled) {
			t.Errorf("a call that the end has found under way: %v", err)
		}
		if slow.wrong {
			t.Error("the source was closed before it had returned")
		}
	})
}

// slowLagger takes until its context ends, and a moment more.
type slowLagger struct {
	consumer.Source
	mu     sync.Mutex
	asked  bool
	closed bool
	wrong  bool
}

func (s *slowLagger) Lag(ctx context.Context) (int64, error) {
	<-ctx.Done()
	time.Sleep(time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.wrong = true, s.closed
	return 0, ctx.Err()
}

func (s *slowLagger) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return s.Source.Close(ctx)
}

// TestLogContext: what is logged of a message comes with the context of its handler's task.
func TestLogContext(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		h := &contextHandler{}
		var tasks seen[context.Context]
		c := newConsumer(q.Open, func(t *actors.Task, _ consumer.Message) error {
			tasks.add(t.Context())
			return consumer.Poison(errors.New("bad"))
		}, consumer.Options{Logger: slog.New(h)})
		pid := spawn(t, sys, c, actors.Options{})
		q.SendBody("x")
		synctest.Wait()
		if all := tasks.list(); len(all) != 1 || h.of("consumer: dead letter") != all[0] {
			t.Errorf("the record has %v, want that of the task", h.of("consumer: dead letter"))
		}
		actortest.Stop(t, sys.Root, pid, time.Second)
		if h.of("consumer: ended") == context.Background() {
			t.Error("the last record has no task's context")
		}
	})
}

// contextHandler keeps the contexts of records by their text.
type contextHandler struct {
	mu  sync.Mutex
	all map[string]context.Context
}

func (h *contextHandler) of(text string) context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all[text]
}

func (h *contextHandler) Handle(ctx context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil {
		h.all = map[string]context.Context{}
	}
	h.all[r.Message] = ctx
	return nil
}

func (h *contextHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *contextHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *contextHandler) WithGroup(string) slog.Handler            { return h }
