// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

func suspendedAtOnce(t *testing.T, sys *actor.ActorSystem) {
	var n int
	pid := actortest.Spawn(t, sys.Root, "w", bomb(&n), actors.Options{})
	for round := range 10 {
		hold := make(chan none)
		do(sys.Root, pid, func(*actors.Task) error { <-hold; return nil })
		actors.RequestFuture[none](sys.Root, pid, 1)
		var after []*actors.Future[int]
		for range 5 {
			after = append(after, actors.RequestFuture[int](sys.Root, pid, "which"),
				actors.Submit(sys.Root, pid, func(*actors.Task) (int, error) { return n, nil }))
		}
		close(hold)
		for _, f := range after {
			if v, err := f.Wait(t.Context()); v != round+2 || err != nil {
				t.Fatalf("what was behind the failure ran in incarnation %d, %v, want %d", v, err, round+2)
			}
		}
		time.Sleep(2 * time.Second) // not too many restarts
	}
}

func inFlightRestarted(t *testing.T, sys *actor.ActorSystem) {
	var n int
	pid := actortest.Spawn(t, sys.Root, "w", bomb(&n), actors.Options{StopGrace: 2 * time.Second})
	other := actortest.Spawn(t, sys.Root, "other", bare, actors.Options{})
	var tr testtools.Trace
	var ctx context.Context
	var child, remote *actors.Future[none]
	f := do(sys.Root, pid, func(t *actors.Task) error {
		ctx = t.Context()
		child = actors.Start(t, func(t *actors.Task) (none, error) { return none{}, t.Sleep(time.Hour) })
		remote = do(t, other, func(t *actors.Task) error {
			err := t.Sleep(time.Hour)
			tr.Add("the other's work ends: %v", errors.Is(err, actors.ErrRestarted))
			return err
		})
		t.Sleep(time.Hour)
		tr.Add("unwound")
		return nil
	})
	synctest.Wait()
	watch := newStopwatch()
	actors.RequestFuture[none](sys.Root, pid, 1)
	synctest.Wait()
	for name, f := range map[string]*actors.Future[none]{"task": f, "child": child, "its work elsewhere": remote} {
		wantDone(t, name, f, actors.ErrRestarted)
	}
	var p *actors.PanicError
	if _, err := f.TryResult(); !errors.As(err, &p) || p.Value != "boom" {
		t.Errorf("what the worker failed of is not beside it: %v", err)
	}
	if cause := context.Cause(ctx); ctx.Err() != context.Canceled || !errors.Is(cause, actors.ErrRestarted) {
		t.Errorf("its context: %v, cause %v", ctx.Err(), cause)
	}
	watch.want(t, "all that", 0)
	if got := incarnation(t, sys, pid); got != 2 {
		t.Errorf("incarnation %d", got)
	}
	events := strings.Join(tr.Take(), ", ")
	if !strings.Contains(events, "unwound") || !strings.Contains(events, "the other's work ends: true") {
		t.Errorf("happened: %s", events)
	}
}

func queueSurvivesRestart(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		tr.Add("setup")
		actors.Handle(w, func(*actors.Task, int) (none, error) { panic("boom") })
		return echo(&tr)(w)
	}, actors.Options{})
	hold := make(chan none)
	do(sys.Root, pid, func(*actors.Task) error { <-hold; return nil })
	actors.RequestFuture[none](sys.Root, pid, 1)
	want := sendAll(sys.Root, pid, &tr)
	close(hold)
	synctest.Wait()
	tr.Want(t, append([]string{"setup", "setup"}, want...)...)
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), actors.Counts{Finished: int64(len(want)) + 1, Failed: 1})
}

func restartWaitsForTasks(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		tr.Add("setup")
		actors.Handle(w, func(*actors.Task, int) (none, error) { panic("boom") })
		return nil
	}, actors.Options{StopGrace: 10 * time.Second})
	do(sys.Root, pid, func(t *actors.Task) error {
		t.Sleep(time.Hour)
		t.Cleanup(time.Minute, func(t *actors.Task) error { return t.Sleep(3 * time.Second) })
		tr.Add("old task ends")
		return nil
	})
	synctest.Wait()
	tr.Want(t, "setup")
	watch := newStopwatch()
	actors.RequestFuture[none](sys.Root, pid, 1)
	do(sys.Root, pid, func(*actors.Task) error { tr.Add("queued"); return nil }).Wait(t.Context())
	watch.want(t, "the next incarnation ran", 3*time.Second)
	tr.Want(t, "old task ends", "setup", "queued")
}

// stuck blocks without awaiting until release is closed.
//
//go:noinline
func stuck(release chan none) { <-release }

func restartAbandons(t *testing.T, sys *actor.ActorSystem) {
	var n int
	pid := actortest.Spawn(t, sys.Root, "w", bomb(&n), actors.Options{StopGrace: 2 * time.Second, BlockedTurn: -1})
	release := make(chan none)
	defer close(release)
	f := do(sys.Root, pid, func(t *actors.Task) error {
		t.Sleep(time.Hour)
		stuck(release)
		return nil
	}, actors.Name("stubborn"))
	synctest.Wait()
	watch := newStopwatch()
	actors.RequestFuture[none](sys.Root, pid, 1)
	if got := incarnation(t, sys, pid); got != 2 {
		t.Errorf("incarnation %d", got)
	}
	if d := time.Since(time.Time(watch)); d < 2*time.Second || d > 2100*time.Millisecond {
		t.Errorf("the next incarnation started after %v, want StopGrace, 2 s, and little more", d)
	}
	wantDone(t, "stuck", f, actors.ErrRestarted)
	wantAbandoned(t, sys, "stubborn", time.Time(watch))
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), actors.Counts{Finished: 1, Failed: 1, Abandoned: 1})
}

// wantAbandoned fails the test unless the log names an abandoned task with
// when it was told to end and its stack, which is in stuck.
func wantAbandoned(t *testing.T, sys *actor.ActorSystem, task string, since time.Time) {
	t.Helper()
	log := actortest.LogOf(sys).Find(slog.LevelWarn, "abandoned")
	if len(log) != 1 {
		t.Fatalf("logged: %v", log)
	}
	stack, _ := log[0].Attr("stack").(string)
	if at, ok := log[0].Attr("since").(time.Time); !ok || !at.Equal(since) {
		t.Errorf("abandoned since %v, want %v, when it was told to end", at, since)
	}
	if log[0].Attr("task") != task || !strings.Contains(stack, "contract.stuck") {
		t.Errorf("logged: %v", log[0])
	}
}

func pidStays(t *testing.T, sys *actor.ActorSystem) {
	var n int
	pid := actortest.Spawn(t, sys.Root, "w", bomb(&n), actors.Options{})
	before, there := sys.ProcessRegistry.GetLocal("w")
	if !there {
		t.Fatal("the worker is not registered")
	}
	var terminated []*actor.Terminated
	sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started:
			c.Watch(pid)
		case *actor.Terminated:
			terminated = append(terminated, m)
		}
	}))
	for want := 2; want < 5; want++ {
		actors.RequestFuture[none](sys.Root, pid, 1)
		if got := incarnation(t, sys, pid); got != want {
			t.Errorf("incarnation %d, want %d", got, want)
		}
	}
	if after, _ := sys.ProcessRegistry.GetLocal("w"); after != before {
		t.Error("the process of the PID is another one")
	}
	if len(terminated) != 0 {
		t.Error("a watcher was told that it ended")
	}
	actortest.Stop(t, sys.Root, pid, 0)
	synctest.Wait()
	if len(terminated) != 1 {
		t.Errorf("a watcher was told %d times that it ended", len(terminated))
	}
}

func lateResultsTouchNothing(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	var n int
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		actors.On(w, func(_ *actors.Task, late float64) error { tr.Add("a late reply became a message"); return nil })
		return bomb(&n)(w)
	}, actors.Options{StopGrace: time.Second})
	slow := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(int); ok {
			time.Sleep(5 * time.Second)
			c.Respond(3.14)
		}
	}))
	promise := new(actors.Promise[none])
	old := map[string]func(t *actors.Task) error{
		"timer":   func(t *actors.Task) error { return t.Sleep(5 * time.Second) },
		"reply":   func(t *actors.Task) error { _, err := actors.Ask[float64](t, slow, 1); return err },
		"promise": func(t *actors.Task) error { _, err := actors.Await(t, promise.Future()); return err },
		"offload": func(t *actors.Task) error {
			_, err := actors.Await(t, actors.Offload(t, func(context.Context) (none, error) {
				time.Sleep(5 * time.Second) // whatever its context says
				return none{}, nil
			}))
			return err
		},
		"ReenterAfter": func(t *actors.Task) error {
			t.ReenterAfter(sys.Root.RequestFuture(slow, 1, time.Minute), func(any, error) { tr.Add("an old continuation ran") })
			return t.Sleep(5 * time.Second)
		},
	}
	for name, f := range old {
		do(sys.Root, pid, func(t *actors.Task) error {
			if err := f(t); !errors.Is(err, actors.ErrRestarted) {
				tr.Add("%s: %v", name, err)
			}
			return nil
		})
	}
	time.Sleep(time.Second)
	actors.RequestFuture[none](sys.Root, pid, 1)
	if got := incarnation(t, sys, pid); got != 2 {
		t.Errorf("incarnation %d", got)
	}
	beside := do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(20 * time.Second) })
	time.Sleep(4 * time.Second)
	promise.Resolve(none{})
	if _, err := beside.Wait(t.Context()); err != nil {
		t.Errorf("a task of the new incarnation: %v", err)
	}
	tr.Want(t)
	wantCounts(t, actortest.Stop(t, sys.Root, pid, 0), actors.Counts{Finished: 2, Failed: 1, Canceled: int64(len(old))})
}

func lateReceiveTimeout(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	var n int
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		actors.On(w, func(t *actors.Task, d time.Duration) error { t.SetReceiveTimeout(d); return nil })
		actors.On(w, func(*actors.Task, *actor.ReceiveTimeout) error { tr.Add("timeout in incarnation %d", n); return nil })
		return bomb(&n)(w)
	}, actors.Options{BlockedTurn: -1})
	sys.Root.Send(pid, time.Minute)
	time.Sleep(time.Hour)
	synctest.Wait()
	tr.Want(t, "timeout in incarnation 1")
	// One that has not fired when the worker fails …
	sys.Root.Send(pid, time.Minute)
	actors.RequestFuture[none](sys.Root, pid, 1)
	time.Sleep(time.Hour)
	synctest.Wait()
	tr.Want(t)
	// … and one that is in the queue then.
	sys.Root.Send(pid, time.Minute)
	release := make(chan none)
	do(sys.Root, pid, func(*actors.Task) error { <-release; return nil })
	actors.RequestFuture[none](sys.Root, pid, 1)
	time.Sleep(time.Hour)
	synctest.Wait()
	close(release)
	time.Sleep(time.Hour)
	synctest.Wait()
	tr.Want(t)
	if n != 3 {
		t.Errorf("%d incarnations, want 3", n)
	}
}
