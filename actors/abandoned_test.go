package actors_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// supervised spawns an actor under a supervisor, and returns both.
func (w *world) supervised(child supervisor.Child) (*supervisor.Supervisor, *actor.PID) {
	w.Helper()
	child.Name = "child"
	sup, err := supervisor.Start(w.Context(), w.sys, supervisor.Spec{Name: "sup", Children: []supervisor.Child{child}})
	if err != nil {
		w.Fatal(err)
	}
	return sup, sup.Child(child.Name)
}

// TestAbandonedTaskIsNotTheCurrentOne: what it calls when it goes on at last
// does not give its message and sender to the task that runs now.
func TestAbandonedTaskIsNotTheCurrentOne(t *testing.T) {
	for name, late := range map[string]func(t *actors.Task, block func()){
		"Cleanup": func(t *actors.Task, block func()) {
			block()
			_ = actors.Cleanup(t, time.Second, func(*actors.Task) error { return nil })
		},
		"Start": func(t *actors.Task, block func()) {
			actors.Start(t, func(*actors.Task) (int, error) { block(); return 0, nil })
		},
		"Group.Go": func(t *actors.Task, block func()) {
			actors.NewGroup(t).Go(func(*actors.Task) error { block(); return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				goOn, gone := make(chan struct{}), make(chan struct{})
				sup, pid := w.supervised(supervisor.Child{Props: actor.PropsFromFunc(func(c actor.Context) {
					switch m := c.Message().(type) {
					case int: // in the first incarnation
						late(actors.TaskOf(c), func() { <-goOn })
						close(gone)
					case string: // in the second
						close(goOn)
						<-gone
						if c.Message() != m {
							w.Errorf("the message was %v and now is %v", m, c.Message())
						}
						c.Respond("answer to " + m)
					}
				}, actors.EventLoop(actors.Options{StopGrace: time.Second}))})
				w.root.Send(pid, 1)
				synctest.Wait()
				if err := sup.Restart(context.Background(), "child"); err != nil {
					w.Fatal(err)
				}
				want(w, actors.RequestFuture[string](w.root, pid, "x"), "answer to x")
				_, _ = sup.Stop(context.Background())
			})
		})
	}
}

// TestExitOfAnAbandonedTask: it does not end the incarnation that came after.
func TestExitOfAnAbandonedTask(t *testing.T) {
	for _, reason := range []error{nil, errors.New("late")} {
		bubble(t, func(w *world) {
			goOn := make(chan struct{})
			sup, pid := w.supervised(supervisor.Child{
				Restart: supervisor.Transient, Props: actors.Props(none, actors.EventLoop(actors.Options{StopGrace: time.Second})),
			})
			did(w.root, pid, func(t *actors.Task) error { <-goOn; t.Exit(reason); return nil })
			synctest.Wait()
			if err := sup.Restart(context.Background(), "child"); err != nil {
				w.Fatal(err)
			}
			close(goOn)
			synctest.Wait()
			if pid := sup.Child("child"); pid == nil {
				w.Error("an abandoned task has ended the worker")
			} else {
				want(w, did(w.root, pid, func(*actors.Task) error { return nil }), struct{}{})
			}
			_, _ = sup.Stop(context.Background())
		})
	}
}
