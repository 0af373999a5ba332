// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
)

// do is what the handler of a ringer does.
type do func(t *actors.Task) (int, error)

// ringer spawns a worker that does jobs, one after the other.
func (w *world) ringer(name string) *actor.PID {
	return w.worker(name, actors.Options{Logger: discard()}, func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, j do) (int, error) { return j(t) }, actors.Exclusive())
		return nil
	})
}

func seven(*actors.Task) (int, error) { return 7, nil }

// wantRing fails the test unless err is a deadlock along these workers.
func wantRing(t testing.TB, what string, err error, path ...string) {
	t.Helper()
	var ring *actors.DeadlockError
	if !errors.As(err, &ring) {
		t.Errorf("%s: got %v, want a DeadlockError", what, err)
		return
	}
	var got []string
	for _, pid := range ring.Path {
		got = append(got, pid.Id)
	}
	if !slices.Equal(got, path) {
		t.Errorf("%s: the path is %v, want %v", what, got, path)
	}
}

// lateAwaits are ways to wait for an Any.
var lateAwaits = map[string]func(t *actors.Task, f *actors.Future[int]) error{
	"Any": waitFor[int],
	"All": func(t *actors.Task, f *actors.Future[int]) error {
		return waitFor(t, futures.All(futures.Resolved(1), f))
	},
	"Settled": func(t *actors.Task, f *actors.Future[int]) error { return waitFor(t, futures.Settled(f)) },
	"Race":    func(t *actors.Task, f *actors.Future[int]) error { return waitFor(t, futures.Race(f, f)) },
	"FirstCompleted": func(t *actors.Task, f *actors.Future[int]) error {
		return waitFor(t, futures.FirstCompleted(f, futures.Shield(f)))
	},
	"FirstException": func(t *actors.Task, f *actors.Future[int]) error {
		return waitFor(t, futures.FirstException(futures.Resolved(1), f))
	},
	"Shield": func(t *actors.Task, f *actors.Future[int]) error { return waitFor(t, futures.Shield(f)) },
	"timeout": func(t *actors.Task, f *actors.Future[int]) error {
		return waitFor(t, futures.WithTimeout(f, time.Hour))
	},
	"a failure": func(t *actors.Task, f *actors.Future[int]) error {
		return waitFor(t, futures.Any(futures.Failed[int](errLeft), f))
	},
	"nested": func(t *actors.Task, f *actors.Future[int]) error {
		return waitFor(t, futures.Any(futures.All(futures.Any(f), futures.Shield(f))))
	},
	"AwaitEach": func(t *actors.Task, f *actors.Future[int]) error {
		n := 0
		for i, err := range futures.AwaitEach(t, f, futures.Resolved(1)) {
			if err != nil {
				return err
			}
			if n++; i != 1 || n > 1 {
				return errors.New("it has yielded what it should not")
			}
		}
		return nil
	},
	"a group": func(t *actors.Task, f *actors.Future[int]) error {
		g := t.NewGroup()
		g.Go(func(t *actors.Task) error { return waitFor(t, f) })
		return g.Wait()
	},
	"a child": func(t *actors.Task, f *actors.Future[int]) error {
		return waitFor(t, actors.Start(t, func(t *actors.Task) (int, error) { return actors.Await(t, f) }))
	},
	"a cleanup": func(t *actors.Task, f *actors.Future[int]) error {
		return t.Cleanup(time.Hour, func(t *actors.Task) error { return waitFor(t, f) })
	},
}

func waitFor[T any](t *actors.Task, f *actors.Future[T]) error {
	_, err := actors.Await(t, f)
	return err
}

// An Any whose members fail until only those are left that wait for the task
// that awaits it.
func TestRingClosedByTheMembersOfAny(t *testing.T) {
	for name, wait := range lateAwaits {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				ps, fs := promises(2)
				var anyOf *actors.Future[int]
				pid := w.ringer("worker")
				f := actors.RequestFuture[int](w.root, pid, do(func(t *actors.Task) (int, error) {
					back := actors.RequestFuture[int](w.root, t.Self(), do(seven))
					anyOf = futures.Any(fs[0], back, fs[1])
					return 0, wait(t, anyOf)
				}))
				synctest.Wait()
				// Somebody else waits for it, too: that is no part of the ring.
				other := did(w.root, w.worker("other", actors.Options{}, none), func(t *actors.Task) error { return waitFor(t, anyOf) })
				time.Sleep(time.Minute)
				ps[0].Reject(errLeft)
				synctest.Wait()
				wantPending(w, "with a member that will do", f)
				ps[1].Reject(errRight)
				synctest.Wait()
				_, err := f.TryResult()
				wantRing(w, "the handler", err, "worker")
				wantNow(w, "the Any, whose ring is none any more", anyOf, 7)
				wantNow(w, "the other one", other, struct{}{})
				w.stopped(pid, time.Hour)
			})
		})
	}
}

// The Any is awaited by one of several workers in the ring, and by others
// first, which only wait for one that is in it.
func TestRingThroughOthersClosedByAMember(t *testing.T) {
	bubble(t, func(w *world) {
		ps, fs := promises(1)
		a, b, c := w.ringer("a"), w.ringer("b"), w.worker("c", actors.Options{}, none)
		var outside *actors.Future[actors.None]
		f := actors.RequestFuture[int](w.root, a, do(func(t *actors.Task) (int, error) {
			return actors.Ask[int](t, b, do(func(t *actors.Task) (int, error) {
				back := actors.Submit(t, c, func(t *actors.Task) (int, error) { return actors.Ask[int](t, a, do(seven)) })
				anyOf := futures.Any(fs[0], back)
				outside = did(w.root, c, func(t *actors.Task) error { return waitFor(t, futures.All(anyOf, back)) })
				if err := t.Sleep(time.Second); err != nil {
					return 0, err
				}
				_, err := actors.Await(t, anyOf)
				wantRing(w, "the one that awaits the Any", err, "b", "c", "a")
				return 8, nil
			}))
		}))
		time.Sleep(time.Minute)
		ps[0].Reject(errLeft)
		synctest.Wait()
		wantNow(w, "the first request", f, 8)
		wantNow(w, "one that waits for the ring", outside, struct{}{})
	})
}

// Two rings go through one Any. The same failure closes both, and each is found.
func TestTwoRingsClosedByOneMember(t *testing.T) {
	bubble(t, func(w *world) {
		ready, first := new(actors.Promise[*actors.Future[[]int]]), new(actors.Promise[[]int])
		wait := do(func(t *actors.Task) (int, error) {
			f, err := actors.Await(t, ready.Future())
			if err != nil {
				return 0, err
			}
			return 0, waitFor(t, f)
		})
		a, b := w.ringer("a"), w.ringer("b")
		one, two := actors.RequestFuture[int](w.root, a, wait), actors.RequestFuture[int](w.root, b, wait)
		synctest.Wait()
		all := futures.All(actors.RequestFuture[int](w.root, a, do(seven)), actors.RequestFuture[int](w.root, b, do(seven)))
		ready.Resolve(futures.Any(first.Future(), all))
		synctest.Wait()
		wantPending(w, "the first", one)
		first.Reject(errLeft)
		synctest.Wait()
		_, err1 := one.TryResult()
		_, err2 := two.TryResult()
		if !errors.As(err1, new(*actors.DeadlockError)) || !errors.As(err2, new(*actors.DeadlockError)) {
			w.Errorf("got %v and %v", err1, err2)
		}
		wantNow(w, "what they waited for", all, []int{7, 7})
	})
}

// Of two tasks that wait for the same Any it is enough that one goes on.
func TestRingOfTwoEndsOneAwait(t *testing.T) {
	bubble(t, func(w *world) {
		ps, fs := promises(1)
		ready := new(actors.Promise[*actors.Future[int]])
		wait := do(func(t *actors.Task) (int, error) {
			f, err := actors.Await(t, ready.Future())
			if err != nil {
				return 0, err
			}
			return actors.Await(t, f)
		})
		a, b := w.ringer("a"), w.ringer("b")
		one, two := actors.RequestFuture[int](w.root, a, wait), actors.RequestFuture[int](w.root, b, wait)
		synctest.Wait()
		ready.Resolve(futures.Any(actors.RequestFuture[int](w.root, a, do(seven)), actors.RequestFuture[int](w.root, b, do(seven)), fs[0]))
		synctest.Wait()
		ps[0].Reject(errLeft)
		synctest.Wait()
		_, err1 := one.TryResult()
		v, err2 := two.TryResult()
		if err1 == nil {
			v, err1, err2 = 7, err2, nil
		}
		if !errors.As(err1, new(*actors.DeadlockError)) || v != 7 || err2 != nil {
			w.Errorf("got %v; %v, %v", err1, v, err2)
		}
	})
}

// A full worker is part of such a ring, too, and so is one whose member failed
// before anybody waited for the Any.
func TestRingThroughAFullWorkerClosedByAMember(t *testing.T) {
	bubble(t, func(w *world) {
		ps, fs := promises(1)
		pid := w.worker("full", actors.Options{Logger: discard(), MaxInFlight: 2}, func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, j do) (int, error) { return j(t) })
			return nil
		})
		wait := do(func(t *actors.Task) (int, error) {
			self := t.Self()
			return actors.Await(t, futures.Any(fs[0], actors.Submit(w.root, self, func(t *actors.Task) (int, error) {
				return actors.Ask[int](t, self, do(seven))
			})))
		})
		for _, when := range []string{"afterwards", "before"} {
			one, two := actors.RequestFuture[int](w.root, pid, wait), actors.RequestFuture[int](w.root, pid, wait)
			synctest.Wait()
			if when == "afterwards" {
				wantPending(w, "the first", one)
				ps[0].Reject(errLeft)
				synctest.Wait()
			}
			var ring *actors.DeadlockError
			_, err1 := one.TryResult()
			_, err2 := two.TryResult()
			if !errors.As(err1, &ring) && !errors.As(err2, &ring) {
				w.Errorf("%s: got %v and %v", when, err1, err2)
			}
		}
		w.stopped(pid, time.Hour)
	})
}

// What fails where another member will do disturbs nobody.
func TestNoRingWhereAMemberOfAnyWillDo(t *testing.T) {
	for _, how := range []string{"a value of a member", "an answer later", "a timeout", "a race"} {
		bubble(t, func(w *world) {
			ps, fs := promises(2)
			pid := w.ringer("worker")
			f := actors.RequestFuture[int](w.root, pid, do(func(t *actors.Task) (int, error) {
				back := actors.RequestFuture[int](w.root, t.Self(), do(seven))
				slow := actors.Start(t, func(t *actors.Task) (int, error) { return 9, t.Sleep(70 * time.Second) })
				anyOf := futures.Any(fs[0], fs[1], back)
				switch how {
				case "an answer later":
					anyOf = futures.Any(anyOf, slow)
				case "a timeout":
					anyOf = futures.Any(futures.WithTimeout(futures.Shield(anyOf), time.Second), slow)
				case "a race":
					anyOf = futures.Race(anyOf, slow)
				}
				return actors.Await(t, anyOf)
			}))
			time.Sleep(time.Minute)
			ps[0].Reject(errLeft)
			if how == "a value of a member" {
				ps[1].Resolve(9)
			} else {
				ps[1].Reject(errLeft)
			}
			want(w, f, 9)
			w.stopped(pid, time.Hour)
		})
	}
}

// A request that its handler has left to somebody else to answer waits for
// nobody that is known, whoever holds the worker.
func TestNoRingWhereAnybodyMayAnswer(t *testing.T) {
	bubble(t, func(w *world) {
		var sender *actor.PID
		pid := w.worker("worker", actors.Options{Logger: discard()}, func(w *actors.Worker) error {
			actors.On(w, func(t *actors.Task, _ string) error { sender = t.Sender(); return nil })
			actors.Handle(w, func(t *actors.Task, f *actors.Future[int]) (int, error) { return actors.Await(t, f) }, actors.Exclusive())
			return nil
		})
		left := actors.RequestFuture[int](w.root, pid, "")
		f := actors.RequestFuture[int](w.root, pid, left)
		synctest.Wait()
		wantPending(w, "the one that waits for it", f)
		w.root.Send(sender, 7)
		want(w, f, 7)
		w.stopped(pid, time.Hour)
	})
}
