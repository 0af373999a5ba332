// SPDX-License-Identifier: Apache-2.0

// Package incidents has the incidents of docs/observe.md: programs that have gone wrong in the ways that
// programs of actors do, to be looked at with the console.
//
//	go run ./examples/incidents/run deadlock
package incidents

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// All are the incidents by name. Each returns once it has begun.
var All = map[string]func(ctx context.Context, sys *actor.ActorSystem) (*supervisor.Supervisor, error){
	"deadlock":      Deadlock,
	"slow-handler":  SlowHandler,
	"task-leak":     TaskLeak,
	"restart-storm": RestartStorm,
	"stuck-stop":    StuckStop,
}

// worker is a child, and what its kind is called in the console.
func worker(kind string, setup func(w *actors.Worker) error) supervisor.Child {
	return supervisor.Child{Name: kind, Props: actors.Props(setup, actors.EventLoop(actors.Options{Kind: kind}))}
}

// visit asks worker of a system again and again, as those who use it do: n at a time. What is answered does
// not matter here.
func visit[Req any](w *actors.Worker, to string, n int, every time.Duration, req Req, o ...actors.CallOption) {
	w.Background("visitors", func(t *actors.Task) error {
		for _, err := range t.Every(every) {
			if err != nil {
				return err
			}
			for range n {
				t.Go(func(t *actors.Task) error {
					_, err := actors.Ask[any](t, t.Sibling(to), req, o...)
					return err
				}, actors.Name("visit")).OnDone(func(actors.None, error) {})
			}
		}
		return nil
	})
}
