// SPDX-License-Identifier: Apache-2.0

package condition_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/condition"
)

// TestCondition: those who wait go on at the next change, and those who come after it wait for the one after.
func TestCondition(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		pid := actortest.Spawn(t, sys.Root, "worker", func(*actors.Worker) error { return nil }, actors.Options{})
		var c condition.Condition // the worker's loop guards it
		var waits []*actors.Future[actors.None]
		for range 3 {
			waits = append(waits, actors.SubmitErr(sys.Root, pid, c.Wait))
		}
		broadcast := func() {
			actors.SubmitErr(sys.Root, pid, func(*actors.Task) error { c.Broadcast(); return nil })
			synctest.Wait()
		}
		synctest.Wait()
		waits[0].Cancel()
		synctest.Wait()
		if waits[1].Done() || waits[2].Done() {
			t.Fatal("somebody goes on without a change")
		}
		broadcast()
		for i, f := range waits {
			if _, err := f.TryResult(); !f.Done() || errors.Is(err, actors.ErrCanceled) != (i == 0) || i > 0 && err != nil {
				t.Errorf("number %d of those who wait: done %v, %v", i, f.Done(), err)
			}
		}
		late := actors.SubmitErr(sys.Root, pid, c.Wait)
		synctest.Wait()
		if late.Done() {
			t.Error("a change is found that was before")
		}
		broadcast()
		broadcast()
		if !late.Done() {
			t.Error("it does not go on")
		}
	})
}
