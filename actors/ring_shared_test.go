// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
)

// TestRingThroughSharedMembers: a combination that is a member of many is
// looked at once, whether the search for a ring finds one there or not.
func TestRingThroughSharedMembers(t *testing.T) {
	bubble(t, func(w *world) {
		deep := func(f *actors.Future[[]int]) *actors.Future[[]int] {
			for range 60 {
				f = futures.Race(f, f)
				one := futures.All(f, f)
				f = futures.Race(f, actors.Submit(w.root, w.sys.NewLocalPID("other"), func(t *actors.Task) ([]int, error) {
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
				p := new(actors.Promise[[]int])
				f := deep(p.Future())
				actors.Start(t, func(t *actors.Task) (int, error) { err := t.Yield(); p.Resolve([]int{7}); return 0, err })
				v, err := actors.Await(t, f)
				if err != nil {
					return 0, err
				}
				return v[0], nil
			}, actors.Exclusive())
			actors.Handle(wk, func(t *actors.Task, _ int) (int, error) {
				_, err := actors.Await(t, deep(futures.All(actors.RequestFuture[int](t, t.Self(), ""))))
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

// TestRingThroughALongChain: what a task waits for may be further away than a
// stack is deep.
func TestRingThroughALongChain(t *testing.T) {
	shallow(t, 256<<10)
	for name, link := range map[string]func(w *world, f *actors.Future[int]) *actors.Future[int]{
		"Shield":      func(_ *world, f *actors.Future[int]) *actors.Future[int] { return futures.Shield(f) },
		"WithTimeout": func(_ *world, f *actors.Future[int]) *actors.Future[int] { return futures.WithTimeout(f, time.Hour) },
		"Race":        func(_ *world, f *actors.Future[int]) *actors.Future[int] { return futures.Race(f, f) },
		"Any":         func(_ *world, f *actors.Future[int]) *actors.Future[int] { return futures.Any(f) },
		"a task": func(w *world, f *actors.Future[int]) *actors.Future[int] {
			return actors.Submit(w.root, w.sys.NewLocalPID("other"), func(t *actors.Task) (int, error) { return actors.Await(t, f) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.worker("other", actors.Options{}, none)
				deep := func(f *actors.Future[int]) *actors.Future[int] {
					for range 5000 {
						f = link(w, f)
					}
					return f
				}
				pid := w.worker("worker", actors.Options{}, func(wk *actors.Worker) error {
					actors.Handle(wk, func(t *actors.Task, m string) (int, error) {
						if m == "answer" {
							return 7, nil
						}
						f := deep(actors.RequestFuture[int](t, t.Self(), "answer"))
						err := t.Sleep(time.Second) // the tasks of the chain wait by then
						if err == nil {
							_, err = actors.Await(t, f)
						}
						return 0, err
					}, actors.Exclusive())
					actors.Handle(wk, func(t *actors.Task, p *actors.Promise[int]) (int, error) {
						// All but the promise is behind the task itself.
						f := deep(futures.Any(p.Future(), actors.RequestFuture[int](t, t.Self(), "answer")))
						if err := t.Sleep(time.Second); err != nil {
							return 0, err
						}
						return actors.Await(t, f)
					}, actors.Exclusive())
					return nil
				})
				wantRing := func(what string, f *actors.Future[int]) {
					_, err := result(f)
					if ring := (*actors.DeadlockError)(nil); !errors.As(err, &ring) {
						w.Errorf("%s: %v, want a DeadlockError", what, err)
					}
				}
				wantRing("a request to itself", actors.RequestFuture[int](w.root, pid, "ask"))
				p := new(actors.Promise[int])
				f := actors.RequestFuture[int](w.root, pid, p)
				time.Sleep(time.Minute)
				p.Reject(errLeft)
				if name == "a task" { // each awaits the next one: none awaits an Any but the first
					f.Cancel()
					return
				}
				wantRing("an Any that has come to it", f)
			})
		})
	}
}

// A member of a group that an exclusive handler waits for starts a task, which
// waits for the handler's worker, and returns: the group waits for that task from
// then on.
func TestRingThroughWhatAMemberHasLeft(t *testing.T) {
	bubble(t, func(w *world) {
		gate := new(actors.Promise[int])
		pid := w.ringer("worker")
		var back *actors.Future[int]
		var left error
		f := actors.RequestFuture[int](w.root, pid, do(func(t *actors.Task) (int, error) {
			back = actors.RequestFuture[int](w.root, t.Self(), do(seven))
			g := t.NewGroup()
			g.Go(func(t *actors.Task) error {
				if err := waitFor(t, gate.Future()); err != nil {
					return err
				}
				actors.Start(t, func(t *actors.Task) (int, error) {
					left = waitFor(t, back)
					return 0, nil
				})
				return nil
			})
			return 8, g.Wait()
		}))
		synctest.Wait()
		gate.Resolve(0)
		synctest.Wait()
		wantNow(w, "the handler", f, 8)
		wantNow(w, "what was waited for", back, 7)
		wantRing(w, "what the member has started", left, "worker")
	})
}
