// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
)

// eager is the command that shows eager tasks: work that starts whether or
// not anybody awaits it.
type eager struct {
	requests, workers int // of the fan-out
}

func (*eager) name() string { return "eager" }

func (*eager) summary() string {
	return `  1. A task starts at once and goes on while the main goroutine blocks (6 seconds).
  2. An error and a panic, with its stack, reach whoever awaits.
  3. A burst of requests to many workers, gathered as they complete.`
}

func (e *eager) declare(flags *flag.FlagSet) {
	e.requests, e.workers = 100_000, 8
	flags.Var(&count{&e.requests, 1, 5_000_000}, "requests", "`number` of requests in part 3, 1 to 5000000; each takes about half a KB of memory")
	flags.Var(&count{&e.workers, 1, 10_000}, "workers", "`number` of workers that part 3 spreads them over, 1 to 10000")
}

func (e *eager) run(ctx context.Context, stdout, stderr io.Writer) error {
	c := newCrew(stderr)
	err := e.parts(ctx, c, stdout, stderr)
	if err == nil {
		_, err = c.stop(0)
		return err
	}
	// Interrupted, or failed: nobody is left to see what the workers still
	// do, so cut it off.
	done, stopErr := c.stop(-1)
	if stopErr != nil {
		return fmt.Errorf("%w; %w", err, stopErr)
	}
	return fmt.Errorf("%w: %d workers stopped; of their tasks %d were done and %d cut off",
		err, len(c.workers), done.Finished+done.Failed, done.Canceled+done.Abandoned)
}

func (e *eager) parts(ctx context.Context, c *crew, stdout, stderr io.Writer) error {
	if err := timeline(ctx, c, stdout); err != nil {
		return err
	}
	if err := failures(ctx, c, stdout); err != nil {
		return err
	}
	return fanOut(ctx, c, stdout, stderr, e.requests, e.workers)
}
