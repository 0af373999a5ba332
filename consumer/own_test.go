// SPDX-License-Identifier: Apache-2.0

package consumer_test

import (
	"context"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
)

// TestOwnCallsWaitForNoOthers: acks and extensions of leases get through
// however many functions handlers, or other workers, have offloaded.
func TestOwnCallsWaitForNoOthers(t *testing.T) {
	t.Run("functions of its handlers that last longer than a lease", func(t *testing.T) {
		actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
			const messages = 400
			q := memory.New(memory.Options{Lease: 2 * time.Second})
			q.SendBody(bodies(messages)...)
			c := newConsumer(q.Open, func(t *actors.Task, _ consumer.Message) error {
				_, err := actors.Await(t, actors.Offload(t, func(context.Context) (int, error) {
					time.Sleep(3 * time.Second)
					return 0, nil
				}))
				return err
			}, consumer.Options{Concurrency: messages})
			pid := spawnProps(t, sys, c.Props())
			pass(5 * time.Second)
			if s := c.Stats(); s.Acked != messages || s.Received != messages || s.Lost != 0 {
				t.Errorf("account: %v", s)
			}
			stop(t, sys, pid, c, q, time.Second)
		})
	})
	t.Run("functions that hang", func(t *testing.T) {
		actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
			free := make(chan struct{})
			q := memory.New(memory.Options{Lease: 2 * time.Second})
			c := newConsumer(q.Open, func(t *actors.Task, _ consumer.Message) error {
				actors.Offload(t, func(context.Context) (int, error) { <-free; return 0, nil })
				return nil
			}, consumer.Options{})
			pid := spawn(t, sys, c, actors.Options{MaxOffloads: 1, StopGrace: time.Second})
			q.SendBody(bodies(300)...)
			pass(10 * time.Second)
			if s := c.Stats(); s.Acked != 300 || s.Received != 300 {
				t.Errorf("account: %v", s)
			}
			close(free)
			stop(t, sys, pid, c, q, time.Second)
		})
	})
}

func spawnProps(t *testing.T, sys *actor.ActorSystem, props *actor.Props) *actor.PID {
	t.Helper()
	pid, err := sys.Root.SpawnNamed(props, "consumer")
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
