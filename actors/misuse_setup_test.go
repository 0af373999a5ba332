// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/testtools"
)

func TestMisuseRegistration(t *testing.T) {
	for name, c := range map[string]struct {
		setup func(w *actors.Worker)
		want  string
	}{
		"Handle twice": {func(w *actors.Worker) {
			actors.Handle(w, func(*actors.Task, int) (int, error) { return 0, nil })
			actors.Handle(w, func(*actors.Task, int) (string, error) { return "", nil })
		}, "actors: Handle: a second handler for int"},
		"On after Handle": {func(w *actors.Worker) {
			actors.Handle(w, func(*actors.Task, int) (int, error) { return 0, nil })
			actors.On(w, func(*actors.Task, int) error { return nil })
		}, "actors: On: a second handler for int"},
		"Handle of an interface": {func(w *actors.Worker) {
			actors.Handle(w, func(*actors.Task, error) (int, error) { return 0, nil })
		}, "actors: Handle: error is an interface; handlers are found by the exact type of the message"},
		"On of any": {func(w *actors.Worker) {
			actors.On(w, func(*actors.Task, any) error { return nil })
		}, "actors: On: interface {} is an interface; handlers are found by the exact type of the message"},
		"Handle of nil": {func(w *actors.Worker) {
			actors.Handle[int, int](w, nil)
		}, "actors: Handle called with a nil function"},
		"On of nil": {func(w *actors.Worker) {
			actors.On[int](w, nil)
		}, "actors: On called with a nil function"},
		"Main of nil":       {func(w *actors.Worker) { w.Main(nil) }, "actors: Main called with a nil function"},
		"Background of nil": {func(w *actors.Worker) { w.Background("x", nil) }, "actors: Background called with a nil function"},
		"OnStop of nil":     {func(w *actors.Worker) { w.OnStop(nil) }, "actors: OnStop called with a nil function"},
		"Main twice": {func(w *actors.Worker) {
			w.Main(func(*actors.Task) error { return nil })
			w.Main(func(*actors.Task) error { return nil })
		}, "actors: Main called twice"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				_, err := actors.Spawn(w.Context(), w.root, "worker", func(w *actors.Worker) error { c.setup(w); return nil }, actors.Options{})
				testtools.WantText(w, err, `actors: spawn "worker": panic: `+c.want)
				var p *actors.PanicError
				if !errors.As(err, &p) {
					w.Errorf("%v is no PanicError", err)
				}
				synctest.Wait()
				if _, there := w.sys.ProcessRegistry.GetLocal("worker"); there {
					w.Error("the worker is still there")
				}
			})
		})
	}
}

func TestMisuseRegistrationAfterSetup(t *testing.T) {
	bubble(t, func(w *world) {
		var late *actors.Worker
		pid := w.worker("worker", actors.Options{}, func(w *actors.Worker) error { late = w; return nil })
		for what, f := range map[string]func(){
			"Handle":     func() { actors.Handle(late, func(*actors.Task, int) (int, error) { return 0, nil }) },
			"On":         func() { actors.On(late, func(*actors.Task, int) error { return nil }) },
			"Main":       func() { late.Main(func(*actors.Task) error { return nil }) },
			"Background": func() { late.Background("x", func(*actors.Task) error { return nil }) },
			"OnStop":     func() { late.OnStop(func(*actors.Task) error { return nil }) },
		} {
			_, err := result(did(w.root, pid, func(*actors.Task) error { f(); return nil }))
			testtools.WantText(w, err, "actors: "+what+" called after setup has returned: register everything in setup")
		}
	})
}

func TestMisuseSpawn(t *testing.T) {
	bubble(t, func(w *world) {
		spawn := func(ctx context.Context, name string, setup func(*actors.Worker) error) error {
			pid, err := actors.Spawn(ctx, w.root, name, setup, actors.Options{StopGrace: time.Second})
			if err != nil && pid != nil {
				w.Errorf("Spawn of %q returned a PID and %v", name, err)
			}
			return err
		}
		ctx := context.Background()
		testtools.WantText(w, spawn(ctx, "", none), `actors: Spawn "": name is missing`)
		testtools.WantText(w, spawn(ctx, "x", nil), `actors: Spawn "x": setup is missing`)
		if err := spawn(ctx, "x", none); err != nil {
			w.Fatal(err)
		}
		err := spawn(ctx, "x", none)
		testtools.WantText(w, err, `actors: spawn "x"`, "name exists")
		if !errors.Is(err, actor.ErrNameExists) {
			w.Errorf("%v is not ErrNameExists", err)
		}
		broken := errors.New("broken")
		if err := spawn(ctx, "failing", func(*actors.Worker) error { return broken }); !errors.Is(err, broken) {
			w.Errorf("failing setup: %v", err)
		} else {
			testtools.WantText(w, err, `actors: spawn "failing": actors: setup: broken`)
		}
		err = spawn(ctx, "panicking", func(*actors.Worker) error { panic(broken) })
		testtools.WantText(w, err, `actors: spawn "panicking": panic: broken`)
		if !errors.Is(err, broken) {
			w.Errorf("panicking setup: %v", err)
		}
		// Nothing of what failed is left, and the name is free again.
		synctest.Wait()
		for _, name := range []string{"failing", "panicking"} {
			if err := spawn(ctx, name, none); err != nil {
				w.Error(err)
			}
		}
		ended, cancel := context.WithCancelCause(ctx)
		cancel(errors.New("no time"))
		release := make(chan struct{})
		defer close(release)
		testtools.WantText(w, spawn(ended, "ended", func(*actors.Worker) error { <-release; return nil }), `actors: spawn "ended": no time`)
	})
}

// A setup that hangs does not hold up Spawn beyond its context, and the worker
// is stopped.
func TestMisuseSpawnHangs(t *testing.T) {
	bubble(t, func(w *world) {
		release := make(chan struct{})
		defer close(release)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := actors.Spawn(ctx, w.root, "hangs", func(w *actors.Worker) error {
			w.OnStop(func(*actors.Task) error { t.Error("a hook of a setup that has not ended"); return nil })
			<-release
			return nil
		}, actors.Options{StopGrace: time.Second, BlockedTurn: -1})
		testtools.WantText(w, err, `actors: spawn "hangs"`)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			w.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(2 * time.Second)
		if _, there := w.sys.ProcessRegistry.GetLocal("hangs"); there {
			w.Error("the worker is still there")
		}
	})
}

// A task that spawns waits by its own rules: what ends it ends the spawn.
func TestMisuseSpawnInTask(t *testing.T) {
	bubble(t, func(w *world) {
		release := make(chan struct{})
		defer close(release)
		pid := w.worker("parent", actors.Options{}, none)
		f := did(w.root, pid, func(t *actors.Task) error {
			_, err := actors.Spawn(t.Context(), t, "child", func(*actors.Worker) error {
				<-release
				return nil
			}, actors.Options{StopGrace: time.Second, BlockedTurn: -1})
			return err
		}, actors.Timeout(time.Second))
		wantErr(w, f, actors.ErrTimeout)
		time.Sleep(2 * time.Second)
		wantErr(w, actors.RequestFuture[int](w.root, actor.NewPID("nonhost", "parent/child"), 1), actors.ErrDeadLetter)
	})
}

// The context of a Spawn ends it in a task, too; the task goes on.
func TestMisuseSpawnInTaskContext(t *testing.T) {
	bubble(t, func(w *world) {
		release := make(chan struct{})
		defer close(release)
		pid := w.worker("parent", actors.Options{}, none)
		f := did(w.root, pid, func(t *actors.Task) error {
			ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, errors.New("no time"))
			defer cancel()
			_, err := actors.Spawn(ctx, t, "child", func(*actors.Worker) error {
				<-release
				return nil
			}, actors.Options{StopGrace: time.Second, BlockedTurn: -1})
			testtools.WantText(w, err, `actors: spawn "child": no time`)
			return t.Sleep(time.Second)
		})
		want(w, f, struct{}{})
		time.Sleep(2 * time.Second)
		wantErr(w, actors.RequestFuture[int](w.root, actor.NewPID("nonhost", "parent/child"), 1), actors.ErrDeadLetter)
	})
}
