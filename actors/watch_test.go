// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/testtools"
)

// What a worker watches may end while its setup awaits: it hears of that as
// soon as setup has returned, and before it begins anything else.
func TestWatchEndsDuringSetup(t *testing.T) {
	for _, kind := range []string{"worker", "drop-in"} {
		t.Run(kind, func(t *testing.T) {
			bubble(t, func(w *world) {
				var tr testtools.Trace
				x := w.worker("x", actors.Options{}, none)
				setup := func(c actor.Context, t *actors.Task) error {
					c.Watch(x)
					child := c.Spawn(actors.Props(func(w *actors.Worker) error {
						w.Main(func(t *actors.Task) error { return t.Sleep(time.Second) })
						return nil
					}))
					tr.Add("child %v", child != nil)
					err := t.Sleep(time.Minute)
					tr.Add("setup ends")
					return err
				}
				ended := func(m *actor.Terminated) {
					if m.Who.Id == "x" {
						tr.Add("x has ended")
					} else {
						tr.Add("the child has ended")
					}
				}
				var pid *actor.PID
				if kind == "worker" {
					pid = w.root.Spawn(actors.Props(func(w *actors.Worker) error {
						actors.On(w, func(_ *actors.Task, m *actor.Terminated) error { ended(m); return nil })
						actors.On(w, func(_ *actors.Task, m string) error { tr.Add("%s", m); return nil })
						return setup(w, w.Task())
					}))
				} else {
					pid = w.dropIn(actors.Options{}, func(c actor.Context) {
						switch m := c.Message().(type) {
						case *actor.Started:
							_ = setup(c, actors.TaskOf(c))
						case *actor.Terminated:
							ended(m)
						case string:
							tr.Add("%s", m)
						}
					})
				}
				w.root.Send(pid, "message")
				synctest.Wait()
				w.root.Stop(x)
				time.Sleep(2 * time.Minute)
				tr.Want(w, "child true", "setup ends", "x has ended", "the child has ended", "message")
			})
		})
	}
}
