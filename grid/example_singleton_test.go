// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
)

// nightly is the setup of the one worker that settles accounts, at the times of schedule.
func nightly(w *actors.Worker, schedule actors.Schedule, settle func(t *actors.Task, day time.Time) error) error {
	w.Background("settle accounts", func(t *actors.Task) error {
		for day, err := range t.OnSchedule(schedule) {
			if err != nil {
				return err // the stop
			}
			if err := settle(t, day); err != nil {
				return err // the worker is started anew
			}
		}
		return nil
	})
	return nil
}

// soon is a schedule for the example. A cron library parses "0 3 * * *".
type soon struct{}

func (soon) Next(after time.Time) time.Time { return after.Add(time.Millisecond) }

func ExampleSingleton() {
	ctx := context.Background()
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}))
	settled := make(chan time.Time, 1)
	settle := func(_ *actors.Task, day time.Time) error {
		select {
		case settled <- day:
		default:
		}
		return nil
	}
	g, err := grid.Start(ctx, system, grid.Options{Kinds: []grid.Kind{grid.Singleton(grid.Kind{
		Name:  "nightly",
		Setup: func(w *actors.Worker, _ string) error { return nightly(w, soon{}, settle) },
	})}})
	if err != nil {
		log.Fatal(err)
	}
	<-settled // nobody has asked for it
	fmt.Println("settled")
	if _, err := g.Drain(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: settled
}
