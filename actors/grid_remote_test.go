// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
)

// TestGridBesideRemote: the engine keeps its list of addresses without a lock. So a grid is
// started before the remote of its system, beside which it works then, and refuses to start after it.
func TestGridBesideRemote(t *testing.T) {
	if !inChild(t) {
		return
	}
	defer childDone(t)
	ctx := context.Background()
	setup := func(w *actors.Worker) error {
		actors.Handle(w, func(_ *actors.Task, m *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
			return wrapperspb.String("echo " + m.Value), nil
		})
		return nil
	}
	start := func(sys *actor.ActorSystem) (*grid.Grid, error) {
		return grid.Start(ctx, sys, grid.Options{Kinds: []grid.Kind{{
			Name: "echo", Setup: func(w *actors.Worker, _ string) error { return setup(w) },
			Accepts: []grid.Message{grid.MessageOf[*wrapperspb.StringValue]()},
		}}})
	}
	there := machine(t)
	if _, err := start(there); err == nil || !strings.Contains(err.Error(), "remote of the actor system runs already") {
		t.Errorf("a grid after the remote: %v", err)
	}
	far, err := actors.Spawn(ctx, there.Root, "far", setup, actors.Options{})
	if err != nil {
		t.Fatal(err)
	}

	here := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard() }))
	g, err := start(here)
	if err != nil {
		t.Fatal(err)
	}
	remote.NewRemote(here, remote.Configure("127.0.0.1", 0)).Start()
	for _, pid := range []*actor.PID{g.PID("echo", "key"), actor.NewPID(there.Address(), far.Id)} {
		got, err := actors.Call[*wrapperspb.StringValue](ctx, here.Root, pid, wrapperspb.String("hello"))
		if err != nil || got.GetValue() != "echo hello" {
			t.Errorf("%v: %v, %v", pid, got, err)
		}
	}
	if _, err := g.Drain(ctx); err != nil {
		t.Error(err)
	}
	if g, err = start(here); err != nil { // the address is known, and nothing is written
		t.Error(err)
	} else if _, err := g.Drain(ctx); err != nil {
		t.Error(err)
	}
}
