// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// incarnation asks a bomb for its number.
func incarnation(t *testing.T, sys *actor.ActorSystem, pid *actor.PID) int {
	t.Helper()
	n, err := actors.RequestFuture[int](sys.Root, pid, "which").Wait(t.Context())
	if err != nil {
		t.Errorf("the worker does not answer: %v", err)
	}
	return n
}

func submittedPanic(t *testing.T, sys *actor.ActorSystem) {
	var n int
	pid := actortest.Spawn(t, sys.Root, "w", bomb(&n), actors.Options{})
	beside := do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(time.Second) })
	wantPanic(t, "submitted", do(sys.Root, pid, func(*actors.Task) error { explode("boom"); return nil }), "boom")
	if _, err := beside.Wait(t.Context()); err != nil {
		t.Errorf("a task beside it: %v", err)
	}
	if got := incarnation(t, sys, pid); got != 1 {
		t.Errorf("incarnation %d", got)
	}
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), actors.Counts{Finished: 2, Failed: 1})
}

func startedPanic(t *testing.T, sys *actor.ActorSystem) {
	var n int
	pid := actortest.Spawn(t, sys.Root, "w", bomb(&n), actors.Options{})
	run(t, sys.Root, pid, func(t *actors.Task) error {
		f := actors.Start(t, func(*actors.Task) (none, error) { explode("boom"); return none{}, nil })
		g := actors.Start(t, func(t *actors.Task) (none, error) { t.Yield(); explode("boom"); return none{}, nil })
		var p *actors.PanicError
		for _, f := range []*actors.Future[none]{f, g} {
			if _, err := actors.Await(t, f); !errors.As(err, &p) {
				return fmt.Errorf("a child that panics: %w", err)
			}
		}
		return t.Sleep(time.Second)
	})
	if got := incarnation(t, sys, pid); got != 1 {
		t.Errorf("incarnation %d", got)
	}
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), finished(2))
}

func handlerPanic(t *testing.T, sys *actor.ActorSystem) {
	var n int
	pid := actortest.Spawn(t, sys.Root, "w", bomb(&n), actors.Options{})
	var p *actors.PanicError
	if _, err := actors.RequestFuture[none](sys.Root, pid, 1).Wait(t.Context()); !errors.As(err, &p) || p.Value != "boom" {
		t.Errorf("its future: %v", err)
	}
	if got := incarnation(t, sys, pid); got != 2 {
		t.Errorf("incarnation %d, want 2", got)
	}
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), actors.Counts{Finished: 1, Failed: 1})
}

func onewayPanic(t *testing.T, sys *actor.ActorSystem) {
	var n int
	pid := actortest.Spawn(t, sys.Root, "w", bomb(&n), actors.Options{})
	sys.Root.Send(pid, 1)
	if got := incarnation(t, sys, pid); got != 2 {
		t.Errorf("incarnation %d, want 2", got)
	}
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), actors.Counts{Finished: 1, Failed: 1})
}

func backgroundFails(t *testing.T, sys *actor.ActorSystem) {
	fail := func(t *actors.Task) error { t.Sleep(time.Second); return errSoldOut }
	boom := func(t *actors.Task) error { t.Sleep(time.Second); explode("boom"); return nil }
	for name, register := range map[string]func(w *actors.Worker){
		"Background returns an error": func(w *actors.Worker) { w.Background("part", fail) },
		"Background panics":           func(w *actors.Worker) { w.Background("part", boom) },
		"Main returns an error":       func(w *actors.Worker) { w.Main(fail) },
		"Main panics":                 func(w *actors.Worker) { w.Main(boom) },
	} {
		n := 0
		pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
			if n == 0 {
				register(w)
			}
			return bomb(&n)(w)
		}, actors.Options{})
		f := do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(time.Minute) })
		_, err := f.Wait(t.Context())
		wantErr(t, name+": a task beside it", err, actors.ErrRestarted)
		if got := incarnation(t, sys, pid); got != 2 {
			t.Errorf("%s: incarnation %d, want 2", name, got)
		}
		actortest.Stop(t, sys.Root, pid, 0)
	}
	// A part that is done is no failure, and a Main that is done ends the worker.
	n := 0
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		w.Background("part", func(*actors.Task) error { return nil })
		w.Main(func(t *actors.Task) error { return t.Sleep(time.Minute) })
		return bomb(&n)(w)
	}, actors.Options{})
	time.Sleep(30 * time.Second)
	if got := incarnation(t, sys, pid); got != 1 {
		t.Errorf("a Background that is done: incarnation %d, want 1", got)
	}
	time.Sleep(31 * time.Second)
	if _, ok := sys.ProcessRegistry.GetLocal("w"); ok || n != 1 {
		t.Errorf("after Main has returned nil: registered %v, incarnation %d", ok, n)
	}
}

func parentDecides(t *testing.T, sys *actor.ActorSystem) {
	for _, directive := range []actor.Directive{actor.ResumeDirective, actor.RestartDirective, actor.StopDirective} {
		var n, parts, over int
		var reason any
		decide := func(r any) actor.Directive { reason = r; return directive }
		var child *actor.PID
		parent := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				child, _ = c.SpawnNamed(actors.Props(func(w *actors.Worker) error {
					w.Background("part", func(t *actors.Task) error {
						parts++
						defer func() { parts-- }()
						return t.Sleep(time.Hour)
					})
					w.Background("over", func(*actors.Task) error { over++; return nil })
					return bomb(&n)(w)
				}), "child")
			}
		}, actor.WithSupervisor(actor.NewOneForOneStrategy(3, time.Minute, decide))))
		synctest.Wait()
		actors.RequestFuture[none](sys.Root, child, 1)
		synctest.Wait()
		if err, ok := reason.(error); !ok || !errors.As(err, new(*actors.PanicError)) {
			t.Errorf("%v: the strategy was given %T %v", directive, reason, reason)
		}
		switch directive {
		case actor.ResumeDirective:
			if got := incarnation(t, sys, child); got != 1 {
				t.Errorf("resumed: incarnation %d", got)
			}
			if parts != 1 || over != 1 {
				t.Errorf("resumed: %d of a Background run, want 1; one that was done has run %d times", parts, over)
			}
		case actor.RestartDirective:
			if got := incarnation(t, sys, child); got != 2 {
				t.Errorf("restarted: incarnation %d", got)
			}
		case actor.StopDirective:
			if _, ok := sys.ProcessRegistry.GetLocal(child.Id); ok {
				t.Error("it was not stopped")
			}
		}
		sys.Root.Stop(parent)
	}
}

func restartsItselfTenTimes(t *testing.T, sys *actor.ActorSystem) {
	var n int
	boom := func(pid *actor.PID) { actors.RequestFuture[none](sys.Root, pid, 1).Wait(t.Context()) }
	pid := actortest.Spawn(t, sys.Root, "w", bomb(&n), actors.Options{})
	for range 25 { // never more than ten in ten seconds
		boom(pid)
		time.Sleep(time.Second + 1) // a restart that is exactly as old as the window counts
	}
	if got := incarnation(t, sys, pid); got != 26 {
		t.Errorf("incarnation %d, want 26", got)
	}
	time.Sleep(10*time.Second + 1)
	for range 10 {
		boom(pid)
	}
	if got := incarnation(t, sys, pid); got != 36 {
		t.Errorf("incarnation %d, want 36", got)
	}
	boom(pid)
	synctest.Wait()
	if _, ok := sys.ProcessRegistry.GetLocal("w"); ok || n != 36 {
		t.Errorf("after the eleventh failure: registered %v, incarnation %d", ok, n)
	}
}

// unobservedIsLogged runs in real time: it waits for the garbage collector.
func unobservedIsLogged(t *testing.T) {
	sys := actortest.NewSystem(t)
	pid := actortest.Spawn(t, sys.Root, "w", bare, actors.Options{})
	fail := func(*actors.Task) (none, error) { return none{}, errSoldOut }
	logged := func() []actortest.Record { return actortest.LogOf(sys).Find(slog.LevelWarn, "never looked at") }
	const burst = 100
	rounds := 0
	actortest.Eventually(t, "the log line of a failure that nobody looked at", func() bool {
		rounds++
		for range burst {
			actors.Submit(sys.Root, pid, fail, actors.Name("unseen"))
			seen := actors.Submit(sys.Root, pid, fail, actors.Name("seen"))
			if _, err := seen.Wait(t.Context()); err == nil {
				t.Error("no error")
			}
			actors.Submit(sys.Root, pid, func(*actors.Task) (none, error) { return none{}, nil }, actors.Name("fine"))
		}
		runtime.GC()
		return len(logged()) > 0
	})
	actortest.Stop(t, sys.Root, pid, 0)
	for range 3 {
		runtime.GC()
	}
	found := logged()
	if len(found) > rounds*burst/2 {
		t.Errorf("%d lines for %d failures: they are not rate-limited", len(found), rounds*burst)
	}
	for _, r := range found {
		if r.Attr("task") != "unseen" || r.Attr("error") != error(errSoldOut) || r.Attr("worker") != "w" {
			t.Errorf("logged: %v", r)
		}
	}
}
