// SPDX-License-Identifier: Apache-2.0

package consumer_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
)

// grouped are n messages of each group, in turns.
func grouped(n int, groups ...string) []consumer.Message {
	var ms []consumer.Message
	for i := range n {
		for _, g := range groups {
			ms = append(ms, consumer.Message{Body: []byte(fmt.Sprint(g, i)), Group: g})
		}
	}
	return ms
}

func TestOrderWithinAKey(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		q.Send(grouped(10, "a", "b", "")...)
		began := time.Now()
		running := map[string]int{}
		got := map[string][]string{}
		c := newConsumer(q.Open, func(t2 *actors.Task, m consumer.Message) error {
			if running[m.Group]++; m.Group != "" && running[m.Group] > 1 {
				t.Errorf("two of group %s run", m.Group)
			}
			defer func() { running[m.Group]-- }()
			if err := t2.Sleep(time.Second); err != nil {
				return err
			}
			got[m.Group] = append(got[m.Group], fmt.Sprintf("%s@%v", m.Body, time.Since(began)))
			return nil
		}, consumer.Options{Concurrency: 32, Order: consumer.ByGroup})
		pid := spawn(t, sys, c, actors.Options{})
		pass(time.Minute)
		for _, g := range []string{"a", "b", ""} {
			var want []string
			for i := range 10 {
				at := time.Second // without a group: all at once
				if g != "" {
					at = time.Duration(i+1) * time.Second
				}
				want = append(want, fmt.Sprintf("%s%d@%v", g, i, at))
			}
			if !slices.Equal(got[g], want) {
				t.Errorf("group %q: %v", g, got[g])
			}
		}
		stop(t, sys, pid, c, q, time.Second)
	})
}

func TestOrderHoldsWhileOneIsTriedAgain(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{Lease: 3 * time.Second}) // shorter than the waits: it is extended
		q.Send(grouped(3, "a", "b")...)
		var got seen[string]
		c := newConsumer(q.Open, func(_ *actors.Task, m consumer.Message) error {
			body := string(m.Body)
			if n := got.add(body); body == "b1" || body == "a0" && n < 6 {
				return errors.New("not yet")
			}
			return nil
		}, consumer.Options{Order: consumer.ByGroup, MaxTries: 4, Retry: actors.Backoff{Initial: 4 * time.Second}})
		pid := spawn(t, sys, c, actors.Options{})
		synctest.Wait()
		if want := []string{"a0", "b0", "b1"}; !slices.Equal(got.list(), want) {
			t.Errorf("handled at first: %v", got.list())
		}
		pass(2 * time.Minute)
		a, b := only(got.list(), 'a'), only(got.list(), 'b')
		if want := []string{"b0", "b1", "b1", "b1", "b1", "b2"}; !slices.Equal(b, want) {
			t.Errorf("b: %v", b)
		}
		if want := []string{"a0", "a0", "a0", "a1", "a2"}; !slices.Equal(a, want) {
			t.Errorf("a: %v", a)
		}
		if d := q.Dead(); len(d) != 1 || d[0].Tries != 4 || string(d[0].Message.Body) != "b1" || d[0].Message.Deliveries != 1 {
			t.Errorf("dead: %+v", d)
		}
		stop(t, sys, pid, c, q, time.Second)
	})
}

func only(all []string, first byte) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s[0] != first })
}

func TestStopReturnsAWholeOrder(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		q.Send(grouped(4, "a")...)
		var got seen[string]
		c := newConsumer(q.Open, func(_ *actors.Task, m consumer.Message) error {
			if got.add(string(m.Body)) == 2 {
				return errors.New("not yet") // a1 pauses
			}
			return nil
		}, consumer.Options{Order: consumer.ByGroup, Retry: actors.Backoff{Initial: time.Hour, Max: time.Hour}})
		pid := spawn(t, sys, c, actors.Options{})
		pass(time.Second)
		s := stop(t, sys, pid, c, q, time.Second)
		if s.Acked != 1 || s.Returned != 3 || q.InFlight() != 0 || q.Len() != 3 {
			t.Errorf("account: %v; %d in flight of %d", s, q.InFlight(), q.Len())
		}
		pid = spawn(t, sys, c, actors.Options{})
		synctest.Wait()
		if want := []string{"a0", "a1", "a1", "a2", "a3"}; !slices.Equal(got.list(), want) {
			t.Errorf("handled %v, want %v", got.list(), want)
		}
		stop(t, sys, pid, c, q, time.Second)
	})
}

// TestOrderAcrossAStop: the first of a group fails within the grace, when those
// behind it have been given back. It must not come after them.
func TestOrderAcrossAStop(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		q.Send(grouped(3, "a")...)
		var got seen[string]
		c := newConsumer(q.Open, func(t *actors.Task, m consumer.Message) error {
			if m.Deliveries == 1 && string(m.Body) == "a0" {
				_ = t.Sleep(time.Second)
				return errors.New("not now")
			}
			got.add(string(m.Body))
			return nil
		}, consumer.Options{Order: consumer.ByGroup})
		pid := spawn(t, sys, c, actors.Options{})
		synctest.Wait()
		if s := stop(t, sys, pid, c, q, 10*time.Second); s.Retried != 1 || s.Returned != 2 {
			t.Errorf("account: %v", s)
		}
		pid = spawn(t, sys, c, actors.Options{})
		pass(time.Minute)
		if want := []string{"a0", "a1", "a2"}; !slices.Equal(got.list(), want) {
			t.Errorf("handled %v, want %v", got.list(), want)
		}
		stop(t, sys, pid, c, q, time.Second)
	})
}

func TestOrderThatPanicsIsPoison(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		q.SendBody("good", "", "better")
		handled := 0
		c := newConsumer(q.Open, func(*actors.Task, consumer.Message) error { handled++; return nil },
			consumer.Options{Order: func(m consumer.Message) string { return string(m.Body[:1]) }})
		pid := spawn(t, sys, c, actors.Options{})
		synctest.Wait()
		var p *actors.PanicError
		if d := q.Dead(); handled != 2 || len(d) != 1 || !errors.As(d[0].Reason, &p) || !errors.Is(d[0].Reason, consumer.ErrPoison) {
			t.Errorf("handled %d, dead %v", handled, d)
		}
		stop(t, sys, pid, c, q, time.Second)
	})
}
