// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// requestTimeout is what each request to a plain actor is given, here and on
// Proto.Actor's side, where a future cannot do without one.
var requestTimeout = 5 * time.Second

// question and answer are what all requests carry, on both sides.
type (
	question struct{ n int }
	answer   struct{ n int }
)

// env is what one measurement of one case uses: an actor system of its own,
// and what to close afterwards.
type env struct {
	ctx     context.Context
	sys     *actor.ActorSystem
	closers []func() error
	// latencies has the time of each operation, in the cases that take it.
	latencies []time.Duration
	children  []int // the processes of this measurement
}

func newEnv() *env {
	return &env{
		ctx: context.Background(),
		sys: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
			return slog.New(slog.NewTextHandler(io.Discard, nil))
		})),
	}
}

// onClose calls f when the measurement is over; the last one registered first.
func (e *env) onClose(f func() error) { e.closers = append(e.closers, f) }

func (e *env) close() error {
	var errs []error
	for i := len(e.closers) - 1; i >= 0; i-- {
		errs = append(errs, e.closers[i]())
	}
	e.sys.Shutdown()
	return errors.Join(errs...)
}

// worker spawns a worker that answers questions.
func (e *env) worker(name string) (*actor.PID, error) { return e.spawn(name, answering) }

// answering is the setup of a worker that answers questions.
func answering(w *actors.Worker) error {
	actors.Handle(w, func(_ *actors.Task, q question) (answer, error) { return answer(q), nil })
	return nil
}

func (e *env) spawn(name string, setup func(w *actors.Worker) error) (*actor.PID, error) {
	pid, err := actors.Spawn(e.ctx, e.sys.Root, name, setup, actors.Options{})
	if err != nil {
		return nil, err
	}
	e.onClose(func() error { return e.stop([]*actor.PID{pid}) })
	return pid, nil
}

// workers spawns n workers, and stops them side by side.
func (e *env) workers(n int) ([]*actor.PID, error) {
	pids := make([]*actor.PID, n)
	for i := range pids {
		pid, err := actors.Spawn(e.ctx, e.sys.Root, fmt.Sprintf("worker-%d", i), func(*actors.Worker) error { return nil }, actors.Options{})
		if err != nil {
			return nil, errors.Join(err, e.stop(pids[:i]))
		}
		pids[i] = pid
	}
	e.onClose(func() error { return e.stop(pids) })
	return pids, nil
}

func (e *env) stop(pids []*actor.PID) error {
	ctx, cancel := context.WithTimeout(e.ctx, time.Minute)
	defer cancel()
	gone := make([]func() error, len(pids))
	for i, pid := range pids {
		f := actors.RequestStop(e.sys.Root, pid, 0)
		gone[i] = func() error { _, err := f.Wait(ctx); return err }
	}
	var errs []error
	for _, wait := range gone {
		errs = append(errs, wait())
	}
	return errors.Join(errs...)
}

// plain spawns an ordinary Proto.Actor actor that answers questions.
func (e *env) plain() *actor.PID {
	pid := e.sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if q, ok := c.Message().(question); ok {
			c.Respond(answer(q))
		}
	}))
	e.onClose(func() error { return e.sys.Root.StopFuture(pid).Wait() })
	return pid
}
