// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
)

// crew is the actor system of a run, by its root context, and the workers
// spawned in it.
type crew struct {
	root    *actor.RootContext
	workers []*actor.PID
}

func newCrew(stderr io.Writer) *crew { return &crew{root: newSystem(stderr).Root} }

func newSystem(stderr io.Writer) *actor.ActorSystem {
	// The engine logs at level info when it starts: that is not news here.
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return logger }))
}

// spawn adds a worker.
func (c *crew) spawn(ctx context.Context, name string, setup func(w *actors.Worker) error) (*actor.PID, error) {
	pid, err := actors.Spawn(ctx, c.root, name, setup, actors.Options{})
	if err == nil {
		c.workers = append(c.workers, pid)
	}
	return pid, err
}

// bare is the setup of a worker that has no handlers and only runs what is
// submitted to it.
func bare(*actors.Worker) error { return nil }

// stop stops all workers, each with the grace that [actors.RequestStop] explains,
// and adds up what has become of their work.
func (c *crew) stop(grace actors.Grace) (actors.Counts, error) {
	stopping := make([]*actors.Future[actors.Counts], len(c.workers))
	for i, pid := range c.workers {
		stopping[i] = actors.RequestStop(c.root, pid, grace)
	}
	// Not the run's context: that has ended when Ctrl-C is why we are here.
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	stopped, err := futures.All(stopping...).Wait(ctx)
	if err != nil {
		return actors.Counts{}, fmt.Errorf("stop the workers: %w", err)
	}
	var sum actors.Counts
	for _, c := range stopped {
		sum = sum.Plus(c)
	}
	return sum, nil
}
