// SPDX-License-Identifier: Apache-2.0

package consumer_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
)

// TestFailureHook: it is told of messages that are given up, of panics, and when the
// breaker opens; not of what is tried again.
func TestFailureHook(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		var told seen[string]
		defer inspect.OnFailure(sys, func(f inspect.Failure) {
			if f.Task != "consumer: message" || f.Worker.GetId() != "consumer" {
				t.Errorf("told of %+v", f)
			}
			told.add(fmt.Sprintf("%s: %v, stack %v", f.Kind, f.Err, len(f.Stack) > 0)) // the ID is in the error: there are too many for a name
		})()
		want := func(want ...string) {
			t.Helper()
			pass(time.Minute)
			if got := told.list(); !slices.Equal(got, want) {
				t.Errorf("told:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
			}
			told = seen[string]{}
		}
		q := memory.New(memory.Options{})
		c := newConsumer(q.Open, func(t *actors.Task, m consumer.Message) error {
			switch string(m.Body) {
			case "fine":
				return nil
			case "panic":
				if m.Deliveries > 1 {
					return nil
				}
				panic("a handler")
			case "down":
				return consumer.Unavailable(errors.New("refused"))
			case "poison":
				return consumer.Poison(errors.New("no such thing"))
			}
			return errors.New("bad")
		}, consumer.Options{MaxTries: 2})
		pid := spawn(t, sys, c, actors.Options{})
		q.SendBody("fine", "panic")
		want("callback panic: consumer: message 2: panic in a handler: panic: a handler, stack true")
		q.SendBody("poison")
		want("dead letter: consumer: message 3: dead letter: no such thing, stack false")
		q.SendBody("bad")
		want("dead letter: consumer: message 4: dead letter: bad, stack false")
		for range 5 {
			q.SendBody("down")
		}
		want("stalled work: consumer: message 8: the breaker is open: refused, stack false")
		actortest.Stop(t, sys.Root, pid, time.Second)
	})
}
