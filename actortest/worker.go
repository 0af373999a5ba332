// SPDX-License-Identifier: Apache-2.0

package actortest

import (
	"context"
	"testing"

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

// WorkerStatus is a worker, here or on another machine, as it was at one moment.
type WorkerStatus struct {
	Worker       string // id and address of its PID
	State        string // as in a Worker of package inspect
	Incarnation  uint64 // 1 is the first; each restart adds 1
	Queued       int64  // messages and submissions that have not started
	InFlight     int64  // tasks that have started and not ended
	BlockedTurns int64  // that were reported, so far
	Counts       actors.Counts
}

// Status asks a worker for its status, and fails the test if the account in
// it does not balance. To ask is no work of the worker's: it is not counted.
func Status(t testing.TB, s actor.SenderContext, worker *actor.PID) WorkerStatus {
	t.Helper()
	m, err := actors.RequestFuture[*messages.Status](s, worker, &messages.StatusRequest{}).Wait(context.Background())
	if err != nil {
		t.Fatalf("actortest: status of %s: %v", worker.Id, err)
	}
	c := m.GetCounts()
	st := WorkerStatus{
		Worker: m.GetWorker(), State: m.GetState(), Incarnation: m.GetIncarnation(),
		Queued: m.GetQueued(), InFlight: m.GetInFlight(), BlockedTurns: m.GetBlockedTurns(),
		Counts: actors.Counts{
			Offered: c.GetOffered(), Accepted: c.GetAccepted(), Refused: c.GetRefused(),
			Finished: c.GetFinished(), Failed: c.GetFailed(), Canceled: c.GetCanceled(),
			Abandoned: c.GetAbandoned(), DeadLettered: c.GetDeadLettered(), Pending: c.GetPending(),
		},
	}
	checkBalance(t, worker, st.Counts)
	return st
}

// Stop is [actors.Stop]: it stops a worker with the given grace, waits until it is gone
// and returns its final account. The test fails if that does not balance or if anything
// is still pending.
func Stop(t testing.TB, s actor.SenderContext, worker *actor.PID, grace actors.Grace) actors.Counts {
	t.Helper()
	c, err := actors.Stop(context.Background(), s, worker, grace)
	if err != nil {
		t.Fatalf("actortest: stop of %s: %v", worker.Id, err)
	}
	checkBalance(t, worker, c)
	if c.Pending != 0 {
		t.Errorf("actortest: %s has stopped with work pending: %+v", worker.Id, c)
	}
	return c
}

// checkBalance fails the test if an account contradicts itself.
func checkBalance(t testing.TB, worker *actor.PID, c actors.Counts) {
	t.Helper()
	if !c.Agree() {
		t.Errorf("actortest: the account of %s does not balance: %+v", worker.Id, c)
	}
}
