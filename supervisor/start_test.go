// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// startSeconds is a Dynamic whose child number n takes n seconds to set up, but for the
// first two, and fails then if fail says so. One that is told to end takes half a second.
func startSeconds(w *world, fail func(n int) error, more ...func(*supervisor.DynamicSpec)) *supervisor.Dynamic {
	w.Helper()
	d := w.dynamicOf(supervisor.Child{Props: w.part("x", func(n int, aw *actors.Worker) error {
		if n > 2 {
			t := aw.Task()
			if err := t.Sleep(time.Duration(n) * time.Second); err != nil {
				_ = t.Cleanup(time.Second, func(t *actors.Task) error { return t.Sleep(time.Second / 2) })
				return err
			}
		}
		return fail(n)
	}), Restart: supervisor.Temporary, StartTimeout: 9500 * time.Millisecond}, more...)
	// A supervisor gets to know its props by the first two.
	for _, name := range []string{"1", "2"} {
		if _, err := d.Start(w.Context(), name, nil); err != nil {
			w.Fatal(err)
		}
	}
	return d
}

func neverFail(int) error { return nil }

// Starts go on side by side, and each caller hears of its own child, when that is up.
func TestStartSideBySide(t *testing.T) {
	bubble(t, func(w *world) {
		d := startSeconds(w, neverFail)
		begin := time.Now()
		var all sync.WaitGroup
		for n := 3; n <= 9; n++ {
			all.Go(func() {
				pid, err := d.Start(context.Background(), fmt.Sprint(n), nil)
				if err != nil || pid != d.Child(fmt.Sprint(n)) {
					w.Errorf("child %d: %v, %v", n, pid, err)
				}
				w.took(begin, time.Duration(n)*time.Second)
			})
			synctest.Wait() // in this order
		}
		all.Wait()
		d.Stop(context.Background())
	})
}

// A start that fails, or that takes too long, is told with its reason. The child is gone
// by then, and its name is free. Others have their own time.
func TestStartThatFails(t *testing.T) {
	errBad := errors.New("bad")
	bubble(t, func(w *world) {
		d := startSeconds(w, func(n int) error {
			if n == 4 {
				return errBad
			}
			return nil
		})
		begin := time.Now()
		var all sync.WaitGroup
		for n := 3; n <= 13; n++ {
			all.Go(func() {
				_, err := d.Start(context.Background(), "x", nil)
				var start *supervisor.StartError
				switch {
				case n == 4:
					w.wants(err, errBad)
				case n >= 10:
					w.wants(err, supervisor.ErrStartTimeout)
				default:
					w.wants(err, nil)
				}
				if n == 4 || n >= 10 {
					if !errors.As(err, &start) || start.Child != "x" {
						w.Errorf("child %d: %v", n, err)
					}
				}
				if err := d.Remove(context.Background(), "x"); (err == nil) == (start != nil) {
					w.Errorf("child %d: Remove: %v", n, err)
				}
			})
			all.Wait()
		}
		// 3 to 9 seconds, and the timeouts, after which the child ends.
		w.took(begin, (3+4+5+6+7+8+9+4*10)*time.Second)
		if d.Len() != 2 {
			w.Errorf("%d children", d.Len())
		}
		d.Stop(context.Background())
	})
}

// One timer serves all starts: each ends at its own time all the same.
func TestStartTimeouts(t *testing.T) {
	bubble(t, func(w *world) {
		d := w.dynamicOf(supervisor.Child{Props: w.part("x", func(n int, aw *actors.Worker) error {
			if n > 2 {
				return aw.Task().Sleep(time.Hour)
			}
			return nil
		}), StartTimeout: 10 * time.Second})
		for range 2 {
			if _, err := d.Start(w.Context(), "", nil); err != nil {
				w.Fatal(err)
			}
		}
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				begin := time.Now()
				_, err := d.Start(context.Background(), "", nil)
				w.wants(err, supervisor.ErrStartTimeout)
				w.took(begin, 10*time.Second)
			})
			time.Sleep(3 * time.Second)
		}
		all.Wait()
		d.Stop(context.Background())
	})
}

// A stop answers all that wait for a start, at once: nobody need wait for the end of what
// has been told to stop.
func TestStopWhileChildrenStart(t *testing.T) {
	for what, stop := range map[string]func(w *world, d *supervisor.Dynamic){
		"RequestStop":       func(_ *world, d *supervisor.Dynamic) { d.RequestStop() },
		"the engine's Stop": func(w *world, d *supervisor.Dynamic) { w.root.Stop(d.PID()) },
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(w *world) {
				d := startSeconds(w, neverFail)
				var all sync.WaitGroup
				begin := time.Now()
				for n := 3; n <= 6; n++ {
					all.Go(func() {
						_, err := d.Start(context.Background(), fmt.Sprint(n), nil)
						w.wants(err, actors.ErrStopping)
						w.took(begin, time.Second)
					})
				}
				time.Sleep(time.Second)
				stop(w, d)
				all.Wait()
				_, err := d.Start(context.Background(), "late", nil)
				w.wants(err, actors.ErrStopping)
				<-d.Stopped()
			})
		})
	}
}

// A caller whose ctx ends leaves the start to itself. Who calls next hears of another child.
func TestStartAfterAnotherCallerHasLeft(t *testing.T) {
	bubble(t, func(w *world) {
		d := startSeconds(w, neverFail)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := d.Start(ctx, "3", nil)
		w.wants(err, context.DeadlineExceeded)
		for n := 4; n <= 6; n++ {
			pid, err := d.Start(context.Background(), fmt.Sprint(n), nil)
			if err != nil || pid != d.Child(fmt.Sprint(n)) {
				w.Errorf("child %d: %v, %v", n, pid, err)
			}
		}
		if got := state(d, "3"); got != "up" {
			w.Errorf("the one that was left is %s", got)
		}
		d.Stop(context.Background())
	})
}

// A child can be removed only once its start is over.
func TestRemoveWhileItStarts(t *testing.T) {
	bubble(t, func(w *world) {
		d := startSeconds(w, neverFail)
		begin := time.Now()
		started := make(chan error, 1)
		go func() {
			_, err := d.Start(context.Background(), "3", nil)
			started <- err
		}()
		synctest.Wait()
		w.wants(d.Remove(context.Background(), "3"), nil)
		w.took(begin, 3*time.Second)
		w.wants(<-started, nil)
		d.Stop(context.Background())
	})
}

// Props of a worker that call code of users are spawned so that a Goexit or a panic of it is
// contained, however often they have behaved.
func TestStartCallsUsers(t *testing.T) {
	for what, call := range map[string]struct {
		f    func()
		want string
	}{
		"panic":  {func() { panic("init") }, "init"},
		"Goexit": {runtime.Goexit, actors.ErrGoexit.Error()},
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(w *world) {
				spawns := 0
				props := w.part("x", nil).Configure(actor.WithOnInit(func(actor.Context) {
					if spawns++; spawns == 4 {
						call.f()
					}
				}))
				d := w.dynamicOf(supervisor.Child{Props: props})
				for n := 1; n <= 5; n++ {
					_, err := d.Start(context.Background(), fmt.Sprint(n), nil)
					var start *supervisor.StartError
					if failed := errors.As(err, &start); failed != (n == 4) || err != nil && !failed {
						w.Errorf("start %d: %v", n, err)
					}
				}
				if d.Len() != 4 {
					w.Errorf("%d children", d.Len())
				}
				d.Stop(context.Background())
			})
		})
	}
}

// A name that the supervisor chooses is not one that an actor has which is no child of it, as one has that was
// abandoned. One that the caller has chosen is refused.
func TestStartUnderATakenName(t *testing.T) {
	for kind, props := range map[string]*actor.Props{
		"worker":      actors.Props(func(*actors.Worker) error { return nil }),
		"plain actor": actor.PropsFromFunc(func(actor.Context) {}),
	} {
		t.Run(kind, func(t *testing.T) {
			bubble(t, func(w *world) {
				d := w.dynamicOf(supervisor.Child{Props: props})
				id := d.PID().Id
				var others []*actor.PID
				for _, name := range []string{"/$1", "/$2", "/$5", "/$7"} {
					pid, err := w.root.SpawnNamed(actor.PropsFromFunc(func(actor.Context) {}), id+name)
					if err != nil {
						t.Fatal(err)
					}
					others = append(others, pid)
				}
				for i, want := range []string{"$3", "$4", "$6", "$8"} {
					pid, err := d.Start(w.Context(), "", nil)
					if err != nil || pid.Id != id+"/"+want || d.Child(want) != pid || d.Len() != i+1 || d.Children()[i].Name != want || state(d, want) != "up" {
						t.Errorf("%v, %v, %v", pid, err, d.Children())
					}
				}
				if pid, err := d.Start(w.Context(), "$7", nil); !errors.Is(err, actor.ErrNameExists) || d.Len() != 4 {
					t.Errorf("%v, %v: it started under a name that is taken", pid, err)
				}
				// Its name is its own by now: it is restarted under that.
				if err := d.Remove(w.Context(), "$3"); err != nil || d.Len() != 3 {
					t.Error(err)
				}
				for _, pid := range others {
					w.root.Stop(pid)
				}
				d.Stop(w.Context())
			})
		})
	}
}
