// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// TestLifeIsOfTheTable: where a worker is in its life is changed by the table of
// package life alone. Its fields are not exported, so what is left is a whole value.
func TestLifeIsOfTheTable(t *testing.T) {
	value := regexp.MustCompile(`life\.Worker\b`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		found += len(value.FindAll(text, -1))
	}
	if found != 1 {
		t.Errorf("life.Worker is named %d times, not only where the mailbox has its own: nobody else makes one", found)
	}
}

// TestProducerPanicsInRestart: an actor that cannot be made anew has failed, also
// if its children had to stop first, and whoever decides about failures does.
func TestProducerPanicsInRestart(t *testing.T) {
	for _, children := range []int{0, 2} {
		bubble(t, func(w *world) {
			var made atomic.Int32
			pid := w.root.Spawn(actor.PropsFromProducer(func() actor.Actor {
				if made.Add(1) == 2 {
					panic("no second one")
				}
				return actor.ReceiveFunc(func(c actor.Context) {
					switch m := c.Message().(type) {
					case *actor.Started:
						for range children {
							c.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
						}
					case string:
						if m == "boom" {
							panic(m)
						}
						c.Respond(int(made.Load()))
					}
				})
			}, actors.EventLoop(actors.Options{Logger: discard()})))
			w.root.Send(pid, "boom")
			want(w, actors.RequestFuture[int](w.root, pid, "how many"), 3)
		})
	}
}

// TestResumeAfterFailedSetup: a worker that its parent resumes when setup has failed has nothing to go on
// with. Setup runs again, and what has come meanwhile is handled after it.
func TestResumeAfterFailedSetup(t *testing.T) {
	bubble(t, func(w *world) {
		setups := 0
		pid := w.under(&strategy{func(s actor.Supervisor, child *actor.PID) { s.ResumeChildren(child) }}, false, func(wk *actors.Worker) error {
			if setups++; setups < 3 {
				return errors.New("not yet")
			}
			actors.Handle(wk, func(*actors.Task, int) (string, error) { return "set up", nil })
			return nil
		})
		want(w, actors.RequestFuture[string](w.root, pid, 1), "set up")
		if setups != 3 {
			w.Errorf("setup has run %d times, want 3", setups)
		}
	})
}

// TestResumeInDrain: a worker that its parent resumes after the stop event ends
// when nothing is left to do, not at the end of the grace.
func TestResumeInDrain(t *testing.T) {
	bubble(t, func(w *world) {
		decide := make(chan struct{})
		resume := actor.NewOneForOneStrategy(10, time.Minute, func(any) actor.Directive { return actor.ResumeDirective })
		var worker *actor.PID
		parent := w.plain(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				worker = c.Spawn(actors.Props(func(wk *actors.Worker) error {
					actors.On(wk, func(*actors.Task, string) error { panic("boom") })
					return nil
				}, actors.EventLoop(actors.Options{Logger: discard()})))
			case string:
				<-decide
			}
		}, actor.WithSupervisor(resume))
		synctest.Wait()
		w.root.Send(parent, "be busy")
		w.root.Send(worker, "boom")
		synctest.Wait() // it has failed, and nobody has decided
		stopped := actors.RequestStop(w.root, worker, time.Hour)
		synctest.Wait()
		close(decide)
		begun := time.Now()
		if _, err := stopped.Wait(w.Context()); err != nil || time.Since(begun) > 0 {
			w.Errorf("the stop ended after %v: %v", time.Since(begun), err)
		}
	})
}
