// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/safelog"
)

// Consumer is what a worker consumes: where from, with which handler, how.
// Its Props may be spawned any number of times; each worker has a source of
// its own, and their accounts are added up.
type Consumer struct {
	open   Open
	handle Handler
	opts   Options
	names  *taskNames

	mu      sync.Mutex // guards stats, the breaker and the users of all incarnations, and what has happened last
	stats   Stats
	breaker *breaker
	recent  recent
}

// New returns a consumer that gives the messages of the source that open opens
// to handle. Nothing runs before a worker of its Props does. Options that cannot be
// meant are all in one error, each an [*actors.OptionError].
func New(open Open, handle Handler, o Options) (*Consumer, error) {
	errs := o.listMistakes()
	if open == nil {
		errs = append(errs, &actors.OptionError{Of: "consumer: New", Field: "open", Why: "is missing"})
	}
	if handle == nil {
		errs = append(errs, &actors.OptionError{Of: "consumer: New", Field: "handle", Why: "is missing"})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c := &Consumer{open: open, handle: handle, opts: o.resolved()}
	c.breaker = newBreaker(c.opts.Breaker, &c.stats)
	c.names = newTaskNames(&c.opts)
	return c, nil
}

// Props are the props of a worker that does nothing but consume, for
// instance as a supervisor's child. opts may set its [actors.EventLoop]: the
// StopGrace there is what a stop has, after the supervisor's grace, for
// giving messages back. Without it MaxOffloads is at least the Concurrency, so
// that each handler can offload something.
func (c *Consumer) Props(opts ...actor.PropsOption) *actor.Props {
	o := actors.Options{MaxOffloads: max(c.opts.Concurrency, 128)} // a worker's default is 128
	return actors.Props(c.Setup, append([]actor.PropsOption{actors.EventLoop(o)}, opts...)...)
}

// ownCalls is how many calls of the source one incarnation has under way at a
// time, at the most: one of each settler, of extend, and of the end of the
// stream. They have places of their own: a worker whose handlers have taken all
// of its places for offloaded functions has to extend its leases all the same.
const ownCalls = settlers + 2

func newOwnCalls() *actors.Limiter { return actors.NewLimiter("calls of the source", ownCalls) }

// Setup makes a worker consume beside what else it does: call it in the
// worker's own setup. It opens the source and returns when that is open; if
// it cannot be opened, the error is one of the setup, for the supervisor. What
// else in that setup may fail comes first: the source is closed when the worker
// ends, which one whose setup has failed never was.
func (c *Consumer) Setup(w *actors.Worker) error {
	logger := c.opts.Logger
	if logger == nil {
		logger = w.ActorSystem().Logger()
	}
	own := newOwnCalls()
	src, err := c.openSource(w.Task(), own)
	if err != nil {
		return err
	}
	args := []any{"worker", w.Self().Id}
	if c.opts.Name != defaultName {
		args = append(args, "consumer", c.opts.Name)
	}
	r := newRun(c, src, own, w, safelog.Contain(logger).With(args...))
	r.register(w)
	return nil
}

// Stats returns the account as it is now. Any goroutine.
func (c *Consumer) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.statsHeld()
}

// statsHeld is Stats with mu held.
func (c *Consumer) statsHeld() Stats {
	s := c.stats
	s.OpenSince = c.breaker.since
	return s
}

// openSource calls open off the loop. A source that comes after the task has
// been ended is closed again.
func (c *Consumer) openSource(t *actors.Task, own *actors.Limiter) (Source, error) {
	var mu sync.Mutex
	var src Source
	late := false
	err := t.AwaitOffload(func(ctx context.Context) error {
		s, err := c.open(ctx)
		if err != nil {
			return err
		}
		if s == nil {
			return errors.New("Open returned neither a source nor an error")
		}
		mu.Lock()
		defer mu.Unlock()
		if late {
			return s.Close(context.WithoutCancel(ctx))
		}
		src = s
		return nil
	}, actors.Through(own))
	mu.Lock()
	late = true
	got := src
	mu.Unlock()
	if err == nil {
		return got, nil
	}
	if got != nil { // it came together with the end of the task
		_ = t.Cleanup(callTimeout, func(t *actors.Task) error {
			return t.AwaitOffload(got.Close, actors.Through(own))
		})
	}
	return nil, &OpenError{err}
}

// OpenError is why a worker's setup has failed: its source could not be
// opened.
type OpenError struct{ Err error }

// Error says why.
func (e *OpenError) Error() string { return "consumer: open the source: " + e.Err.Error() }

// Unwrap is the error of Open.
func (e *OpenError) Unwrap() error { return e.Err }

// worry logs trouble with the source. ctx is that of the task that has called it.
func worry(ctx context.Context, l *slog.Logger, what string, err error, args ...any) {
	l.WarnContext(ctx, "consumer: "+what, append([]any{"error", err}, args...)...)
}
