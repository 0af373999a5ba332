// SPDX-License-Identifier: Apache-2.0

package futuretest

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// World is an actor system in a synctest bubble. What it spawns is stopped at
// the end of the bubble.
type World struct {
	*testing.T
	Sys  *actor.ActorSystem
	Root *actor.RootContext
}

// Bubble runs f in a bubble of its own: time is virtual there, and what is
// left behind at its end fails the test.
func Bubble(t *testing.T, f func(w *World)) {
	t.Helper()
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		f(&World{T: t, Sys: sys, Root: sys.Root})
	})
}

// InTask runs f as a task of a worker in a bubble, and fails the test if it fails.
func InTask(t *testing.T, f func(w *World, t *actors.Task) error) {
	t.Helper()
	Bubble(t, func(w *World) {
		pid := w.Worker("worker", actors.Options{Logger: Discard()}, None)
		if _, err := Result(actors.SubmitErr(w.Root, pid, func(t *actors.Task) error { return f(w, t) })); err != nil {
			w.Errorf("the task failed: %v", err)
		}
		w.Stopped(pid, time.Hour)
	})
}

// Discard is a logger whose records nobody needs.
func Discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// None is for setups that can do without.
func None(*actors.Worker) error { return nil }

// Worker spawns a worker under the root.
func (w *World) Worker(name string, o actors.Options, setup func(w *actors.Worker) error) *actor.PID {
	w.Helper()
	return actortest.Spawn(w, w.Root, name, setup, o)
}

// Stopped stops pid gracefully and returns its final account, which it checks.
func (w *World) Stopped(pid *actor.PID, grace time.Duration) actors.Counts {
	w.Helper()
	c, err := Result(actors.RequestStop(w.Root, pid, grace))
	if err != nil {
		w.Fatalf("stop of %s: %v", pid.Id, err)
	}
	CheckCounts(w, c)
	return c
}

// CheckCounts checks what holds for the account of a worker that has ended.
func CheckCounts(t testing.TB, c actors.Counts) {
	t.Helper()
	if !c.Agree() {
		t.Errorf("the account contradicts itself: %+v", c)
	}
	if c.Pending != 0 {
		t.Errorf("%d pending after the end: %v", c.Pending, c)
	}
}
