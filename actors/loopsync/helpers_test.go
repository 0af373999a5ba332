// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

func TestMain(m *testing.M) { actortest.Main(m) }

var quiet = actors.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}

// bench is a worker in a bubble, and what its tasks have said.
type bench struct {
	*testing.T
	sys *actor.ActorSystem
	pid *actor.PID

	said testtools.Trace
}

// run runs f in a bubble, with a worker that has to stop gracefully in the end:
// no task of it may be left waiting.
func run(t *testing.T, f func(b *bench)) {
	t.Helper()
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		b := &bench{T: t, sys: sys, pid: actortest.Spawn(t, sys.Root, "worker", none, quiet)}
		f(b)
		start := time.Now()
		actortest.Stop(t, sys.Root, b.pid, time.Hour)
		if time.Since(start) >= time.Hour {
			t.Error("a task was left waiting")
		}
	})
}

func none(*actors.Worker) error { return nil }

// task starts f on the worker, and lets everything come to rest.
func (b *bench) task(f func(t *actors.Task) error) *actors.Future[actors.None] {
	fut := actors.Submit(b.sys.Root, b.pid, func(t *actors.Task) (struct{}, error) { return struct{}{}, f(t) })
	synctest.Wait()
	return fut
}

// do runs f on the worker, and fails the test unless it returns at once.
func (b *bench) do(f func(t *actors.Task) error) {
	b.Helper()
	b.ended(b.task(f), nil)
}

func (b *bench) say(format string, args ...any) { b.said.Add(format, args...) }

// heard lets everything come to rest, fails the test unless this is what was
// said, and forgets it.
func (b *bench) heard(want ...string) {
	b.Helper()
	synctest.Wait()
	b.said.Want(b, want...)
}

// ended fails the test unless f is done, with an error that is target.
func (b *bench) ended(f *actors.Future[actors.None], target error) {
	b.Helper()
	synctest.Wait()
	if _, err := f.TryResult(); !errors.Is(err, target) {
		b.Errorf("ended with %v, want %v", err, target)
	}
}

// pending fails the test if one of fs is done.
func (b *bench) pending(fs ...*actors.Future[actors.None]) {
	b.Helper()
	synctest.Wait()
	for i, f := range fs {
		if f.Done() {
			_, err := f.TryResult()
			b.Errorf("number %d is done: %v", i, err)
		}
	}
}

// result waits for a future that has to complete.
func result[T any](f *actors.Future[T]) (T, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	return f.Wait(ctx)
}
