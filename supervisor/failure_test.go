// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/supervisor"
)

// failures has the hook of the world's system told. take compares what it was told since the
// last call, a line each.
func (w *world) failures() (take func(want ...string)) {
	var mu sync.Mutex
	var got []string
	w.Cleanup(inspect.OnFailure(w.sys, func(f inspect.Failure) {
		mu.Lock()
		defer mu.Unlock()
		text, _, _ := strings.Cut(f.Err.Error(), "\n")
		got = append(got, fmt.Sprintf("%s of %s in %s: %s, stack %v", f.Kind, f.Worker.GetId(), f.Task, text, len(f.Stack) > 0))
	}))
	return func(want ...string) {
		w.Helper()
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		// Callbacks have queues of their own: who panics first is open.
		slices.SortStableFunc(got, func(a, b string) int {
			if !strings.HasPrefix(a, "callback") || !strings.HasPrefix(b, "callback") {
				return cmp.Compare(strings.Index(a, "callback"), strings.Index(b, "callback"))
			}
			return cmp.Compare(a, b)
		})
		if !slices.Equal(got, want) {
			w.Errorf("told:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
		}
		got = nil
	}
}

// TestFailureHookWorker: a child that is a worker fails and restarts; each is told once, as the
// supervisor's log has it.
func TestFailureHookWorker(t *testing.T) {
	bubble(t, func(w *world) {
		take := w.failures()
		s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "a", Props: actors.Props(func(wk *actors.Worker) error {
			actors.On(wk, func(*actors.Task, string) error { panic("a handler") })
			return nil
		})}, {Name: "b", Props: actors.Props(func(wk *actors.Worker) error { return nil })}}, Strategy: supervisor.OneForAll})
		take()
		w.root.Send(s.Child("a"), "fail")
		take("worker failure of app/a in string: panic: a handler, stack true",
			"worker restart of app/a in : panic: a handler, stack true",
			"worker restart of app/b in : panic: a handler, stack true")
		w.stop(s)
		take()
	})
}

// TestFailureHookPlain: the same of a plain actor, which in the end does not stop.
func TestFailureHookPlain(t *testing.T) {
	bubble(t, func(w *world) {
		take := w.failures()
		props := actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case string:
				panic(m)
			case int:
				<-w.hold
			}
		})
		s := w.start(supervisor.Spec{Children: []supervisor.Child{{Name: "p", Props: props, Shutdown: time.Second}}})
		w.root.Send(s.Child("p"), "fail")
		take("worker failure of app/p in string: panic: fail, stack true",
			"worker restart of app/p in : panic: fail, stack true")
		w.root.Send(s.Child("p"), 1)
		synctest.Wait()
		w.stop(s)
		take("abandoned task of app/p in actor app/p: supervisor: an actor did not end when it was told to, stack false")
	})
}

// TestFailureHookStart: a child that does not come up again, until its supervisor gives up,
// which is a worker without a supervisor.
func TestFailureHookStart(t *testing.T) {
	bubble(t, func(w *world) {
		take := w.failures()
		starts := 0
		errNo := errors.New("no database")
		s := w.start(supervisor.Spec{MaxRestarts: 1, Within: time.Minute, Children: []supervisor.Child{{Name: "a", Props: actors.Props(func(wk *actors.Worker) error {
			if starts++; starts > 1 {
				return errNo
			}
			actors.On(wk, func(*actors.Task, string) error { panic("a handler") })
			return nil
		})}}})
		w.root.Send(s.Child("a"), "fail")
		<-s.Stopped()
		take("worker failure of app/a in string: panic: a handler, stack true",
			"worker failure of app/a in setup: actors: setup: no database, stack false",
			"worker failure of app in main: actors: main: supervisor: app: more than 1 restarts within 1m0s; the last to end was \"a\": actors: setup: no database, stack false")
	})
}

// TestFailureHookFailedStart: what Start returns is told to nobody else. It runs in real time
// and waits for the garbage collector.
func TestFailureHookFailedStart(t *testing.T) {
	sys := actortest.NewSystem(t)
	actortest.Spawn(t, sys.Root, "other", func(*actors.Worker) error { return nil }, actors.Options{}) // while it is there the hooks are told
	told := make(chan string, 100)
	defer inspect.OnFailure(sys, func(f inspect.Failure) {
		if f.Kind == inspect.UnobservedFailure {
			told <- fmt.Sprintf("%s: %v", f.Task, f.Err)
		}
	})()
	errNo := errors.New("no database")
	for range 300 { // some have failed before Start looks
		_, err := supervisor.Start(t.Context(), sys, supervisor.Spec{Name: "app", Children: []supervisor.Child{
			{Name: "a", Props: actors.Props(func(*actors.Worker) error { return errNo })}}})
		if !errors.Is(err, errNo) {
			t.Fatal(err)
		}
	}
	for range 3 { // what the start had lost would be found before the last of these
		futures.Failed[int](errors.New("lost"))
		actortest.Eventually(t, "a lost failure to be told", func() bool {
			runtime.GC()
			select {
			case what := <-told:
				if what != "promise: lost" {
					t.Errorf("told of %s", what)
				}
				return what == "promise: lost"
			default:
				return false
			}
		})
	}
}

// TestFailureHookCallbacks: hooks of users' that panic.
func TestFailureHookCallbacks(t *testing.T) {
	bubble(t, func(w *world) {
		take := w.failures()
		s := w.start(supervisor.Spec{
			OnEvent: func(e supervisor.Event) {
				if _, failed := e.(supervisor.ChildFailed); failed {
					panic("an event hook")
				}
			},
			Children: []supervisor.Child{{Name: "a", OnCrash: supervisor.CrashPolicy{DeadLetter: func(supervisor.Crash) { panic("a dead letter") }},
				Props: actors.Props(func(wk *actors.Worker) error {
					actors.On(wk, func(*actors.Task, string) error { panic("a handler") })
					return nil
				})}},
		})
		w.root.Send(s.Child("a"), "fail")
		synctest.Wait()
		w.stop(s)
		take("worker failure of app/a in string: panic: a handler, stack true",
			"worker restart of app/a in : panic: a handler, stack true",
			"callback panic of app in OnEvent: supervisor: panic in OnEvent: panic: an event hook, stack true",
			"callback panic of app/a in OnCrash.DeadLetter: supervisor: panic in OnCrash.DeadLetter: panic: a dead letter, stack true")
	})
}
