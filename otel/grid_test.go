// SPDX-License-Identifier: Apache-2.0

package otelloop_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/otel"
)

var sold = grid.TopicOf[*wrapperspb.StringValue]("sold")

// startGrid starts a grid of one kind, each of whose keys fails in its setup.
func startGrid(t *testing.T, sys *actor.ActorSystem) *grid.Grid {
	t.Helper()
	g, err := grid.Start(t.Context(), sys, grid.Options{Kinds: []grid.Kind{{
		Name: "stock", Accepts: []grid.Message{grid.MessageOf[*wrapperspb.StringValue]()}, Backoff: actors.Backoff{Initial: time.Hour, Max: time.Hour},
		Setup: func(*actors.Worker, string) error { return errors.New("there is no database") },
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestGridIsCounted: keys that fail, messages to kinds that there are not, and topics; and no sum shrinks when another grid is started.
func TestGridIsCounted(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		p := otelloop.NewProducer(sys, otelloop.ProducerOptions{})
		if _, there := collect(t, p)["protoloop.grid.node"]; there {
			t.Error("there are metrics of a grid, and none was started")
		}
		heard := 0
		cache := actortest.Spawn(t, sys.Root, "cache", func(w *actors.Worker) error {
			sold.On(w, func(*actors.Task, *wrapperspb.StringValue) error { heard++; return nil })
			return nil
		}, actors.Options{})
		for round := int64(1); round <= 2; round++ {
			g := startGrid(t, sys)
			for _, kind := range []string{"stock", "stork"} {
				if _, err := actors.RequestFuture[*wrapperspb.StringValue](sys.Root, g.PID(kind, "k"), wrapperspb.String("how many?")).Wait(t.Context()); err == nil {
					t.Errorf("a key of %s has answered", kind)
				}
			}
			if err := sold.Publish(sys.Root, wrapperspb.String("k")); err != nil {
				t.Fatal(err)
			}
			if _, err := actors.Submit(sys.Root, cache, func(*actors.Task) (int, error) { return heard, nil }).Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := func(drained bool) {
				t.Helper()
				synctest.Wait() // an asker is answered before that is counted
				got := collect(t, p)
				if !drained {
					wantSum(t, got, "protoloop.grid.failing", "{key}", false, points(1, "protoloop.grid.kind", "stock"))
					wantSum(t, got, "protoloop.grid.node", "{node}", false, points(0))
					wantSum(t, got, "protoloop.grid.shard", "{shard}", false, points(0))
					wantSum(t, got, "protoloop.grid.ask", "{message}", false, points(0, "network.io.direction", "transmit"), points(0, "network.io.direction", "receive"))
				}
				wantSum(t, got, "protoloop.grid.unknown", "{message}", true, points(round))
				wantSum(t, got, "protoloop.grid.frame.refused", "{frame}", true, points(0))
				const step = "protoloop.grid.topic.step"
				wantSum(t, got, "protoloop.grid.topic", "{message}", true,
					points(round, step, "published"), points(0, step, "received"), points(round, step, "delivered"), points(0, step, "full"), points(0, step, "refused"))
			}
			want(false)
			if _, err := g.Drain(context.Background()); err != nil {
				t.Error(err)
			}
			want(true)
		}
	})
}
