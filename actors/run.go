// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
)

// Run runs main as the only task of a worker, in an actor system of its own, and returns
// what main does (asyncio.run): for a program, or a test, that is about one function that
// awaits. A panic of main is a [*PanicError].
//
// When ctx ends main is told to end, and Run returns [ErrTimeout] or [ErrCanceled] with the
// cause. What main has started, submitted or spawned from its task and has not waited for
// is cancelled when main has returned; Run waits until that has ended, or for 5 s, after
// which it is abandoned and named in the log.
//
// The actor system logs to [slog.Default], warnings and errors alone. Run must not be called
// in a task: there, Start what would be main.
func Run[T any](ctx context.Context, main func(t *Task) (T, error)) (T, error) {
	if ctx == nil {
		panic("actors: Run called with a nil context")
	}
	if main == nil {
		panic("actors: Run called with a nil function")
	}
	if t := taskIn(ctx); t != nil {
		panic("actors: Run called in task " + t.name() + ": it would block the worker; use actors.Start")
	}
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(warnings{slog.Default().Handler()})
	}))
	defer sys.Shutdown()
	pid, err := Spawn(context.WithoutCancel(ctx), sys.Root, "main", func(*Worker) error { return nil }, Options{})
	if err != nil {
		var zero T
		return zero, err
	}
	v, err := Submit(sys.Root, pid, main, WithContext(ctx)).Wait(ctx)
	_, _ = Stop(context.WithoutCancel(ctx), sys.Root, pid, NoGrace) // it knows of no error: the worker is there
	return v, err
}

// warnings is a handler of logs that leaves out what is no warning: an engine says when it
// has started, which a program whose actor system nobody sees need not.
type warnings struct{ slog.Handler }

// Enabled is slog's.
func (h warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

// WithAttrs is slog's.
func (h warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{h.Handler.WithAttrs(attrs)}
}

// WithGroup is slog's.
func (h warnings) WithGroup(name string) slog.Handler { return warnings{h.Handler.WithGroup(name)} }
