// SPDX-License-Identifier: Apache-2.0

package futures_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/internal/testtools"
)

func TestAllKeepsTheOrderOfItsMembers(t *testing.T) {
	ps, fs := promises(3)
	all := futures.All(fs...)
	for i, at := range []int{1, 0, 2} {
		wantPending(t, "All", all)
		ps[at].Resolve(10 * at)
		if i == 2 {
			wantNow(t, "All", all, []int{0, 10, 20})
		}
	}
}

func TestCombinationsOfNone(t *testing.T) {
	wantNow(t, "All", futures.All[int](), []int{})
	wantNow(t, "Settled", futures.Settled[int](), []futures.Outcome[int]{})
	wantFailed(t, "Any", futures.Any[int](), futures.ErrNoFutures)
	wantFailed(t, "Race", futures.Race[int](), futures.ErrNoFutures)
	wantFailed(t, "FirstCompleted", futures.FirstCompleted[int](), futures.ErrNoFutures)
	wantSets(t, "FirstException", futures.FirstException[int](), nil, nil)
	for i, err := range futures.AsCompleted[int](t.Context()) {
		t.Error("AsCompleted of none yields", i, err)
	}
}

func TestCombinationsOfDoneFuturesAreDone(t *testing.T) {
	one, two, bad := futures.Resolved(1), futures.Resolved(2), futures.Failed[int](errLeft)
	wantNow(t, "All", futures.All(one, two), []int{1, 2})
	wantFailed(t, "All", futures.All(one, bad), errLeft)
	wantNow(t, "Any", futures.Any(bad, two, one), 2)
	wantNow(t, "Race", futures.Race(two, bad), 2)
	wantFailed(t, "Race", futures.Race(bad, two), errLeft)
	wantSets(t, "FirstCompleted", futures.FirstCompleted(two, bad), []*actors.Future[int]{two, bad}, nil)
	wantSets(t, "FirstException", futures.FirstException(bad, two), []*actors.Future[int]{bad, two}, nil)
	wantNow(t, "Shield", futures.Shield(one), 1)
	wantFailed(t, "Shield", futures.Shield(bad), errLeft)
	wantNow(t, "WithTimeout", futures.WithTimeout(one, 0), 1)
	wantNow(t, "Settled", futures.Settled(one, bad), []futures.Outcome[int]{{Value: 1}, {Err: errLeft}})
}

// The same future may be a member twice.
func TestCombinationsOfTheSameFuture(t *testing.T) {
	ps, fs := promises(1)
	f := fs[0]
	first, exception := futures.FirstCompleted(f, f), futures.FirstException(f, f)
	all, settled, anyOf, race := futures.All(f, f), futures.Settled(f, f), futures.Any(f, f), futures.Race(f, f)
	ps[0].Resolve(7)
	wantNow(t, "All", all, []int{7, 7})
	wantNow(t, "Settled", settled, []futures.Outcome[int]{{Value: 7}, {Value: 7}})
	wantNow(t, "Any", anyOf, 7)
	wantNow(t, "Race", race, 7)
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

func TestAllFailsWithTheFirstFailure(t *testing.T) {
	ps, fs := promises(3)
	all := futures.All(fs...)
	ps[2].Reject(errRight)
	wantFailed(t, "All", all, errRight)
	ps[0].Reject(errLeft)
	wantFailed(t, "All", all, errRight)
	wantPending(t, "a member", fs[1])
}

func TestAllFailsWhenAMemberIsCancelled(t *testing.T) {
	_, fs := promises(2)
	all := futures.All(fs...)
	fs[0].Cancel()
	wantFailed(t, "All", all, actors.ErrCanceled)
	wantPending(t, "the other member", fs[1])
}

func TestSettledTellsHowEachEnded(t *testing.T) {
	ps, fs := promises(3)
	settled := futures.Settled(fs...)
	ps[2].Reject(errRight)
	ps[0].Resolve(1)
	wantPending(t, "Settled", settled)
	fs[1].Cancel()
	wantNow(t, "Settled", settled, []futures.Outcome[int]{{Value: 1}, {Err: actors.ErrCanceled}, {Err: errRight}})
}

func TestAnyIsTheFirstSuccess(t *testing.T) {
	ps, fs := promises(3)
	f := futures.Any(fs...)
	ps[1].Reject(errLeft)
	wantPending(t, "Any", f)
	ps[2].Resolve(2)
	ps[0].Resolve(0)
	wantNow(t, "Any", f, 2)
}

func TestAnyFailsWhenAllHaveFailed(t *testing.T) {
	ps, fs := promises(2)
	f := futures.Any(fs...)
	ps[1].Reject(errRight)
	ps[0].Reject(errLeft)
	wantFailed(t, "Any", f, errLeft)
	wantFailed(t, "Any", f, errRight)
	if _, err := f.TryResult(); err.Error() != "left\nright" {
		t.Errorf("got %q", err)
	}
}

func TestRaceIsTheFirstToEnd(t *testing.T) {
	ps, fs := promises(3)
	f, other := futures.Race(fs...), futures.Race(fs[0], fs[2])
	ps[1].Reject(errLeft)
	wantFailed(t, "Race", f, errLeft)
	wantPending(t, "a race of others", other)
	ps[2].Resolve(2)
	wantNow(t, "a race of others", other, 2)
	wantPending(t, "a loser", fs[0])
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
			bubble(t, func(w *world) {
				pid := w.worker("worker", actors.Options{Logger: discard()}, none)
				var tr testtools.Trace
				work := actors.Submit(w.root, pid, func(t *actors.Task) (int, error) {
					err := t.Sleep(time.Hour)
					tr.Add("%v", err)
					return 0, err
				})
				_, fs := promises(2)
				f := combine(work, fs[0], futures.Shield(fs[1]))
				time.Sleep(time.Second)
				if !f.Cancel() || f.Cancel() {
					w.Error("Cancel does not say that it has decided it")
				}
				wantFailed(w, "work", work, actors.ErrCanceled)
				wantFailed(w, "a promise", fs[0], actors.ErrCanceled)
				wantPending(w, "what is shielded", fs[1])
				w.stopped(pid, time.Hour)
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
		_, fs := promises(2)
		combine(futures.Failed[int](errLeft), fs[0])
		combine(futures.Resolved(1), fs[1])
		wantPending(t, name+": a member beside a failure", fs[0])
		wantPending(t, name+": a member beside a success", fs[1])
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
		_, others := promises(1)
		futures.Race(futures.Shield(stop.Future()), others[0]).Cancel()
	}
	if n := waiting(stop.Future()); n != 0 {
		t.Errorf("%d still wait for it", n)
	}
}

func TestCombinationsKeepACopyOfTheirMembers(t *testing.T) {
	ps, fs := promises(2)
	given := slices.Clone(fs)
	all, anyOf, exception := futures.All(given...), futures.Any(given...), futures.FirstException(given...)
	clear(given)
	ps[0].Resolve(1)
	ps[1].Resolve(2)
	wantNow(t, "All", all, []int{1, 2})
	wantNow(t, "Any", anyOf, 1)
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
	in(t, func(w *world, t *actors.Task) error {
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
