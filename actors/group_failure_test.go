package actors_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

func TestGroupFailureCancelsTheRest(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var tr trace
		start := time.Now()
		g := actors.NewGroup(t)
		g.Go(sleeper(&tr, "long", time.Hour))
		g.Go(func(t *actors.Task) error { _ = t.Sleep(time.Second); return errLeft })
		if err := g.Wait(); err != errLeft {
			w.Errorf("Wait: %v", err)
		}
		tr.want(w, "long: actors: canceled: left")
		if d := time.Since(start); d != time.Second {
			w.Errorf("Wait took %v", d)
		}
		return nil
	})
}

func TestGroupMemberWithoutTimeNeverStarts(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		g := actors.NewGroup(t)
		g.Go(func(t *actors.Task) error { w.Error("started"); return nil }, actors.Timeout(0))
		if err := g.Wait(); !errors.Is(err, actors.ErrTimeout) {
			w.Errorf("Wait: %v", err)
		}
		return nil
	})
}

func TestGroupFailureIsTheCauseThatMembersSee(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var slept, cause error
		g := actors.NewGroup(t)
		g.Go(func(t *actors.Task) error {
			ctx := t.Context()
			slept = t.Sleep(time.Hour)
			cause = context.Cause(ctx)
			return slept
		})
		g.Go(func(t *actors.Task) error { _ = t.Sleep(time.Second); return errLeft })
		if err := g.Wait(); err != errLeft {
			w.Errorf("Wait: %v, want the failure itself", err)
		}
		for _, err := range []error{slept, cause} {
			if !errors.Is(err, actors.ErrCanceled) || !errors.Is(err, errLeft) {
				w.Errorf("the other member saw %v", err)
			}
		}
		return nil
	})
}

func TestGroupJoinsFailures(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		g := actors.NewGroup(t)
		g.Go(func(t *actors.Task) error { _ = t.Sleep(time.Hour); return errRight })
		g.Go(func(t *actors.Task) error { return fmt.Errorf("over: %w", t.Sleep(time.Hour)) })
		g.Go(func(t *actors.Task) error {
			_, _ = actors.Await(t, actors.NewPromise[int]().Future())
			return t.Context().Err()
		})
		g.Go(func(t *actors.Task) error { _ = t.Yield(); return errLeft })
		if err := g.Wait(); err == nil || err.Error() != "left\nright" {
			w.Errorf("Wait: %v", err)
		}
		return nil
	})
}

func TestGroupMemberPanicIsAFailureOfTheGroup(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var tr trace
		g := actors.NewGroup(t)
		g.Go(sleeper(&tr, "other", time.Hour))
		g.Go(panics)
		err := g.Wait()
		var p *actors.PanicError
		if !errors.As(err, &p) || p.Value != "oops" || !strings.Contains(string(p.Stack), "panics") {
			w.Errorf("Wait: %v", err)
		}
		tr.want(w, "other: actors: canceled: panic: oops")
		return nil
	})
}

func panics(*actors.Task) error { panic("oops") }

func TestGroupMemberGoexitIsAFailureOfTheGroup(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		g := actors.NewGroup(t)
		g.Go(func(t *actors.Task) error { runtime.Goexit(); return nil })
		g.Go(func(t *actors.Task) error { w.Error("started after the failure"); return nil })
		if err := g.Wait(); !errors.Is(err, actors.ErrGoexit) {
			w.Errorf("Wait: %v", err)
		}
		return nil
	})
}

func TestGroupDoesNotStartAfterAFailure(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		g := actors.NewGroup(t)
		g.Go(func(*actors.Task) error { return errLeft })
		for range 2 {
			g.Go(func(*actors.Task) error { w.Error("started"); return nil })
			_ = t.Sleep(time.Second)
		}
		if err := g.Wait(); err != errLeft {
			w.Errorf("Wait: %v", err)
		}
		return nil
	})
}

func TestGroupErrorsAfterCancelCount(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		g := actors.NewGroup(t)
		g.Go(func(t *actors.Task) error { _ = t.Sleep(time.Hour); return errLeft })
		g.Cancel()
		if err := g.Wait(); err != errLeft {
			w.Errorf("Wait: %v", err)
		}
		return nil
	})
}

func TestGroupMembersTimeoutIsItsFailure(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var tr trace
		g := actors.NewGroup(t)
		g.Go(func(t *actors.Task) error { _ = t.Sleep(time.Hour); return nil }, actors.Timeout(time.Second), actors.Name("late"))
		g.Go(sleeper(&tr, "other", time.Hour))
		if err := g.Wait(); !errors.Is(err, actors.ErrTimeout) {
			w.Errorf("Wait: %v", err)
		}
		tr.want(w, "other: actors: canceled: actors: timeout: late of worker")
		return nil
	})
}

func TestGroupFailureCanBeHandled(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		outer := actors.NewGroup(t)
		outer.Go(func(t *actors.Task) error {
			inner := actors.NewGroup(t)
			inner.Go(func(*actors.Task) error { return errLeft })
			if err := inner.Wait(); err != errLeft {
				return err
			}
			return t.Sleep(time.Second)
		})
		return outer.Wait()
	})
}

func TestGroupFailuresCountAsLookedAt(t *testing.T) {
	sys := actortest.NewSystem(t)
	log := actortest.LogOf(sys)
	pid := actortest.Spawn(t, sys.Root, "worker", none, actors.Options{})
	wait := func(wait bool) {
		_, err := result(did(sys.Root, pid, func(t *actors.Task) error {
			g := actors.NewGroup(t)
			g.Go(func(*actors.Task) error { return errLeft }, actors.Name(fmt.Sprintf("waited for: %v", wait)))
			if wait {
				_ = g.Wait()
			}
			return nil
		}))
		if err != nil {
			t.Error(err)
		}
	}
	wait(true)
	wait(false)
	actortest.Eventually(t, "the failure of the other one is logged", func() bool {
		runtime.GC()
		return len(log.Find(0, "never looked at")) > 0
	})
	for _, r := range log.Find(0, "never looked at") {
		if r.Attr("task") != "waited for: false" {
			t.Errorf("logged: %v", r)
		}
	}
	actortest.Stop(t, sys.Root, pid, time.Minute)
}
