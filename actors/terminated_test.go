package actors_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// TestWatchEndsDuringADecision: what a worker watches ends while its parent
// decides about a failure. If it is to go on it hears of that, once.
func TestWatchEndsDuringADecision(t *testing.T) {
	for _, c := range []struct {
		name   string
		decide func(actor.Supervisor, *actor.PID)
		want   []string
	}{
		{"resume", func(s actor.Supervisor, pid *actor.PID) { s.ResumeChildren(pid) }, []string{"setup", "x has ended", "message"}},
		{"restart", func(s actor.Supervisor, pid *actor.PID) { s.RestartChildren(pid) }, []string{"setup", "setup", "message"}},
		{"stop", func(s actor.Supervisor, pid *actor.PID) { s.StopChildren(pid) }, []string{"setup"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				var tr trace
				x := w.worker("x", actors.Options{}, none)
				watched := false
				pid := w.under(&strategy{func(s actor.Supervisor, child *actor.PID) {
					w.root.Stop(x)
					time.Sleep(time.Second)
					c.decide(s, child)
				}}, false, func(wk *actors.Worker) error {
					tr.add("setup")
					if !watched {
						wk.Watch(x)
					}
					watched = true
					actors.On(wk, func(_ *actors.Task, m *actor.Terminated) error { tr.add("%s has ended", m.Who.Id); return nil })
					actors.On(wk, func(*actors.Task, int) error { tr.add("message"); return nil })
					return nil
				})
				w.root.Send(pid, "a panic")
				w.root.Send(pid, 1)
				time.Sleep(time.Minute)
				tr.want(t, c.want...)
			})
		})
	}
}

// TestWatchEndsBeforeAFailure: the handler waits for its turn when another
// task fails.
func TestWatchEndsBeforeAFailure(t *testing.T) {
	bubble(t, func(w *world) {
		var tr trace
		x := w.worker("x", actors.Options{}, none)
		pid := w.under(&strategy{func(s actor.Supervisor, child *actor.PID) { s.ResumeChildren(child) }}, false, func(wk *actors.Worker) error {
			wk.Watch(x)
			actors.On(wk, func(_ *actors.Task, m *actor.Terminated) error { tr.add("%s has ended", m.Who.Id); return nil })
			actors.On(wk, func(t *actors.Task, _ int) error {
				_ = t.Sleep(time.Minute) // while x ends
				panic("failed")
			}, actors.Exclusive())
			return nil
		})
		w.root.Send(pid, 1)
		time.Sleep(time.Second)
		w.root.Stop(x)
		time.Sleep(time.Second)
		tr.want(t)
		time.Sleep(time.Hour)
		tr.want(t, "x has ended")
	})
}

// TestNothingComesAfterStopped: the end of a child comes twice if its parent
// watches it, and the first may end the parent.
func TestNothingComesAfterStopped(t *testing.T) {
	bubble(t, func(w *world) {
		var tr trace
		pid := w.dropIn(actors.Options{}, func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				c.Watch(c.Spawn(actors.Props(none)))
			case *actor.Terminated, *actor.Stopped:
				tr.add("%T", c.Message())
				if actors.TaskOf(c) == nil {
					w.Error("no task")
				}
			}
		})
		synctest.Wait()
		w.root.Stop(pid)
		synctest.Wait()
		tr.want(w, "*actor.Terminated", "*actor.Stopped")
	})
}
