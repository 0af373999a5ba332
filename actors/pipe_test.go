// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/messages"
)

func TestOnDoneIsToldTheResult(t *testing.T) {
	ps, fs := promises(2)
	var tr testtools.Trace
	note := func(name string) func(int, error) {
		return func(v int, err error) { tr.Add("%s: %d, %v", name, v, err) }
	}
	fs[0].OnDone(note("a"))
	fs[0].OnDone(note("b"))
	fs[1].OnDone(note("c"))
	tr.Want(t)
	ps[1].Reject(errLeft)
	ps[0].Resolve(7)
	fs[0].OnDone(note("late"))
	tr.Want(t, "c: 0, left", "a: 7, <nil>", "b: 7, <nil>", "late: 7, <nil>")
}

// In a callback no lock is held: all that may be done to the future may be
// done there.
func TestOnDoneRunsOutsideOfLocks(t *testing.T) {
	ps, fs := promises(1)
	f := fs[0]
	called := 0
	f.OnDone(func(int, error) {
		called++
		f.Cancel()
		<-f.Ready()
		f.OnDone(func(int, error) { called++ })
		ps[0].Resolve(8)
		futures.All(f, f)
	})
	ps[0].Resolve(7)
	wantNow(t, "the future", f, 7)
	if called != 2 {
		t.Errorf("%d calls", called)
	}
}

func TestOnDonePanicIsLogged(t *testing.T) {
	bubble(t, func(w *world) {
		pid := w.worker("worker", actors.Options{}, none)
		f := actors.Submit(w.root, pid, func(t *actors.Task) (int, error) { return 1, t.Sleep(time.Second) })
		var tr testtools.Trace
		f.OnDone(func(int, error) { panic("oops") })
		f.OnDone(func(int, error) { tr.Add("next") })
		want(w, f, 1)
		synctest.Wait()
		tr.Want(w, "next")
		found := actortest.LogOf(w.sys).Find(slog.LevelError, "panic in an OnDone callback")
		if len(found) != 1 || found[0].Attr("panic") != "oops" || found[0].Attr("stack") == nil {
			w.Errorf("logged: %v", found)
		}
		w.stopped(pid, time.Hour)
	})
}

// inbox is an actor that keeps what it gets.
func (w *world) inbox() (*actor.PID, func() []any) {
	var got []any
	pid := w.plain(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started, *actor.Stopping, *actor.Stopped:
		default:
			got = append(got, m)
		}
	})
	return pid, func() []any { synctest.Wait(); return slices.Clone(got) }
}

func TestPipeToSendsTheValue(t *testing.T) {
	bubble(t, func(w *world) {
		a, gotA := w.inbox()
		b, gotB := w.inbox()
		ps, fs := promises(1)
		fs[0].PipeTo(w.root, a, b)
		fs[0].PipeTo(w.root)
		if len(gotA()) != 0 {
			w.Error("sent too early")
		}
		ps[0].Resolve(7)
		if a, b := gotA(), gotB(); !slices.Equal(a, []any{7}) || !slices.Equal(b, []any{7}) {
			w.Errorf("got %v and %v", a, b)
		}
	})
}

func TestPipeToSendsAFailure(t *testing.T) {
	bubble(t, func(w *world) {
		pid, got := w.inbox()
		worker := w.worker("worker", actors.Options{Logger: discard()}, none)
		begun := did(w.root, worker, func(t *actors.Task) error { return t.Sleep(time.Hour) })
		begun.PipeTo(w.root, pid)
		synctest.Wait()
		begun.Cancel()
		w.stopped(worker, time.Hour)
		did(w.root, worker, func(*actors.Task) error { return nil }).PipeTo(w.root, pid)
		futures.Failed[int](errLeft).PipeTo(w.root, pid)
		all := got()
		if len(all) != 3 {
			w.Fatalf("got %v", all)
		}
		for i, check := range []struct {
			target error
			ran    bool
		}{{actors.ErrCanceled, true}, {actors.ErrDeadLetter, false}, {nil, true}} {
			f, ok := all[i].(*messages.Failure)
			if !ok || check.target != nil && !errors.Is(f, check.target) || f.Ran != check.ran || f.RetrySafe == check.ran {
				w.Errorf("%d: got %v, ran %v, retry safe %v", i, all[i], f.GetRan(), f.GetRetrySafe())
			}
		}
	})
}

// From a task it works, too, and after the task has ended.
func TestPipeToFromATask(t *testing.T) {
	bubble(t, func(w *world) {
		pid, got := w.inbox()
		worker := w.worker("worker", actors.Options{Logger: discard()}, none)
		ps, fs := promises(1)
		f := did(w.root, worker, func(t *actors.Task) error { fs[0].PipeTo(t, pid); return nil })
		want(w, f, struct{}{})
		w.stopped(worker, time.Hour)
		ps[0].Resolve(1)
		if all := got(); !slices.Equal(all, []any{1}) {
			w.Errorf("got %v", all)
		}
	})
}

// The answer to a request can be piped to whoever has asked.
func TestPipeToAnswersARequest(t *testing.T) {
	bubble(t, func(w *world) {
		sleeper := w.worker("sleeper", actors.Options{}, none)
		var fs []*actors.Future[int]
		for i, d := range []time.Duration{30 * time.Second, time.Second} {
			fs = append(fs, actors.Submit(w.root, sleeper, func(t *actors.Task) (int, error) { return i, t.Sleep(d) }))
		}
		pid := w.dropIn(actors.Options{Logger: discard()}, func(c actor.Context) {
			switch m := c.Message().(type) {
			case int:
				fs[m].PipeTo(c, c.Sender())
			}
		})
		asked := actors.RequestFuture[int](w.root, pid, 1)
		want(w, asked, 1)
		fs[0].Cancel()
		wantErr(w, actors.RequestFuture[int](w.root, pid, 0), actors.ErrCanceled)
	})
}

// What a plain actor or another machine has answered is passed on as it says.
func TestPipeToPassesAFailureOn(t *testing.T) {
	bubble(t, func(w *world) {
		pid, got := w.inbox()
		last := func() *messages.Failure {
			all := got()
			return all[len(all)-1].(*messages.Failure)
		}
		worker := w.worker("worker", actors.Options{Logger: discard()}, none)
		for _, ran := range []bool{false, true} {
			asked := w.plain(func(c actor.Context) {
				if _, ok := c.Message().(string); ok {
					c.Respond(messages.NewFailure(errLeft, ran, !ran))
				}
			})
			actors.RequestFuture[int](w.root, asked, "x").PipeTo(w.root, pid)
			if f := last(); f.Ran != ran || f.RetrySafe == ran {
				w.Errorf("of %v: %v, %v", ran, f.Ran, f.RetrySafe)
			}
			// A task that has asked has run itself.
			did(w.root, worker, func(t *actors.Task) error {
				_, err := actors.Ask[int](t, asked, "x")
				return err
			}).PipeTo(w.root, pid)
			if f := last(); !f.Ran || f.RetrySafe {
				w.Errorf("of a task: %v, %v", f.Ran, f.RetrySafe)
			}
		}
	})
}

func TestFutureMisuse(t *testing.T) {
	one := futures.Resolved(1)
	for what, f := range map[string]func(){
		"a nil function": func() { one.OnDone(nil) },
		"a nil sender":   func() { one.PipeTo(nil) },
	} {
		testtools.WantPanic(t, f, "actors: ", what)
	}
}
