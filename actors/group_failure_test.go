// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/messages"
)

func TestGroupFailureCancelsTheRest(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var tr testtools.Trace
		start := time.Now()
		g := t.NewGroup()
		g.Go(sleeper(&tr, "long", time.Hour))
		g.Go(func(t *actors.Task) error { _ = t.Sleep(time.Second); return errLeft })
		if err := g.Wait(); err != errLeft {
			w.Errorf("Wait: %v", err)
		}
		tr.Want(w, "long: actors: canceled: left")
		if d := time.Since(start); d != time.Second {
			w.Errorf("Wait took %v", d)
		}
		return nil
	})
}

func TestGroupMemberWithoutTimeNeverStarts(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		g := t.NewGroup()
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
		g := t.NewGroup()
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
		g := t.NewGroup()
		g.Go(func(t *actors.Task) error { _ = t.Sleep(time.Hour); return errRight })
		g.Go(func(t *actors.Task) error { return fmt.Errorf("over: %w", t.Sleep(time.Hour)) })
		g.Go(func(t *actors.Task) error {
			_, _ = actors.Await(t, new(actors.Promise[int]).Future())
			return t.Context().Err()
		})
		g.Go(func(t *actors.Task) error { _ = t.Yield(); return errLeft })
		if err := g.Wait(); err == nil || err.Error() != "left\nright" {
			w.Errorf("Wait: %v", err)
		}
		return nil
	})
}

// What a member says beside that it was cancelled is a failure, in whatever form
// it comes along with that.
func TestGroupFailureBesideTheEnd(t *testing.T) {
	full := errors.New("disk full")
	cleanUp := func(t *actors.Task) error {
		return t.Cleanup(time.Second, func(t *actors.Task) error { _ = t.Sleep(time.Millisecond); return full })
	}
	for name, test := range map[string]struct {
		member func(t *actors.Task) error
		fails  error // with what; nil: it says no more than the end
	}{
		"joined":                 {func(t *actors.Task) error { return errors.Join(t.Sleep(time.Hour), full) }, full},
		"joined by its clean-up": {func(t *actors.Task) error { return errors.Join(t.Sleep(time.Hour), cleanUp(t)) }, full},
		"wrapped together": {func(t *actors.Task) error {
			return fmt.Errorf("flush: %w (after %w)", full, t.Sleep(time.Hour))
		}, full},
		"deep": {func(t *actors.Task) error {
			return fmt.Errorf("a: %w", errors.Join(nil, fmt.Errorf("b: %w", errors.Join(t.Sleep(time.Hour), fmt.Errorf("c: %w", full)))))
		}, full},
		"of an inner group": {func(t *actors.Task) error {
			g := t.NewGroup()
			g.Go(func(t *actors.Task) error { return t.Sleep(time.Hour) })
			g.Go(func(t *actors.Task) error { _ = t.Sleep(time.Hour); return cleanUp(t) })
			return g.Wait()
		}, full},
		"as the reason of a panic": {func(t *actors.Task) error { panic(t.Sleep(time.Hour)) }, new(actors.PanicError)},
		"the time of its clean-up": {func(t *actors.Task) error {
			return errors.Join(t.Sleep(time.Hour), t.Cleanup(time.Second, func(t *actors.Task) error { return t.Sleep(time.Minute) }))
		}, actors.ErrTimeout},
		"another machine's": {func(t *actors.Task) error {
			return messages.NewFailure(errors.Join(t.Sleep(time.Hour), actors.ErrMailboxFull), true, false)
		}, actors.ErrMailboxFull},

		"the end":          {func(t *actors.Task) error { return t.Sleep(time.Hour) }, nil},
		"the end, wrapped": {func(t *actors.Task) error { return fmt.Errorf("fetch: %w", t.Sleep(time.Hour)) }, nil},
		"the end, joined": {func(t *actors.Task) error {
			return errors.Join(t.Sleep(time.Hour), t.Context().Err(), context.Cause(t.Context()))
		}, nil},
		"the end, of its context": {func(t *actors.Task) error {
			ctx := t.Context()
			_ = t.Sleep(time.Hour)
			return fmt.Errorf("get: %w", ctx.Err())
		}, nil},
		"the end, of an inner group": {func(t *actors.Task) error {
			g := t.NewGroup()
			g.Go(func(t *actors.Task) error { return t.Sleep(time.Hour) })
			return g.Wait()
		}, nil},
		"the end, from another machine": {func(t *actors.Task) error { return messages.NewFailure(t.Sleep(time.Hour), true, false) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(w *world, t *actors.Task) error {
				g := t.NewGroup()
				g.Go(test.member)
				g.Go(func(t *actors.Task) error { _ = t.Sleep(time.Second); return errLeft })
				err := g.Wait()
				var p *actors.PanicError
				switch _, panicked := test.fails.(*actors.PanicError); {
				case !errors.Is(err, errLeft):
					w.Errorf("Wait: %v, want the first failure", err)
				case test.fails == nil && err != errLeft:
					w.Errorf("Wait: %v, want the first failure alone", err)
				case panicked && !errors.As(err, &p), test.fails != nil && !panicked && !errors.Is(err, test.fails):
					w.Errorf("Wait: %v, want %v joined to it", err, test.fails)
				}
				return nil
			})
		})
	}
}

func TestGroupMemberPanicIsAFailureOfTheGroup(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		var tr testtools.Trace
		g := t.NewGroup()
		g.Go(sleeper(&tr, "other", time.Hour))
		g.Go(panics)
		err := g.Wait()
		var p *actors.PanicError
		if !errors.As(err, &p) || p.Value != "oops" || !strings.Contains(string(p.Stack), "panics") {
			w.Errorf("Wait: %v", err)
		}
		tr.Want(w, "other: actors: canceled: panic: oops")
		return nil
	})
}

func panics(*actors.Task) error { panic("oops") }

func TestGroupMemberGoexitIsAFailureOfTheGroup(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		g := t.NewGroup()
		g.Go(func(t *actors.Task) error { runtime.Goexit(); return nil })
		g.Go(func(t *actors.Task) error { w.Error("started after the failure"); return nil })
		if err := g.Wait(); !errors.Is(err, actors.ErrGoexit) {
			w.Errorf("Wait: %v", err)
		}
		return nil
	})
}

// The group tells of each: none is told to the failure hooks, nor logged, beside that.
func TestGroupMembersThatGoexitAreToldByTheGroup(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		defer inspect.OnFailure(w.sys, func(f inspect.Failure) {
			if f.Worker != nil { // otherwise it may be a promise of another test
				w.Errorf("told: %v in %s: %v", f.Kind, f.Task, f.Err)
			}
		})()
		g := t.NewGroup()
		for range 2 {
			g.Go(func(t *actors.Task) error { _ = t.Sleep(time.Second); runtime.Goexit(); return nil })
		}
		if err := g.Wait(); !errors.Is(err, actors.ErrGoexit) {
			w.Errorf("Wait: %v", err)
		}
		if err := t.Sleep(time.Second); err != nil {
			return err
		}
		if log := actortest.LogOf(w.sys).Find(slog.LevelWarn, ""); len(log) > 0 {
			w.Errorf("logged: %v", log)
		}
		return nil
	})
}

func TestGroupDoesNotStartAfterAFailure(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		g := t.NewGroup()
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
		g := t.NewGroup()
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
		var tr testtools.Trace
		g := t.NewGroup()
		g.Go(func(t *actors.Task) error { _ = t.Sleep(time.Hour); return nil }, actors.Timeout(time.Second), actors.Name("late"))
		g.Go(sleeper(&tr, "other", time.Hour))
		if err := g.Wait(); !errors.Is(err, actors.ErrTimeout) {
			w.Errorf("Wait: %v", err)
		}
		tr.Want(w, "other: actors: canceled: actors: timeout: late of worker")
		return nil
	})
}

func TestGroupFailureCanBeHandled(t *testing.T) {
	in(t, func(w *world, t *actors.Task) error {
		outer := t.NewGroup()
		outer.Go(func(t *actors.Task) error {
			inner := t.NewGroup()
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
			g := t.NewGroup()
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
