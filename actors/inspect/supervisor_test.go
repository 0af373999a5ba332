// SPDX-License-Identifier: Apache-2.0

package inspect_test

import (
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/supervisor"
)

// What a supervisor's own tasks wait for is that something happens: no root.
func TestRootsLeaveSupervisorsOut(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		s, err := supervisor.Start(t.Context(), sys, supervisor.Spec{Name: "app", Children: []supervisor.Child{
			{Name: "a", Props: actors.Props(func(*actors.Worker) error { return nil })}}})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		look := inspect.Look(sys, inspect.Options{Roots: true, Groups: true})
		if len(look.Roots) > 0 {
			t.Errorf("roots: %+v", look.Roots)
		}
		for _, w := range look.Workers {
			if w.PID.Id == "app" && w.Kind != "supervisor" {
				t.Errorf("its kind is %q", w.Kind)
			}
		}
		if _, err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
