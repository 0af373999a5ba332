// SPDX-License-Identifier: Apache-2.0

package actortest

import (
	"context"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/messages"
)

// Spawn is [actors.Spawn]; the test fails at once if it returns an error.
func Spawn(t testing.TB, s actor.SpawnerContext, name string, setup func(w *actors.Worker) error, o actors.Options) *actor.PID {
	t.Helper()
	pid, err := actors.Spawn(context.Background(), s, name, setup, o)
	if err != nil {
		t.Fatalf("actortest: %v", err)
	}
	return pid
}

// Status asks a worker for its Status, and fails the test if the account in
// it does not balance. To ask is no work of the worker's: it is not counted.
func Status(t testing.TB, s actor.SenderContext, worker *actor.PID) *messages.Status {
	t.Helper()
	st, err := actors.RequestFuture[*messages.Status](s, worker, &messages.StatusRequest{}).Wait(context.Background())
	if err != nil {
		t.Fatalf("actortest: status of %s: %v", worker.Id, err)
	}
	balanced(t, worker, st.Counts)
	return st
}

// Stop stops a worker with the given grace, as [actors.Stop] does, waits until
// it is gone and returns its final account. The test fails if that does not
// balance or if anything is still pending.
func Stop(t testing.TB, s actor.SenderContext, worker *actor.PID, grace time.Duration) *messages.Counts {
	t.Helper()
	end, err := actors.Stop(s, worker, grace).Wait(context.Background())
	if err != nil {
		t.Fatalf("actortest: stop of %s: %v", worker.Id, err)
	}
	balanced(t, worker, end.Counts)
	if end.Counts.Pending != 0 {
		t.Errorf("actortest: %s has stopped with work pending: %v", worker.Id, end.Counts)
	}
	return end.Counts
}

// balanced fails the test if an account contradicts itself.
func balanced(t testing.TB, worker *actor.PID, c *messages.Counts) {
	t.Helper()
	if c == nil {
		t.Fatalf("actortest: %s has no account", worker.Id)
	}
	ended := c.Finished + c.Failed + c.Canceled + c.Abandoned + c.DeadLettered
	if c.Offered != c.Accepted+c.Refused || c.Accepted != ended+c.Pending {
		t.Errorf("actortest: the account of %s does not balance: %v", worker.Id, c)
	}
}
