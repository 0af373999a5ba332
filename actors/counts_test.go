// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// TestRefusedBeforeNotAccepted: what is refused is counted as that before it is
// no longer counted as accepted. A worker tells its final account when nothing
// is pending, and that one would not have it.
func TestRefusedBeforeNotAccepted(t *testing.T) {
	sys := actor.NewActorSystem()
	defer sys.Shutdown()
	pid, err := Spawn(t.Context(), sys.Root, "w", func(*Worker) error { return nil }, Options{BlockedTurn: -1})
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	Submit(sys.Root, pid, func(*Task) (int, error) { <-release; return 0, nil })
	stopped := RequestStop(sys.Root, pid, time.Hour)
	mb := systemOf(sys).worker(pid)

	var begun, over atomic.Int64
	go func() {
		for range 200_000 {
			begun.Add(1)
			RequestFuture[int](sys.Root, pid, "late")
		}
		over.Store(1)
	}()
	seen := 0
	for over.Load() == 0 {
		n := begun.Load()
		if mb.accepted.Load() != 2 { // it is not on its way
			continue
		}
		for mb.accepted.Load() != 1 && over.Load() == 0 {
		}
		if refused := mb.counts.readSeldom().refused.Load(); refused < n && begun.Load() == n {
			t.Fatalf("%d requests are not accepted, but only %d are refused", n, refused)
		}
		seen++
	}
	t.Logf("looked %d times", seen)
	close(release)
	if _, err := stopped.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}
