// SPDX-License-Identifier: Apache-2.0

package futures_test

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

func TestShieldCompletesAsItsFuture(t *testing.T) {
	ps, fs := promises(2)
	a, b := futures.Shield(fs[0]), futures.Shield(fs[1])
	wantPending(t, "Shield", a)
	ps[0].Resolve(1)
	ps[1].Reject(errLeft)
	wantNow(t, "Shield", a, 1)
	wantFailed(t, "Shield", b, errLeft)
}

func TestShieldKeepsACancelAway(t *testing.T) {
	ps, fs := promises(1)
	outer := futures.Shield(fs[0])
	if !outer.Cancel() {
		t.Error("the shield could not be cancelled")
	}
	wantFailed(t, "the shield", outer, actors.ErrCanceled)
	wantPending(t, "what it shields", fs[0])
	ps[0].Resolve(1)
	wantNow(t, "what it shields", fs[0], 1)
	wantFailed(t, "the shield", outer, actors.ErrCanceled)
}

func TestShieldPassesACancelOfItsFutureOn(t *testing.T) {
	_, fs := promises(1)
	outer := futures.Shield(fs[0])
	fs[0].Cancel()
	wantFailed(t, "the shield", outer, actors.ErrCanceled)
}

func TestShieldOfACombinationKeepsItsMembers(t *testing.T) {
	ps, fs := promises(2)
	all := futures.All(fs...)
	futures.All(futures.Shield(all)).Cancel()
	ps[0].Resolve(0)
	ps[1].Resolve(1)
	wantNow(t, "what was shielded", all, []int{0, 1})
}

func TestWithTimeoutInTime(t *testing.T) {
	bubble(t, func(w *world) {
		fs := later(w, 1)
		f := futures.WithTimeout(fs[0], 2*time.Second)
		want(w, f, 0)
		time.Sleep(time.Minute)
		wantNow(w, "afterwards", f, 0)
	})
}

func TestWithTimeoutCancelsItsFuture(t *testing.T) {
	bubble(t, func(w *world) {
		start := time.Now()
		fs := later(w, 10)
		wantErr(w, futures.WithTimeout(fs[0], 2*time.Second), actors.ErrTimeout)
		if d := time.Since(start); d != 2*time.Second {
			w.Errorf("after %v", d)
		}
		wantFailed(w, "the member", fs[0], actors.ErrCanceled)
	})
}

// Whoever is told that the time is over finds all of it cancelled.
func TestWithTimeoutCancelsBeforeItTells(t *testing.T) {
	bubble(t, func(w *world) {
		for range 200 {
			var ps [3]actors.Promise[int]
			f := futures.All(futures.Race(ps[0].Future(), ps[1].Future()), ps[2].Future())
			wantErr(w, futures.WithTimeout(f, time.Second), actors.ErrTimeout)
			for i := range ps {
				if !ps[i].Future().Done() {
					w.Fatal("not cancelled: the future of promise", i)
				}
			}
		}
	})
}

func TestWithTimeoutOfAShield(t *testing.T) {
	bubble(t, func(w *world) {
		fs := later(w, 10)
		wantErr(w, futures.WithTimeout(futures.Shield(fs[0]), 2*time.Second), actors.ErrTimeout)
		want(w, fs[0], 0)
	})
}

// It completes when the time is over, however long the work takes to notice.
func TestWithTimeoutDoesNotWaitForTheWork(t *testing.T) {
	bubble(t, func(w *world) {
		var tr testtools.Trace
		pid := w.worker("worker", actors.Options{Logger: discard()}, none)
		f := did(w.root, pid, func(t *actors.Task) error {
			err := t.Sleep(time.Hour)
			_ = t.Cleanup(time.Hour, func(t *actors.Task) error { return t.Sleep(10 * time.Second) })
			tr.Add("cleaned up")
			return err
		})
		wantErr(w, futures.WithTimeout(f, time.Second), actors.ErrTimeout)
		tr.Want(w)
		w.stopped(pid, 30*time.Second)
		tr.Want(w, "cleaned up")
	})
}

func TestWithTimeoutOfNoTime(t *testing.T) {
	for _, d := range []time.Duration{0, -time.Second} {
		_, fs := promises(1)
		wantFailed(t, "WithTimeout", futures.WithTimeout(fs[0], d), actors.ErrTimeout)
		wantFailed(t, "its member", fs[0], actors.ErrCanceled)
		wantNow(t, "of one that is done", futures.WithTimeout(futures.Resolved(1), d), 1)
	}
}

func TestWithTimeoutWithoutATimeout(t *testing.T) {
	bubble(t, func(w *world) {
		fs := later(w, 50)
		want(w, futures.WithTimeout(fs[0], actors.Forever), 0)
	})
}

func TestWithTimeoutCancelledEarly(t *testing.T) {
	bubble(t, func(w *world) {
		_, fs := promises(1)
		f := futures.WithTimeout(fs[0], time.Minute)
		f.Cancel()
		wantFailed(w, "its member", fs[0], actors.ErrCanceled)
		time.Sleep(2 * time.Minute)
		wantFailed(w, "afterwards", f, actors.ErrCanceled)
	})
}

// A failure that somebody sees through a combination is no news; one that
// nobody sees is, once.
func TestCombinationsAndFailuresNobodyHasLookedAt(t *testing.T) {
	sys := actortest.NewSystem(t)
	log := actortest.LogOf(sys)
	pid := actortest.Spawn(t, sys.Root, "worker", none, actors.Options{})
	fail := func(name string) *actors.Future[int] {
		return actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { return 0, errLeft }, actors.Name(name))
	}
	slow := func(name string, until *actors.Promise[int]) *actors.Future[int] {
		return actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) {
			_, _ = actors.Await(t, until.Future())
			return 0, errLeft
		}, actors.Name(name))
	}
	look := func(f interface{ Ready() <-chan struct{} }) { <-f.Ready() }
	func() {
		all := futures.All(fail("seen 1"))
		_, _ = result(all)
		_, _ = result(futures.Any(fail("seen 2"), fail("seen 3")))
		_, _ = result(futures.Settled(fail("seen 4"), fail("seen 5")))
		_, _ = result(futures.WithTimeout(fail("seen 6"), time.Hour))

		late := new(actors.Promise[int])
		loser := slow("seen 7", late)
		_, _ = result(futures.Race(futures.Resolved(1), loser))
		late.Resolve(1)
		look(loser)

		look(futures.All(fail("unseen 1"), futures.Resolved(1)))
		look(futures.Shield(fail("unseen 2")))

		late = new(actors.Promise[int])
		inner := slow("unseen 3", late)
		futures.Shield(inner).Cancel()
		late.Resolve(1)
		look(inner)
	}()
	unseen := func() map[string]int {
		names := map[string]int{}
		for _, r := range log.Find(0, "never looked at") {
			names[r.Attr("task").(string)]++
		}
		return names
	}
	actortest.Eventually(t, "those that nobody has looked at are logged", func() bool {
		runtime.GC()
		n := unseen()
		return n["unseen 1"] > 0 && n["unseen 2"] > 0 && n["unseen 3"] > 0
	})
	runtime.GC()
	if n := unseen(); len(n) != 3 || n["unseen 1"]+n["unseen 2"]+n["unseen 3"] != 3 {
		t.Errorf("logged: %v", n)
	}
	actortest.Stop(t, sys.Root, pid, time.Minute)
}

// A group of exclusive workers that wait for each other is found through any
// combination, but not where one of several members will do.
func TestCombinationsCloseRings(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{Logger: discard()}, func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, how string) (string, error) {
				self := actors.RequestFuture[string](t, t.Self(), "")
				other := actors.Start(t, func(t *actors.Task) (string, error) { return "other", t.Sleep(time.Second) })
				var f *actors.Future[string]
				switch how {
				case "All":
					_, err := actors.Await(t, futures.All(other, self))
					return "", err
				case "nested":
					_, err := actors.Await(t, futures.All(futures.All(other), futures.All(self)))
					return "", err
				case "FirstException":
					return "", t.Await(futures.FirstException(other, self))
				case "FirstCompleted of it":
					return "", t.Await(futures.FirstCompleted(self))
				case "FirstCompleted":
					sets, err := actors.Await(t, futures.FirstCompleted(self, other))
					if err != nil {
						return "", err
					}
					return sets.Done[0].TryResult()
				case "AwaitEach":
					n := 0
					for i, err := range futures.AwaitEach(t, other, self) {
						if err != nil {
							return "", err
						}
						if n++; i != 0 || n > 1 {
							return "", errors.New("more than one in " + t.Self().Id)
						}
					}
					return "", nil
				case "Shield":
					f = futures.Shield(self)
				case "Race":
					f = futures.Race(self, other)
				case "Any of it":
					f = futures.Any(self, futures.Shield(self))
				default:
					return "", nil
				}
				return actors.Await(t, f)
			}, actors.Exclusive())
			return nil
		})
		for _, how := range []string{"All", "nested", "AwaitEach", "Shield", "Any of it", "FirstException", "FirstCompleted of it"} {
			var ring *actors.DeadlockError
			if v, err := result(actors.RequestFuture[string](w.root, pid, how)); !errors.As(err, &ring) {
				w.Errorf("%s: got %q, %v", how, v, err)
			}
		}
		want(w, actors.RequestFuture[string](w.root, pid, "Race"), "other")
		want(w, actors.RequestFuture[string](w.root, pid, "FirstCompleted"), "other")
		w.stopped(pid, time.Hour)
	})
}
