// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/messages"
)

// TestStatusRequestsStarveNobody floods a worker with them while it works. A request is starved if it waits
// while the worker answers very many that came later, however long that takes.
func TestStatusRequestsStarveNobody(t *testing.T) {
	sys := actortest.NewSystem(t)
	pid := actortest.Spawn(t, sys.Root, "worker", inspected, actors.Options{})
	const many, ahead = 200_000, 1000 // ahead: of each flood, of its answers
	var answered atomic.Int64
	done := make(chan struct{})
	var floods sync.WaitGroup
	for range 4 {
		room := make(chan struct{}, ahead)
		taker := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*messages.Status); ok {
				answered.Add(1)
				<-room
			}
		}))
		floods.Go(func() {
			for {
				select {
				case <-done:
					return
				case room <- struct{}{}:
					sys.Root.RequestWithCustomSender(pid, &messages.StatusRequest{}, taker)
				}
			}
		})
	}
	for i := range 50 {
		f := actors.RequestFuture[int](sys.Root, pid, nap(0), actors.Timeout(time.Hour))
		before := answered.Load()
		for !f.Done() && answered.Load()-before <= many {
			time.Sleep(time.Millisecond)
		}
		if n := answered.Load() - before; !f.Done() {
			t.Errorf("request %d waits while %d of status are answered", i+1, n)
			break
		}
		if _, err := f.TryResult(); err != nil {
			t.Errorf("request %d: %v", i+1, err)
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
