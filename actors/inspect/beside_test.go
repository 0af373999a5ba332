// SPDX-License-Identifier: Apache-2.0

package inspect_test

import (
	"sync"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
)

// What has been seen of a task may end, and let go of its creator, before that is read. The race
// detector says whether it may.
func TestLookBesideChildrenThatEnd(t *testing.T) {
	sys := actortest.NewSystem(t)
	pid := actortest.Spawn(t, sys.Root, "w", func(*actors.Worker) error { return nil }, actors.Options{})
	over := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				_ = inspect.System(sys)
			}
		}
	})
	for range 100 {
		_, err := actors.SubmitErr(sys.Root, pid, func(t *actors.Task) error {
			g := t.NewGroup()
			for range 20 {
				g.Go(func(t *actors.Task) error {
					return t.Await(t.Go(func(t *actors.Task) error { return t.Sleep(10 * time.Microsecond) }))
				})
			}
			return g.Wait()
		}).Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
	}
	close(over)
	looking.Wait()
	actortest.Stop(t, sys.Root, pid, time.Minute)
}
