// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/testtools"
)

var (
	errLeft  = errors.New("left")
	errRight = errors.New("right")
)

// in runs f in a task of a worker, in a bubble, and fails the test if it

// returns an error.

func in(t *testing.T, f func(w *world, t *actors.Task) error) {
	t.Helper()
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{Logger: discard()}, none)
		if _, err := result(did(w.root, pid, func(t *actors.Task) error { return f(w, t) })); err != nil {
			w.Errorf("the task failed: %v", err)
		}
		w.stopped(pid, time.Hour)
	})
}

// sleeper sleeps for d, and says how it went.

func sleeper(tr *testtools.Trace, name string, d time.Duration) func(t *actors.Task) error {
	return func(t *actors.Task) error {
		err := t.Sleep(d)
		tr.Add("%s: %v", name, err)
		return err
	}
}

func TestGroupWaitsForAllMembers(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var tr testtools.Trace
		start := time.Now()
		g := t.NewGroup()
		g.Go(sleeper(&tr, "a", 2*time.Second))
		g.Go(sleeper(&tr, "b", time.Second))
		err := g.Wait()
		tr.Want(w, "b: <nil>", "a: <nil>")
		if d := time.Since(start); d != 2*time.Second {
			w.Errorf("Wait took %v", d)
		}
		return err
	})
}

func TestGroupStartsMembersAtOnceInOrder(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var tr testtools.Trace
		g := t.NewGroup()
		for i := range 3 {
			g.Go(func(*actors.Task) error { tr.Add("%d", i); return nil })
		}
		tr.Want(w, "0", "1", "2")
		return g.Wait()
	})
}

func TestGroupOfNobody(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error { return t.NewGroup().Wait() })
}

// Of several failures none is lost, and the first comes first; what only

// repeats the cancel is none.

// Nothing of the worker outlives Wait: it waits for a member that cleans up,

// and for what members have started and left. What they have begun elsewhere

// is told, and not waited for.

// A restart or a stop ends all of it, and only then the next incarnation

// begins.

// A member that is stuck in its turn is abandoned at the end of the worker;

// the group does not wait for it for ever.

func TestGroupMembersStartMembers(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var tr testtools.Trace
		g := t.NewGroup()
		g.Go(func(t *actors.Task) error {
			g.Go(sleeper(&tr, "eager", time.Second)) // the group's task is in Go
			_ = t.Sleep(2 * time.Second)
			g.Go(sleeper(&tr, "late", time.Second)) // … and here in Wait
			return nil
		})
		err := g.Wait()
		tr.Want(w, "eager: <nil>", "late: <nil>")
		return err
	})
}

func TestGroupTakesMembersFromOtherTasksOfTheWorker(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var tr testtools.Trace
		g := t.NewGroup()
		g.Go(sleeper(&tr, "member", 2*time.Second))
		stranger := did(t, t.Self(), func(t *actors.Task) error {
			g.Go(sleeper(&tr, "other", 10*time.Second))
			return nil
		})
		if err := g.Wait(); err != nil {
			return err
		}
		tr.Want(w, "member: <nil>", "other: <nil>")
		_, err := actors.Await(t, stranger)
		return err
	})
}

func TestGroupIsReusableUntilWait(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var tr testtools.Trace
		g := t.NewGroup()
		g.Go(func(*actors.Task) error { tr.Add("first"); return nil })
		if err := t.Sleep(time.Second); err != nil { // it has been empty meanwhile
			return err
		}
		g.Go(sleeper(&tr, "second", time.Second))
		err := g.Wait()
		tr.Want(w, "first", "second: <nil>")
		if again := g.Wait(); again != err {
			w.Errorf("Wait, again: %v", again)
		}
		testtools.WantPanic(w, func() { g.Go(panics) }, "actors: Group.Go called after Wait has returned")
		return err
	})
}

func TestGroupsNest(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var tr testtools.Trace
		outer := t.NewGroup()
		outer.Go(func(t *actors.Task) error {
			inner := t.NewGroup()
			inner.Go(sleeper(&tr, "inner", time.Hour))
			err := inner.Wait()
			tr.Add("inner group: %v", errors.Is(err, actors.ErrCanceled))
			return err
		})
		outer.Go(func(t *actors.Task) error { _ = t.Sleep(time.Second); return errLeft })
		if err := outer.Wait(); err != errLeft {
			w.Errorf("Wait: %v", err)
		}
		tr.Want(w, "inner: actors: canceled: left", "inner group: true")
		return nil
	})
}

// A failure of the inner group that its task takes care of is none of the

// outer one.

// A group that nobody waits for leaves nothing in the way of its task's end.

func TestGroupInExclusiveHandler(t *testing.T) {
	bubble(t, func(w *world) {
		var tr testtools.Trace
		pid := w.worker("worker", actors.Options{Logger: discard()}, func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, s string) (string, error) {
				g := t.NewGroup()
				for _, name := range []string{"a", "b"} {
					g.Go(sleeper(&tr, s+name, time.Second))
				}
				return s, g.Wait()
			}, actors.Exclusive())
			return nil
		})
		one := actors.RequestFuture[string](w.root, pid, "1")
		two := actors.RequestFuture[string](w.root, pid, "2")
		want(w, one, "1")
		want(w, two, "2")
		tr.Want(w, "1a: <nil>", "1b: <nil>", "2a: <nil>", "2b: <nil>")
		w.stopped(pid, time.Hour)
	})
}

// A member that asks its own worker while the group's handler holds it closes

// a ring of one. One that only leaves the question behind closes none.

func TestGroupMemberClosesARing(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{Logger: discard()}, func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, how string) (string, error) {
				g := t.NewGroup()
				g.Go(func(t *actors.Task) error {
					if how == "answer" {
						return nil
					}
					f := actors.RequestFuture[string](t, t.Self(), "answer")
					if how == "ask late" {
						_ = t.Sleep(time.Second)
					}
					if how != "leave" {
						_, err := actors.Await(t, f)
						return err
					}
					return nil
				})
				return how, g.Wait()
			}, actors.Exclusive())
			return nil
		})
		for _, how := range []string{"ask", "ask late"} {
			var ring *actors.DeadlockError
			if _, err := result(actors.RequestFuture[string](w.root, pid, how)); !errors.As(err, &ring) || len(ring.Path) != 1 {
				w.Errorf("%s: got %v", how, err)
			}
		}
		want(w, actors.RequestFuture[string](w.root, pid, "leave"), "leave")
		want(w, actors.RequestFuture[string](w.root, pid, "answer"), "answer")
		w.stopped(pid, time.Hour)
	})
}

func TestGroupMisuse(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		g := t.NewGroup()
		testtools.WantPanic(w, func() { g.Go(nil) }, "actors: Group.Go called with a nil function")
		other := actors.Start(t, func(*actors.Task) (int, error) {
			testtools.WantPanic(w, func() { _ = g.Wait() }, "Group.Wait called with the Task of", "by a function that it has started")
			testtools.WantPanic(w, func() { t.NewGroup() }, "NewGroup called with the Task of")
			return 0, nil
		})
		if _, err := actors.Await(t, other); err != nil {
			return err
		}
		g.Go(func(mt *actors.Task) error {
			_ = mt.Yield()
			testtools.WantPanic(w, func() { _ = g.Wait() }, "Group.Wait called with the Task of", "which is suspended")
			return nil
		})
		return g.Wait()
	})
	var g *actors.Group
	in(t, func(w *world, t *actors.Task) error { g = t.NewGroup(); return nil })
	testtools.WantPanic(t, func() { g.Go(panics) }, "actors: Group.Go called outside of a task of the group's worker")
}

// What a group has told its task is no failure that nobody has looked at.
