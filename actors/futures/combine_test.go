// SPDX-License-Identifier: Apache-2.0

package futures_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/internal/futuretest"
	"github.com/protoloop/protoloop/internal/testtools"
)

func TestCombinationsOfNone(t *testing.T) {
	futuretest.WantNow(t, "All", futures.All[int](), []int{})
	futuretest.WantNow(t, "Settled", futures.Settled[int](), []futures.Outcome[int]{})
	futuretest.WantFailed(t, "Any", futures.Any[int](), futures.ErrNoFutures)
	futuretest.WantFailed(t, "Race", futures.Race[int](), futures.ErrNoFutures)
	futuretest.WantFailed(t, "FirstCompleted", futures.FirstCompleted[int](), futures.ErrNoFutures)
	wantSets(t, "FirstException", futures.FirstException[int](), nil, nil)
	for i, err := range futures.AsCompleted[int](t.Context()) {
		t.Error("AsCompleted of none yields", i, err)
	}
}

func TestCombinationsOfDoneFuturesAreDone(t *testing.T) {
	one, two, bad := futures.Resolved(1), futures.Resolved(2), futures.Failed[int](errLeft)
	futuretest.WantNow(t, "All", futures.All(one, two), []int{1, 2})
	futuretest.WantFailed(t, "All", futures.All(one, bad), errLeft)
	futuretest.WantNow(t, "Any", futures.Any(bad, two, one), 2)
	futuretest.WantNow(t, "Race", futures.Race(two, bad), 2)
	futuretest.WantFailed(t, "Race", futures.Race(bad, two), errLeft)
	wantSets(t, "FirstCompleted", futures.FirstCompleted(two, bad), []*actors.Future[int]{two, bad}, nil)
	wantSets(t, "FirstException", futures.FirstException(bad, two), []*actors.Future[int]{bad, two}, nil)
	futuretest.WantNow(t, "Shield", futures.Shield(one), 1)
	futuretest.WantFailed(t, "Shield", futures.Shield(bad), errLeft)
	futuretest.WantNow(t, "WithTimeout", futures.WithTimeout(one, 0), 1)
	futuretest.WantNow(t, "Settled", futures.Settled(one, bad), []futures.Outcome[int]{{Value: 1}, {Err: errLeft}})
}

// The same future may be a member twice.
func TestCombinationsOfTheSameFuture(t *testing.T) {
	ps, fs := futuretest.Promises(1)
	f := fs[0]
	first, exception := futures.FirstCompleted(f, f), futures.FirstException(f, f)
	all, settled, anyOf, race := futures.All(f, f), futures.Settled(f, f), futures.Any(f, f), futures.Race(f, f)
	ps[0].Resolve(7)
	futuretest.WantNow(t, "All", all, []int{7, 7})
	futuretest.WantNow(t, "Settled", settled, []futures.Outcome[int]{{Value: 7}, {Value: 7}})
	futuretest.WantNow(t, "Any", anyOf, 7)
	futuretest.WantNow(t, "Race", race, 7)
	wantSets(t, "FirstCompleted", first, []*actors.Future[int]{f, f}, nil)
	wantSets(t, "FirstException", exception, []*actors.Future[int]{f, f}, nil)
	var got []int
	for i := range futures.AsCompleted(t.Context(), f, f) {
		got = append(got, i)
	}
	if !slices.Equal(got, []int{0, 1}) {
		t.Errorf("AsCompleted: %v", got)
	}
}

// cancels are the combinations that pass a cancel on.
var cancels = map[string]func(fs ...*actors.Future[int]) interface{ Cancel() bool }{
	"All":            func(fs ...*actors.Future[int]) interface{ Cancel() bool } { return futures.All(fs...) },
	"Settled":        func(fs ...*actors.Future[int]) interface{ Cancel() bool } { return futures.Settled(fs...) },
	"Any":            func(fs ...*actors.Future[int]) interface{ Cancel() bool } { return futures.Any(fs...) },
	"Race":           func(fs ...*actors.Future[int]) interface{ Cancel() bool } { return futures.Race(fs...) },
	"FirstCompleted": func(fs ...*actors.Future[int]) interface{ Cancel() bool } { return futures.FirstCompleted(fs...) },
	"FirstException": func(fs ...*actors.Future[int]) interface{ Cancel() bool } { return futures.FirstException(fs...) },
	"nested":         func(fs ...*actors.Future[int]) interface{ Cancel() bool } { return futures.All(futures.Any(fs...)) },
	"WithTimeout": func(fs ...*actors.Future[int]) interface{ Cancel() bool } {
		return futures.WithTimeout(futures.Race(fs...), time.Hour)
	},
}

func TestCancelOfACombinationReachesItsMembers(t *testing.T) {
	for name, combine := range cancels {
		t.Run(name, func(t *testing.T) {
			futuretest.Bubble(t, func(w *futuretest.World) {
				pid := w.Worker("worker", actors.Options{Logger: futuretest.Discard()}, futuretest.None)
				var tr testtools.Trace
				work := actors.Submit(w.Root, pid, func(t *actors.Task) (int, error) {
					err := t.Sleep(time.Hour)
					tr.Add("%v", err)
					return 0, err
				})
				_, fs := futuretest.Promises(2)
				f := combine(work, fs[0], futures.Shield(fs[1]))
				time.Sleep(time.Second)
				if !f.Cancel() || f.Cancel() {
					w.Error("Cancel does not say that it has decided it")
				}
				futuretest.WantFailed(w, "work", work, actors.ErrCanceled)
				futuretest.WantFailed(w, "a promise", fs[0], actors.ErrCanceled)
				futuretest.WantPending(w, "what is shielded", fs[1])
				w.Stopped(pid, time.Hour)
				tr.Want(w, "actors: canceled")
			})
		})
	}
}

// What goes on in a combination that has ended is not its members' business.
func TestCombinationsCancelNoMemberByThemselves(t *testing.T) {
	for name, combine := range cancels {
		if name == "Settled" {
			continue
		}
		_, fs := futuretest.Promises(2)
		combine(futures.Failed[int](errLeft), fs[0])
		combine(futures.Resolved(1), fs[1])
		futuretest.WantPending(t, name+": a member beside a failure", fs[0])
		futuretest.WantPending(t, name+": a member beside a success", fs[1])
	}
}

// A member that lives long does not keep what it was ever combined with.
func TestCombinationsLetGoOfTheirMembers(t *testing.T) {
	stop := new(actors.Promise[int])
	for range 1000 {
		futures.Race(stop.Future(), futures.Resolved(1))
		futures.Any(stop.Future(), futures.Resolved(1))
		futures.All(stop.Future(), futures.Failed[int](errLeft))
		futures.FirstCompleted(stop.Future(), futures.Resolved(1))
		futures.FirstException(stop.Future(), futures.Failed[int](errLeft))
		futures.Shield(stop.Future()).Cancel()
		_, others := futuretest.Promises(1)
		futures.Race(futures.Shield(stop.Future()), others[0]).Cancel()
	}
	if n := waiting(stop.Future()); n != 0 {
		t.Errorf("%d still wait for it", n)
	}
}

func TestCombinationsKeepACopyOfTheirMembers(t *testing.T) {
	ps, fs := futuretest.Promises(2)
	given := slices.Clone(fs)
	all, anyOf, exception := futures.All(given...), futures.Any(given...), futures.FirstException(given...)
	clear(given)
	ps[0].Resolve(1)
	ps[1].Resolve(2)
	futuretest.WantNow(t, "All", all, []int{1, 2})
	futuretest.WantNow(t, "Any", anyOf, 1)
	wantSets(t, "FirstException", exception, fs, nil)
}

func TestCombinationMisuse(t *testing.T) {
	one := futures.Resolved(1)
	for what, f := range map[string]func(){
		"All":            func() { futures.All(one, nil) },
		"Settled":        func() { futures.Settled(one, nil) },
		"Any":            func() { futures.Any(one, nil) },
		"Race":           func() { futures.Race(one, nil) },
		"FirstCompleted": func() { futures.FirstCompleted(one, nil) },
		"FirstException": func() { futures.FirstException(one, nil) },
		"AsCompleted":    func() { futures.AsCompleted(t.Context(), one, nil) },
		"AwaitEach":      func() { futures.AwaitEach(nil, one, nil) },
		"Shield":         func() { futures.Shield[int](nil) },
		"WithTimeout":    func() { futures.WithTimeout[int](nil, time.Second) },
		"a nil error":    func() { futures.Failed[int](nil) },
	} {
		testtools.WantPanic(t, f, "futures: ", what)
	}
}

// All of them work in a task, and hold up nobody.
func TestCombinationsInATask(t *testing.T) {
	futuretest.InTask(t, func(w *futuretest.World, t *actors.Task) error {
		after := func(d time.Duration, v int, err error) *actors.Future[int] {
			return actors.Start(t, func(t *actors.Task) (int, error) {
				if err := t.Sleep(d); err != nil {
					return 0, err
				}
				return v, err
			})
		}
		members := func() []*actors.Future[int] {
			return []*actors.Future[int]{after(3*time.Second, 3, nil), after(time.Second, 0, errLeft), after(2*time.Second, 2, nil)}
		}
		start := time.Now()
		if _, err := actors.Await(t, futures.All(members()...)); err != errLeft {
			w.Errorf("All: %v", err)
		}
		if v, err := actors.Await(t, futures.Any(members()...)); v != 2 || err != nil {
			w.Errorf("Any: %v, %v", v, err)
		}
		if _, err := actors.Await(t, futures.Race(members()...)); err != errLeft {
			w.Errorf("Race: %v", err)
		}
		v, err := actors.Await(t, futures.Settled(members()...))
		if fmt.Sprint(v) != fmt.Sprint([]futures.Outcome[int]{{Value: 3}, {Err: errLeft}, {Value: 2}}) || err != nil {
			w.Errorf("Settled: %v, %v", v, err)
		}
		if d := time.Since(start); d != 7*time.Second {
			w.Errorf("it took %v", d)
		}
		return nil
	})
}

// A group of exclusive workers that wait for each other is found through any
// combination, but not where one of several members will do.
func TestCombinationsCloseRings(t *testing.T) {
	futuretest.Bubble(t, func(w *futuretest.World) {
		pid := w.Worker("worker", actors.Options{Logger: futuretest.Discard()}, func(w *actors.Worker) error {
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
			if v, err := futuretest.Result(actors.RequestFuture[string](w.Root, pid, how)); !errors.As(err, &ring) {
				w.Errorf("%s: got %q, %v", how, v, err)
			}
		}
		futuretest.Want(w, actors.RequestFuture[string](w.Root, pid, "Race"), "other")
		futuretest.Want(w, actors.RequestFuture[string](w.Root, pid, "FirstCompleted"), "other")
		w.Stopped(pid, time.Hour)
	})
}
