// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/testtools"
)

func TestGroupNothingOutlivesWait(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var tr testtools.Trace
		other := w.worker("other", actors.Options{}, none)
		g := t.NewGroup()
		g.Go(func(t *actors.Task) error {
			defer func() {
				_ = t.Cleanup(time.Minute, func(t *actors.Task) error { return t.Sleep(time.Second) })
				tr.Add("cleaned up")
			}()
			return t.Sleep(time.Hour)
		})
		g.Go(func(t *actors.Task) error {
			actors.Start(t, func(t *actors.Task) (int, error) {
				return 0, t.Cleanup(time.Minute, func(t *actors.Task) error {
					err := t.Sleep(3 * time.Second)
					tr.Add("child")
					return err
				})
			})
			did(t, other, func(t *actors.Task) error {
				err := t.Sleep(time.Hour)
				tr.Add("elsewhere: %v", err)
				_ = t.Cleanup(time.Hour, func(t *actors.Task) error { return t.Sleep(time.Minute) })
				tr.Add("late")
				return err
			})
			return nil
		})
		g.Go(func(t *actors.Task) error { _ = t.Sleep(time.Second); return errLeft })
		if err := g.Wait(); err != errLeft {
			w.Errorf("Wait: %v", err)
		}
		tr.Want(w, "elsewhere: actors: canceled: left", "cleaned up", "child")
		return nil
	})
}

func TestGroupWaitsForWhatMembersHaveLeftBehind(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var tr testtools.Trace
		g := t.NewGroup()
		g.Go(func(t *actors.Task) error {
			actors.Start(t, func(t *actors.Task) (int, error) { return 0, sleeper(&tr, "child", time.Second)(t) })
			return nil
		})
		err := g.Wait()
		tr.Want(w, "child: <nil>")
		return err
	})
}

func TestGroupParentIsCancelled(t *testing.T) {
	bubble(t, func(w *world) {
		var tr testtools.Trace
		pid := w.worker("worker", actors.Options{Logger: discard()}, none)
		f := did(w.root, pid, func(t *actors.Task) error {
			g := t.NewGroup()
			g.Go(func(t *actors.Task) error {
				err := t.Sleep(time.Hour)
				_ = t.Cleanup(time.Minute, func(t *actors.Task) error { return t.Sleep(5 * time.Second) })
				tr.Add("member: %v", err)
				return err
			})
			g.Go(func(t *actors.Task) error { _ = t.Sleep(time.Hour); return errRight })
			err := g.Wait()
			tr.Add("Wait: %v", err)
			if !errors.Is(err, actors.ErrCanceled) || !errors.Is(err, errRight) {
				w.Errorf("Wait: %v", err)
			}
			return err
		})
		time.Sleep(time.Second)
		f.Cancel()
		time.Sleep(4 * time.Second)
		tr.Want(w)
		time.Sleep(time.Second)
		synctest.Wait()
		tr.Want(w, "member: actors: canceled", "Wait: actors: canceled\nright")
		if c := w.stopped(pid, time.Hour); c.Canceled != 1 {
			w.Errorf("account: %v", c)
		}
	})
}

func TestGroupBudgetIsItsTasks(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{Logger: discard()}, none)
		start := time.Now()
		f := did(w.root, pid, func(t *actors.Task) error {
			g := t.NewGroup()
			g.Go(func(t *actors.Task) error { return t.Sleep(time.Hour) })
			return g.Wait()
		}, actors.Timeout(time.Second))
		wantErr(w, f, actors.ErrTimeout)
		if time.Since(start) != time.Second {
			w.Errorf("it took %v", time.Since(start))
		}
		w.stopped(pid, time.Hour)
	})
}

func TestGroupEndsWithItsWorker(t *testing.T) {
	for _, how := range []string{"stop", "restart"} {
		t.Run(how, func(t *testing.T) {
			bubble(t, func(w *world) {
				var tr testtools.Trace
				pid := w.worker("worker", actors.Options{Logger: discard(), StopGrace: 10 * time.Second}, func(w *actors.Worker) error {
					tr.Add("setup")
					actors.On(w, func(*actors.Task, string) error { panic("fail") })
					return nil
				})
				f := did(w.root, pid, func(t *actors.Task) error {
					g := t.NewGroup()
					g.Go(func(t *actors.Task) error {
						err := t.Sleep(time.Hour)
						_ = t.Cleanup(time.Hour, func(t *actors.Task) error { return t.Sleep(time.Hour) })
						tr.Add("member")
						return err
					})
					err := g.Wait()
					tr.Add("Wait")
					return err
				})
				time.Sleep(time.Second)
				if how == "stop" {
					actors.RequestStop(w.root, pid, actors.NoGrace)
					wantErr(w, f, actors.ErrStopped)
					time.Sleep(time.Minute)
					tr.Want(w, "setup", "member", "Wait")
					return
				}
				w.root.Send(pid, "fail")
				wantErr(w, f, actors.ErrRestarted)
				time.Sleep(time.Minute)
				tr.Want(w, "setup", "member", "Wait", "setup")
				w.stopped(pid, time.Hour)
			})
		})
	}
}

func TestGroupAbandonsAStuckMember(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{Logger: discard(), StopGrace: time.Second}, none)
		release := make(chan struct{})
		var tr testtools.Trace
		f := did(w.root, pid, func(t *actors.Task) error {
			g := t.NewGroup()
			g.Go(func(t *actors.Task) error { _ = t.Yield(); <-release; return errLeft })
			err := g.Wait()
			tr.Add("Wait: %v", err)
			return err
		})
		time.Sleep(time.Second)
		end, err := result(actors.RequestStop(w.root, pid, actors.NoGrace))
		if err != nil || end.Canceled != 1 {
			w.Errorf("stop: %v, %v", end, err)
		}
		wantErr(w, f, actors.ErrStopped)
		tr.Want(w, "Wait: actors: the worker stopped; the work was cut off")
		close(release)
	})
}

func TestGroupCancel(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var tr testtools.Trace
		g := t.NewGroup()
		g.Go(sleeper(&tr, "a", time.Hour))
		g.Go(sleeper(&tr, "b", time.Hour))
		g.Cancel()
		g.Cancel()
		g.Go(sleeper(&tr, "late", time.Hour))
		err := g.Wait()
		if got := tr.Take(); len(got) != 2 {
			w.Errorf("%d members said something: %q", len(got), got)
		}
		return err
	})
}

func TestGroupWithoutWait(t *testing.T) {
	bubble(t, func(w *world) {
		var tr testtools.Trace
		pid := w.worker("worker", actors.Options{Logger: discard()}, func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, s string) (string, error) {
				g := t.NewGroup()
				g.Go(sleeper(&tr, "member", time.Second))
				g.Go(func(t *actors.Task) error {
					inner := t.NewGroup()
					inner.Go(sleeper(&tr, "inner", 2*time.Second))
					return nil
				})
				return s, nil
			})
			return nil
		})
		want(w, actors.RequestFuture[string](w.root, pid, "x"), "x")
		time.Sleep(3 * time.Second)
		tr.Want(w, "member: <nil>", "inner: <nil>")
		w.stopped(pid, time.Hour)
	})
}
