// SPDX-License-Identifier: Apache-2.0

package persystem_test

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/persystem"
)

type (
	one struct{ atomic.Int64 }
	two struct{ atomic.Int64 }
)

func newSystem() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
}

// TestOf: one value of each type in each system, whoever asks first.
func TestOf(t *testing.T) {
	a, b := newSystem(), newSystem()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			persystem.Of[one](a).Add(1)
			persystem.Of[two](a).Add(10)
			persystem.Of[one](b).Add(100)
		})
	}
	wg.Wait()
	if n := persystem.Of[one](a).Load(); n != 50 {
		t.Errorf("the first of a has %d", n)
	}
	if n := persystem.Of[two](a).Load(); n != 500 {
		t.Errorf("the second of a has %d", n)
	}
	if n := persystem.Of[one](b).Load(); n != 5000 {
		t.Errorf("the first of b has %d", n)
	}
}
