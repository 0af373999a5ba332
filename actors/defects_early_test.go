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

// What comes after a stop that came that early is refused, as by any worker
// that stops, and its sender does not panic.
func TestEngineSendWhileSpawningRefused(t *testing.T) {
	for name, stop := range map[string]func(w *world, pid *actor.PID){
		"Stop":   func(w *world, pid *actor.PID) { w.root.Stop(pid) },
		"Poison": func(w *world, pid *actor.PID) { w.root.Poison(pid) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				dead := testtools.DeadLetters(w.sys)
				var fs []*actors.Future[actors.None]
				var engine *actor.Future
				_, err := w.root.SpawnNamed(actors.Props(func(w *actors.Worker) error {
					actors.On(w, func(*actors.Task, string) error { return nil })
					return nil
				}, actor.WithOnInit(func(c actor.Context) {
					stop(w, c.Self())
					w.root.Send(c.Self(), "m")
					engine = w.root.RequestFuture(c.Self(), "m", time.Minute)
					fs = append(fs, actors.RequestFuture[actors.None](w.root, c.Self(), "m"), did(w.root, c.Self(), func(*actors.Task) error { return nil }))
				})), "known")
				if err != nil {
					w.Fatal(err)
				}
				for _, f := range fs {
					wantErr(w, f, actors.ErrStopping)
				}
				wantFailure(w, engine, actors.ErrStopping)
				synctest.Wait()
				dead.Want(w, "m to known")
			})
		})
	}
}
