// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
)

// failures are ways in which a member of an Any fails, after a second.
var failures = map[string]func(t *actors.Task, w *world) *actors.Future[int]{
	"a rejected promise": func(_ *actors.Task, w *world) *actors.Future[int] { return rejected(w) },
	"a cancel": func(*actors.Task, *world) *actors.Future[int] {
		p := new(actors.Promise[int])
		time.AfterFunc(time.Second, func() { p.Future().Cancel() })
		return p.Future()
	},
	"WithTimeout": func(*actors.Task, *world) *actors.Future[int] {
		return futures.WithTimeout(new(actors.Promise[int]).Future(), time.Second)
	},
	"Shield": func(_ *actors.Task, w *world) *actors.Future[int] { return futures.Shield(rejected(w)) },
	"Race": func(_ *actors.Task, w *world) *actors.Future[int] {
		return futures.Race(new(actors.Promise[int]).Future(), rejected(w))
	},
	"Any": func(_ *actors.Task, w *world) *actors.Future[int] {
		return futures.Any(rejected(w), futures.Failed[int](errLeft))
	},
	"a child": func(t *actors.Task, _ *world) *actors.Future[int] {
		return actors.Start(t, func(t *actors.Task) (int, error) { _ = t.Sleep(time.Second); panic("boom") })
	},
	"a timeout of work": func(t *actors.Task, _ *world) *actors.Future[int] {
		return actors.Start(t, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) }, actors.Timeout(time.Second))
	},
	"offloaded work": func(t *actors.Task, _ *world) *actors.Future[int] {
		return actors.Offload(t, func(context.Context) (int, error) { time.Sleep(time.Second); return 0, errLeft })
	},
	"a worker that stops": func(t *actors.Task, w *world) *actors.Future[int] {
		pid := w.worker("stops", actors.Options{Logger: discard()}, none)
		time.AfterFunc(time.Second, func() { actors.RequestStop(w.root, pid, actors.NoGrace) })
		return actors.Submit(w.root, pid, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) })
	},
	"a worker that fails": func(t *actors.Task, w *world) *actors.Future[int] {
		pid := w.worker("fails", actors.Options{Logger: discard()}, func(w *actors.Worker) error {
			actors.On(w, func(*actors.Task, string) error { panic("boom") })
			return nil
		})
		time.AfterFunc(time.Second, func() { w.root.Send(pid, "") })
		return actors.Submit(w.root, pid, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) })
	},
	"an exclusive handler's end": func(_ *actors.Task, w *world) *actors.Future[int] {
		return actors.RequestFuture[int](w.root, w.ringer("c"), do(func(t *actors.Task) (int, error) {
			_ = t.Sleep(time.Second)
			return 0, errLeft
		}))
	},
}

func rejected(*world) *actors.Future[int] {
	p := new(actors.Promise[int])
	time.AfterFunc(time.Second, func() { p.Reject(errLeft) })
	return p.Future()
}

// However a member fails, the ring that this closes is found then.
func TestRingClosedByAnyFailure(t *testing.T) {
	for name, fails := range failures {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				pid := w.ringer("worker")
				start := time.Now()
				_, err := result(actors.RequestFuture[int](w.root, pid, do(func(t *actors.Task) (int, error) {
					back := actors.RequestFuture[int](w.root, t.Self(), do(seven))
					return actors.Await(t, futures.Any(fails(t, w), back))
				})))
				wantRing(w, "the handler", err, "worker")
				if d := time.Since(start); d != time.Second {
					w.Errorf("it took %v", d)
				}
			})
		})
	}
}

// Race, FirstCompleted and AwaitEach go on when a member fails: that closes no ring.
func TestNoRingWhereAnEndWillDo(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.ringer("worker")
		wantErr(w, actors.RequestFuture[int](w.root, pid, do(func(t *actors.Task) (int, error) {
			return actors.Await(t, futures.Race(rejected(w), actors.RequestFuture[int](w.root, t.Self(), do(seven))))
		})), errLeft)
		want(w, actors.RequestFuture[int](w.root, pid, do(func(t *actors.Task) (int, error) {
			sets, err := actors.Await(t, futures.FirstCompleted(actors.RequestFuture[int](w.root, t.Self(), do(seven)), rejected(w)))
			return 10*len(sets.Done) + len(sets.Pending), err
		})), 11)
		_, err := result(actors.RequestFuture[int](w.root, pid, do(func(t *actors.Task) (int, error) {
			back := actors.RequestFuture[int](w.root, t.Self(), do(seven))
			var got []error
			fs := []*actors.Future[int]{rejected(w), back, rejected(w)}
			for i, err := range futures.AwaitEach(t, fs...) {
				if err == nil {
					_, err = fs[i].TryResult()
				}
				got = append(got, err)
			}
			return len(got), errors.Join(got...)
		})))
		wantRing(w, "the rest of AwaitEach", err, "worker")
		if !errors.Is(err, errLeft) {
			w.Errorf("AwaitEach: got %v", err)
		}
	})
}

// An Exclusive handler holds back a task that is waited for already: its own
// await closes the ring.
func TestRingClosedByWhoHoldsOthersBack(t *testing.T) {
	bubble(t, func(w *world) {
		x, y := w.ringer("x"), w.worker("y", actors.Options{}, none)
		slow := actors.Submit(w.root, x, func(t *actors.Task) (int, error) { return 5, t.Sleep(time.Minute) })
		waits := actors.Submit(w.root, y, func(t *actors.Task) (int, error) { return actors.Await(t, slow) })
		synctest.Wait()
		f := actors.RequestFuture[int](w.root, x, do(func(t *actors.Task) (int, error) { return actors.Await(t, waits) }))
		synctest.Wait()
		_, err := f.TryResult()
		wantRing(w, "the handler", err, "x", "y")
		time.Sleep(time.Minute)
		want(w, waits, 5)
	})
}

// A full worker has no place any more when the next one in the queue has taken
// that of a task that has ended: the await of that one closes the ring.
func TestRingClosedByWhoTakesThePlace(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("full", actors.Options{Logger: discard(), MaxInFlight: 2}, func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, f do) (int, error) { return f(t) })
			return nil
		})
		ask := do(func(t *actors.Task) (int, error) { return actors.Ask[int](t, t.Self(), do(seven)) })
		slow := actors.RequestFuture[int](w.root, pid, do(func(t *actors.Task) (int, error) { return 1, t.Sleep(time.Second) }))
		next := []*actors.Future[int]{actors.RequestFuture[int](w.root, pid, do(func(t *actors.Task) (int, error) {
			if err := t.Sleep(time.Millisecond); err != nil { // until the next one is in the queue
				return 0, err
			}
			return ask(t)
		})), actors.RequestFuture[int](w.root, pid, ask)}
		time.Sleep(time.Second - 1)
		wantPending(w, "who waits for the queue", next[0])
		want(w, slow, 1)
		synctest.Wait()
		_, err := next[1].TryResult()
		wantRing(w, "who has taken the place", err, "full")
		wantNow(w, "who waited for the queue", next[0], 7)
	})
}

// The end of a task is the end of its work, which fails next: no ring is left.
func TestNoRingWhereAllEnds(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.ringer("worker")
		other := w.worker("other", actors.Options{Logger: discard()}, none)
		_, err := result(actors.RequestFuture[int](w.root, pid, do(func(t *actors.Task) (int, error) {
			var work *actors.Future[int]
			parent := actors.Start(t, func(t *actors.Task) (int, error) {
				work = actors.Submit(t, other, func(t *actors.Task) (int, error) { return actors.Ask[int](t, pid, do(seven)) })
				return 0, t.Sleep(time.Hour)
			}, actors.Timeout(time.Second))
			return actors.Await(t, futures.Any(parent, work))
		})))
		if errors.As(err, new(*actors.DeadlockError)) || !errors.Is(err, actors.ErrTimeout) {
			w.Errorf("got %v, want the timeout", err)
		}
	})
}

// Members of a limited group that wait for their turn need no place of MaxInFlight: they
// are in no ring with the task that has the last one and waits for the group.
func TestNoRingWhereNoPlaceIsNeeded(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{MaxInFlight: 1}, none)
		want(w, did(w.root, pid, func(t *actors.Task) error {
			g := t.NewGroup()
			g.SetLimit(1)
			for range 3 {
				g.Go(func(t *actors.Task) error { return t.Sleep(time.Second) })
			}
			return g.Wait()
		}), actors.None{})
	})
}
