// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/messages"
)

// TestStatusRequestsStarveNobody floods a worker with them while it works.
func TestStatusRequestsStarveNobody(t *testing.T) {
	sys := actortest.NewSystem(t)
	pid := actortest.Spawn(t, sys.Root, "worker", inspected, actors.Options{})
	nobody := sys.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan struct{})
	var floods sync.WaitGroup
	for range 4 {
		floods.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					sys.Root.RequestWithCustomSender(pid, &messages.StatusRequest{}, nobody)
				}
			}
		})
	}
	for i := range 50 {
		if _, err := actors.RequestFuture[int](sys.Root, pid, nap(0)).Wait(ctx); err != nil {
			t.Errorf("after %d requests: %v", i, err)
			break
		}
	}
	close(done)
	floods.Wait()
}

// TestStatusOfABlockedWorker: it has one while the turn lasts.
func TestStatusOfABlockedWorker(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "worker", inspected, actors.Options{BlockedTurn: time.Second})
		until := make(chan struct{})
		actors.RequestFuture[int](sys.Root, pid, stick{until})
		actors.RequestFuture[int](sys.Root, pid, nap(0))
		time.Sleep(time.Minute)
		if s := actortest.Status(t, sys.Root, pid); s.State != "running" || s.Queued != 1 || s.InFlight != 1 || s.BlockedTurns != 1 {
			t.Errorf("the status is %v", s)
		}
		close(until)
		synctest.Wait()
		if s := actortest.Status(t, sys.Root, pid); s.Queued != 0 || s.InFlight != 0 {
			t.Errorf("the status is %v", s)
		}
	})
}
