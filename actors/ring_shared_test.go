package actors_test

import (
	"errors"
	"testing"

	"github.com/protoloop/protoloop/actors"
)

// TestRingThroughSharedMembers: a combination that is a member of many is
// looked at once, whether the search for a ring finds one there or not.
func TestRingThroughSharedMembers(t *testing.T) {
	bubble(t, func(w *world) {
		deep := func(f *actors.Future[[]int]) *actors.Future[[]int] {
			for range 60 {
				f = actors.Race(f, f)
				one := actors.All(f, f)
				f = actors.Race(f, actors.Submit(w.root, w.sys.NewLocalPID("other"), func(t *actors.Task) ([]int, error) {
					v, err := actors.Await(t, one)
					if err != nil {
						return nil, err
					}
					return v[0], nil
				}))
			}
			return f
		}
		w.worker("other", actors.Options{}, none)
		pid := w.worker("worker", actors.Options{}, func(wk *actors.Worker) error {
			actors.Handle(wk, func(t *actors.Task, _ string) (int, error) {
				p := actors.NewPromise[[]int]()
				f := deep(p.Future())
				actors.Start(t, func(t *actors.Task) (int, error) { err := t.Yield(); p.Resolve([]int{7}); return 0, err })
				v, err := actors.Await(t, f)
				if err != nil {
					return 0, err
				}
				return v[0], nil
			}, actors.Exclusive())
			actors.Handle(wk, func(t *actors.Task, _ int) (int, error) {
				_, err := actors.Await(t, deep(actors.All(actors.RequestFuture[int](t, t.Self(), ""))))
				return 0, err
			}, actors.Exclusive())
			return nil
		})
		want(w, actors.RequestFuture[int](w.root, pid, ""), 7)
		_, err := result(actors.RequestFuture[int](w.root, pid, 1))
		if ring := (*actors.DeadlockError)(nil); !errors.As(err, &ring) {
			w.Errorf("a request to itself behind all that: %v, want a DeadlockError", err)
		}
	})
}
