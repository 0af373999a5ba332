// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

// sees is a receiver middleware that notes what the engine tells an actor.
func sees(tr *testtools.Trace) actor.PropsOption {
	return actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(c actor.ReceiverContext, env *actor.MessageEnvelope) {
			switch env.Message.(type) {
			case *actor.Stopping, *actor.Stopped, *actor.Restarting:
				tr.Add("%T", env.Message)
			}
			next(c, env)
		}
	})
}

func hooksOrder(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	var n int
	pid, err := sys.Root.SpawnNamed(actors.Props(func(w *actors.Worker) error {
		for _, name := range []string{"first", "second", "third"} {
			w.OnStop(func(t *actors.Task) error {
				err := t.Sleep(time.Second)
				tr.Add("%s hook, %v", name, err)
				return nil
			})
		}
		return bomb(&n)(w)
	}, sees(&tr)), "w")
	if err != nil {
		t.Fatal(err)
	}
	do(sys.Root, pid, func(t *actors.Task) error { t.Sleep(time.Hour); tr.Add("task"); return nil })
	synctest.Wait()
	sys.Root.Send(pid, 1)
	time.Sleep(4 * time.Second)
	tr.Want(t, "task", "third hook, <nil>", "second hook, <nil>", "first hook, <nil>", "*actor.Restarting")
	sys.Root.Stop(pid)
	time.Sleep(4 * time.Second)
	synctest.Wait()
	tr.Want(t, "third hook, <nil>", "second hook, <nil>", "first hook, <nil>", "*actor.Stopping", "*actor.Stopped")
	if n != 2 {
		t.Errorf("incarnation %d, want 2", n)
	}
}

func hooksContext(t *testing.T, sys *actor.ActorSystem) {
	var causes []error // what ended the incarnations
	var n int
	var bad []string
	setup := func(w *actors.Worker) error {
		w.OnStop(func(t *actors.Task) error {
			ctx := t.Context()
			causes = append(causes, t.StopReason())
			deadline, ok := ctx.Deadline()
			if ctx.Err() != nil || !ok || time.Until(deadline) != 7*time.Second {
				bad = append(bad, fmt.Sprintf("err %v, deadline %v in %v", ctx.Err(), ok, time.Until(deadline)))
			}
			_, err := actors.Await(t, actors.Start(t, func(t *actors.Task) (none, error) { return none{}, t.Sleep(time.Second) }))
			if err != nil || ctx.Err() != nil {
				bad = append(bad, fmt.Sprintf("await in a hook: %v, context %v", err, ctx.Err()))
			}
			return nil
		})
		return bomb(&n)(w)
	}
	pid := actortest.Spawn(t, sys.Root, "w", setup, actors.Options{StopGrace: 7 * time.Second})
	ends := []func(){
		func() { sys.Root.Send(pid, 1) },
		func() { sys.Root.Stop(pid) },
	}
	for _, end := range ends {
		end()
		time.Sleep(3 * time.Second)
		synctest.Wait()
	}
	pid = actortest.Spawn(t, sys.Root, "w", setup, actors.Options{StopGrace: 7 * time.Second})
	sys.Root.Poison(pid) // drained
	time.Sleep(3 * time.Second)
	synctest.Wait()
	if len(causes) != 3 || len(bad) > 0 {
		t.Fatalf("%d hooks ran: %v", len(causes), bad)
	}
	wantErr(t, "restart", causes[0], actors.ErrRestarted)
	if p := new(actors.PanicError); !errors.As(causes[0], &p) || p.Value != "boom" {
		t.Errorf("restart: what led to it is not in the reason: %v", causes[0])
	}
	wantErr(t, "stop", causes[1], actors.ErrStopped)
	wantErr(t, "poison", causes[2], actors.ErrStopped)
}

func hooksGrace(t *testing.T, sys *actor.ActorSystem) {
	for _, end := range []struct {
		why  error
		stop func(pid *actor.PID)
	}{
		{actors.ErrStopped, func(pid *actor.PID) { sys.Root.Stop(pid) }},
		{actors.ErrRestarted, func(pid *actor.PID) { sys.Root.Send(pid, 1) }},
	} {
		var await, cause error
		var ended time.Time
		var n int
		pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
			w.OnStop(func(t *actors.Task) error {
				await = t.Sleep(time.Hour)
				cause = context.Cause(t.Context())
				ended = time.Now()
				return nil
			})
			return bomb(&n)(w)
		}, actors.Options{StopGrace: 5 * time.Second})
		do(sys.Root, pid, func(t *actors.Task) error { // unwinding takes three of the five seconds
			t.Sleep(time.Hour)
			return t.Cleanup(time.Minute, func(t *actors.Task) error { return t.Sleep(3 * time.Second) })
		})
		synctest.Wait()
		begun := time.Now()
		end.stop(pid)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if d := ended.Sub(begun); d != 5*time.Second || await == nil {
			t.Errorf("%v: its time was over after %v, want 5 s; await: %v", end.why, d, await)
		}
		wantErr(t, "at the end of its time", cause, end.why, actors.ErrTimeout)
		sys.Root.Stop(pid)
		time.Sleep(6 * time.Second)
		synctest.Wait()
	}
}

func hooksHaveTheGrace(t *testing.T, sys *actor.ActorSystem) {
	for _, test := range []struct{ grace, work, left time.Duration }{
		{time.Minute, 10 * time.Second, 50 * time.Second},
		{time.Minute, 57 * time.Second, 5 * time.Second}, // no less than StopGrace
		{time.Second, 0, 5 * time.Second},
		{0, 0, 5 * time.Second},
	} {
		var left time.Duration
		var failed error
		pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
			w.OnStop(func(t *actors.Task) error {
				deadline, _ := t.Context().Deadline()
				left = time.Until(deadline)
				failed = t.Sleep(left - 1)
				return nil
			})
			return nil
		}, actors.Options{StopGrace: 5 * time.Second})
		do(sys.Root, pid, func(t *actors.Task) error { return t.Sleep(test.work) })
		synctest.Wait()
		begin := time.Now()
		if _, err := actors.Stop(t.Context(), sys.Root, pid, test.grace); err != nil || failed != nil || left != test.left {
			t.Errorf("grace %v, work %v: the hook had %v, want %v; %v, %v", test.grace, test.work, left, test.left, failed, err)
		}
		if took := time.Since(begin); took != test.work+test.left-1 {
			t.Errorf("grace %v, work %v: the stop took %v", test.grace, test.work, took)
		}
	}
}

func hooksAreCutShort(t *testing.T, sys *actor.ActorSystem) {
	for name, hook := range map[string]func(t *actors.Task) error{
		"awaits": func(t *actors.Task) error { return t.Sleep(time.Hour) },
		"blocks": func(t *actors.Task) error { <-t.Context().Done(); return context.Cause(t.Context()) },
	} {
		var why error
		var ended time.Time
		pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
			w.OnStop(func(t *actors.Task) error {
				why, ended = hook(t), time.Now()
				return nil
			})
			return nil
		}, actors.Options{StopGrace: 5 * time.Second, BlockedTurn: -1})
		begin := time.Now()
		stopped := actors.RequestStop(sys.Root, pid, time.Minute)
		time.Sleep(20 * time.Second)
		actors.RequestStop(sys.Root, pid, actors.NoGrace)
		s, err := stopped.Wait(t.Context())
		if err != nil || s.Abandoned != 0 {
			t.Errorf("%s: %v, %v", name, s, err)
		}
		wantErr(t, name, why, actors.ErrStopped)
		if took := ended.Sub(begin); took != 25*time.Second {
			t.Errorf("%s: it ended after %v", name, took)
		}
	}
}

func hooksFail(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	pid := actortest.Spawn(t, sys.Root, "w", func(w *actors.Worker) error {
		w.OnStop(func(*actors.Task) error { tr.Add("first"); return nil })
		w.OnStop(func(*actors.Task) error { tr.Add("panics"); explode("boom"); return nil })
		w.OnStop(func(*actors.Task) error { tr.Add("exits, too"); runtime.Goexit(); return nil })
		w.OnStop(func(t *actors.Task) error { tr.Add("awaits"); return t.Sleep(time.Second) })
		w.OnStop(func(*actors.Task) error { tr.Add("exits"); runtime.Goexit(); return nil })
		w.OnStop(func(*actors.Task) error { tr.Add("fails"); return errSoldOut })
		return nil
	}, actors.Options{})
	actortest.Stop(t, sys.Root, pid, 0)
	tr.Want(t, "fails", "exits", "awaits", "exits, too", "panics", "first")
	if log := actortest.LogOf(sys).Find(0, "OnStop"); len(log) != 4 {
		t.Errorf("logged: %v", log)
	}
}

func hooksNeedSetup(t *testing.T, sys *actor.ActorSystem) {
	var tr testtools.Trace
	_, err := actors.Spawn(t.Context(), sys.Root, "w", func(w *actors.Worker) error {
		w.OnStop(func(*actors.Task) error { tr.Add("hook"); return nil })
		return errSoldOut
	}, actors.Options{})
	wantErr(t, "Spawn", err, errSoldOut)
	synctest.Wait()
	tr.Want(t)
	if _, ok := sys.ProcessRegistry.GetLocal("w"); ok {
		t.Error("a worker whose setup failed is still there")
	}
}

func plainActorAwaits(t *testing.T, sys *actor.ActorSystem) {
	other := actortest.Spawn(t, sys.Root, "other", echo(new(testtools.Trace)), actors.Options{})
	var tr testtools.Trace
	pid, err := sys.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started, string, *actor.Stopping, *actor.Stopped, *actor.Restarting:
			v, err := actors.Ask[string](actors.TaskOf(c), other, "x")
			tr.Add("%T: %q, error %v", m, v, err != nil)
			if m == "boom" {
				panic(m)
			}
		}
	}, actors.EventLoop(actors.Options{})), "plain")
	if err != nil {
		t.Fatal(err)
	}
	sys.Root.Send(pid, "x")
	synctest.Wait()
	tr.Want(t, `*actor.Started: "x", error false`, `string: "x", error false`)
	sys.Root.Send(pid, "boom")
	synctest.Wait()
	tr.Want(t, `string: "x", error false`, `*actor.Restarting: "", error true`, `*actor.Started: "x", error false`)
	sys.Root.Stop(pid)
	synctest.Wait()
	tr.Want(t, `*actor.Stopping: "", error true`, `*actor.Stopped: "", error true`)
}
