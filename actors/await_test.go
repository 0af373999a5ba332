// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// TestAwaitBehindALateInterrupt has the end of a Cleanup's time come when the
// Cleanup is over and its task awaits the next thing, in the moment in which that is
// done. The task is then woken by the one, finds the other done, and goes on to its
// next await, while whoever completes the future may still be about to wake it.
func TestAwaitBehindALateInterrupt(t *testing.T) {
	sys := actortest.NewSystem(t)
	w := &world{T: t, sys: sys, root: sys.Root}
	pid := w.worker("worker", actors.Options{Logger: discard()}, none)
	const tasks, awaits = 20, 500
	var all []*actors.Future[actors.None]
	for range tasks {
		all = append(all, did(w.root, pid, func(t *actors.Task) error {
			for range awaits {
				const grace = 200 * time.Microsecond
				var next, afterwards actors.Promise[int]
				time.AfterFunc(grace+time.Duration(rand.IntN(20))*time.Microsecond, func() {
					next.Resolve(1)
					afterwards.Resolve(2)
				})
				_ = t.Cleanup(grace, func(t *actors.Task) error {
					return t.Sleep(grace - 20*time.Microsecond)
				})
				if v, err := actors.Await(t, next.Future()); v != 1 || err != nil {
					t.Logger().Error("next", "v", v, "err", err)
				}
				if v, err := actors.Await(t, afterwards.Future()); v != 2 || err != nil {
					t.Logger().Error("afterwards", "v", v, "err", err)
				}
			}
			return nil
		}))
	}
	for _, f := range all {
		want(w, f, actors.None{})
	}
}
