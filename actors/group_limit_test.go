// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/testtools"
)

// Members have futures of their own, typed if Start makes them.
func TestGroupMembersHaveFutures(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		g := t.NewGroup()
		done := g.Go(func(t *actors.Task) error { return t.Sleep(time.Second) })
		price := actors.Start(t, func(t *actors.Task) (int, error) { return 7, t.Sleep(2 * time.Second) }, g.Member())
		failed := actors.Start(t, func(t *actors.Task) (int, error) { _ = t.Sleep(3 * time.Second); return 0, errLeft }, g.Member())
		cut := actors.Start(t, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) }, g.Member())
		if _, err := actors.Await(t, done); err != nil || price.Done() {
			w.Error(err, price.Done())
		}
		if err := g.Wait(); err != errLeft {
			w.Error(err)
		}
		if v, err := price.TryResult(); v != 7 || err != nil {
			w.Error(v, err)
		}
		if _, err := failed.TryResult(); err != errLeft {
			w.Error(err)
		}
		if _, err := cut.TryResult(); !errors.Is(err, actors.ErrCanceled) {
			w.Error(err)
		}
		return nil
	})
}

// A limited group runs its members in order, so many at a time, and Go does not wait.
func TestGroupLimit(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		const n, limit = 100, 3
		var began []int
		running, most := 0, 0
		start := time.Now()
		g := t.NewGroup()
		g.SetLimit(limit)
		for i := range n {
			g.Go(func(t *actors.Task) error {
				began = append(began, i)
				running++
				most = max(most, running)
				defer func() { running-- }()
				return t.Sleep(time.Second)
			})
		}
		if time.Since(start) != 0 || running != limit {
			w.Errorf("%d run after %v", running, time.Since(start))
		}
		testtools.WantPanic(w, func() { g.SetLimit(1) }, "Group.SetLimit called while the group has 100 members")
		err := g.Wait()
		if took := time.Since(start); took != 34*time.Second || most != limit || len(began) != n {
			w.Errorf("%d ran, %d at a time, in %v", len(began), most, took)
		}
		for i, b := range began {
			if i != b {
				w.Fatalf("the order is %v", began)
			}
		}
		return err
	})
}

// A long queue of members that return at once nests no deeper than one.
func TestGroupLimitOfMembersThatDoNotAwait(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		g := t.NewGroup()
		g.SetLimit(1)
		ran := 0
		g.Go(func(t *actors.Task) error { return t.Sleep(time.Second) })
		for range 100_000 {
			g.Go(func(t *actors.Task) error { ran++; return nil })
		}
		err := g.Wait()
		if ran != 100_000 {
			w.Errorf("%d ran", ran)
		}
		return err
	})
}

// Who waits for a place ends without one: by its own cancel, its Timeout, the failure of
// a member, and the end of the group's task.
func TestGroupLimitOfMembersThatEndInTheQueue(t *testing.T) {
	never := func(w *world) func(*actors.Task) (int, error) {
		return func(*actors.Task) (int, error) { w.Error("it ran"); return 0, nil }
	}
	t.Run("canceled", func(t *testing.T) {
		in(t, func(w *world, t *actors.Task) error {
			g := t.NewGroup()
			g.SetLimit(1)
			g.Go(func(t *actors.Task) error { return t.Sleep(time.Second) })
			f := actors.Start(t, never(w), g.Member())
			last := g.Go(func(t *actors.Task) error { return nil })
			f.Cancel()
			if _, err := f.TryResult(); !errors.Is(err, actors.ErrCanceled) {
				w.Error(err)
			}
			err := g.Wait()
			if !errors.Is(err, actors.ErrCanceled) && err != nil || !last.Done() {
				w.Error(err, last.Done())
			}
			return nil
		})
	})
	t.Run("out of time", func(t *testing.T) {
		in(t, func(w *world, t *actors.Task) error {
			g := t.NewGroup()
			g.SetLimit(1)
			g.Go(func(t *actors.Task) error { return t.Sleep(time.Hour) })
			f := actors.Start(t, never(w), g.Member(), actors.Timeout(time.Second))
			if err := t.Sleep(time.Second + 1); err != nil {
				return err
			}
			if _, err := f.TryResult(); !errors.Is(err, actors.ErrTimeout) {
				w.Error(err)
			}
			g.Cancel()
			_ = g.Wait()
			return nil
		})
	})
	t.Run("a member has failed", func(t *testing.T) {
		in(t, func(w *world, t *actors.Task) error {
			g := t.NewGroup()
			g.SetLimit(1)
			g.Go(func(t *actors.Task) error { _ = t.Yield(); return errLeft })
			f := actors.Start(t, never(w), g.Member())
			if err := g.Wait(); err != errLeft {
				w.Error(err)
			}
			if _, err := f.TryResult(); !errors.Is(err, actors.ErrCanceled) || !errors.Is(err, errLeft) {
				w.Error(err)
			}
			return nil
		})
	})
	for name, stuck := range map[string]bool{"at the stop": false, "at the stop, behind one that is abandoned": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				pid := w.worker("worker", actors.Options{Logger: discard(), StopGrace: time.Second}, none)
				release := make(chan struct{})
				got := make(chan *actors.Future[int], 1)
				did(w.root, pid, func(t *actors.Task) error {
					g := t.NewGroup()
					g.SetLimit(1)
					g.Go(func(t *actors.Task) error {
						err := t.Sleep(time.Hour)
						if stuck {
							<-release
						}
						return err
					})
					got <- actors.Start(t, never(w), g.Member())
					return nil // nobody waits for the group
				})
				synctest.Wait()
				w.stopped(pid, 0)
				wantErr(w, <-got, actors.ErrStopped)
				close(release)
			})
		})
	}
}

// The members of a limited group of an Exclusive handler go on one after the other.
func TestGroupLimitInAnExclusiveHandler(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, _ string) (int, error) {
				g, n := t.NewGroup(), 0
				g.SetLimit(1)
				for range 3 {
					g.Go(func(t *actors.Task) error { n++; return t.Sleep(time.Second) })
				}
				err := g.Wait()
				return n, err
			}, actors.Exclusive())
			return nil
		})
		f := actors.RequestFuture[int](w.root, pid, "go")
		if n, err := result(f); n != 3 || err != nil {
			w.Error(err)
		}
	})
}

// A member that is cancelled in the moment in which it gets a place does not keep it.
func TestGroupLimitOfMembersThatAreCanceledAsTheyBegin(t *testing.T) {
	rounds := 20_000
	if testing.Short() {
		rounds = 2_000
	}
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, none)
		want(w, did(w.root, pid, func(t *actors.Task) error {
			for i := range rounds {
				first := new(actors.Promise[int])
				g := t.NewGroup()
				g.SetLimit(1)
				g.Go(func(t *actors.Task) error { return waitFor(t, first.Future()) })
				f := actors.Start(t, func(*actors.Task) (int, error) { return 0, nil }, g.Member())
				last := g.Go(func(*actors.Task) error { return nil })
				go func() {
					first.Resolve(i)
					for range i % 100 {
						runtime.Gosched()
					}
					f.Cancel()
				}()
				if err := g.Wait(); err != nil && !errors.Is(err, actors.ErrCanceled) || !last.Done() {
					return fmt.Errorf("round %d: %w, %v", i, err, last.Done())
				}
			}
			return nil
		}), actors.None{})
	})
}
