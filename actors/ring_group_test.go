// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// In a limited group a member has its place until it returns. One that waits for a
// member without a place waits for itself, if all who have a place do so.
func TestRingThroughALimitedGroup(t *testing.T) {
	const nap = time.Second
	// Each begins to wait for what is not in the queue yet when it begins itself.
	for name, wait := range map[string]func(t *actors.Task, other *actor.PID, queued func() *actors.Future[int]) error{
		"itself": func(t *actors.Task, _ *actor.PID, queued func() *actors.Future[int]) error {
			return waitFor(t, queued())
		},
		"by a child": func(t *actors.Task, _ *actor.PID, queued func() *actors.Future[int]) error {
			return waitFor(t, actors.Start(t, func(t *actors.Task) (int, error) { return actors.Await(t, queued()) }))
		},
		"by a child that waits later": func(t *actors.Task, _ *actor.PID, queued func() *actors.Future[int]) error {
			return waitFor(t, actors.Start(t, func(t *actors.Task) (int, error) {
				if err := t.Sleep(nap); err != nil {
					return 0, err
				}
				return actors.Await(t, queued())
			}))
		},
		"by a group of its own": func(t *actors.Task, _ *actor.PID, queued func() *actors.Future[int]) error {
			g := t.NewGroup()
			g.Go(func(t *actors.Task) error {
				if err := t.Sleep(nap); err != nil {
					return err
				}
				return waitFor(t, queued())
			})
			return g.Wait()
		},
		"by a scope": func(t *actors.Task, _ *actor.PID, queued func() *actors.Future[int]) error {
			return t.Scope(func(t *actors.Task) error { return waitFor(t, queued()) })
		},
		"by another worker that waits later": func(t *actors.Task, other *actor.PID, queued func() *actors.Future[int]) error {
			return waitFor(t, actors.Submit(t, other, func(t *actors.Task) (int, error) {
				if err := t.Sleep(nap); err != nil {
					return 0, err
				}
				return actors.Await(t, queued())
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(w *world, t *actors.Task) error {
				begin := time.Now()
				other := w.worker("other", actors.Options{Logger: discard()}, none)
				var queued *actors.Future[int]
				g := t.NewGroup()
				g.SetLimit(2)
				for range 2 { // the second one closes the ring
					g.Go(func(t *actors.Task) error {
						if err := t.Sleep(nap); err != nil {
							return err
						}
						return wait(t, other, func() *actors.Future[int] { return queued })
					})
				}
				queued = actors.Start(t, func(*actors.Task) (int, error) { return 7, nil }, g.Member())
				err := g.Wait()
				var ring *actors.DeadlockError
				if !errors.As(err, &ring) {
					w.Errorf("the group: got %v, want a DeadlockError", err)
				}
				if d := time.Since(begin); d > 2*nap {
					w.Errorf("found after %v", d)
				}
				return nil
			})
		})
	}
}

// The error ends one wait: the place of the member that has it goes to the one that is
// waited for, if the failure is kept from the group.
func TestRingThroughALimitedGroupEndsOneAwait(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var queued *actors.Future[int]
		g := t.NewGroup()
		g.SetLimit(2)
		failed := 0
		for range 2 {
			g.Go(func(t *actors.Task) error {
				_ = t.Yield() // until the third one is in the queue
				v, err := actors.Await(t, queued)
				if err != nil {
					failed++
					wantRing(w, "the member that closes the ring", err, "worker")
				} else if v != 7 {
					w.Error(v)
				}
				return nil
			})
		}
		queued = actors.Start(t, func(*actors.Task) (int, error) { return 7, nil }, g.Member())
		err := g.Wait()
		if failed != 1 {
			w.Errorf("%d awaits have failed", failed)
		}
		return err
	})
}

// One place that becomes free is enough.
func TestNoRingWhereAMemberOfTheGroupGoesOn(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var queued *actors.Future[int]
		g := t.NewGroup()
		g.SetLimit(2)
		waits := actors.Start(t, func(t *actors.Task) (int, error) {
			_ = t.Yield()
			return actors.Await(t, queued)
		}, g.Member())
		g.Go(func(t *actors.Task) error { return t.Sleep(time.Second) })
		queued = actors.Start(t, func(*actors.Task) (int, error) { return 7, nil }, g.Member())
		if err := g.Wait(); err != nil {
			return err
		}
		synctest.Wait()
		wantNow(w, "the member that waits", waits, 7)
		return nil
	})
}
