// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
)

// candidate asks whether n is a prime number.
type candidate struct {
	n    int
	sent time.Time
}

// verdict is the answer.
type verdict struct {
	prime bool
	took  time.Duration // from the request to the answer
}

// checker is the setup of a worker that answers candidates.
func checker(w *actors.Worker) error {
	actors.Handle(w, func(_ *actors.Task, c candidate) (verdict, error) {
		prime := isPrime(c.n)
		return verdict{prime, time.Since(c.sent)}, nil
	})
	return nil
}

func isPrime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}

// fanOut asks about the numbers from 1 to requests, all at once and spread
// over workers, and takes the answers as they come.
func fanOut(ctx context.Context, c *crew, out, stderr io.Writer, requests, workers int) error {
	pids := make([]*actor.PID, workers)
	for i := range pids {
		var err error
		if pids[i], err = c.spawn(ctx, fmt.Sprintf("checker-%d", i+1), checker); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "\nFan-out: %d requests to %d workers, gathered as they complete.\n", requests, workers)

	bar := newProgress(stderr, requests)
	defer bar.end()
	start := time.Now()
	asked := make([]*actors.Future[verdict], requests)
	for i := range asked {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		asked[i] = actors.RequestFuture[verdict](c.root, pids[i%workers], candidate{i + 1, time.Now()})
	}
	primes := 0
	latencies := make([]time.Duration, 0, requests)
	for i, err := range futures.AsCompleted(ctx, asked...) {
		if err != nil {
			return err
		}
		if ctx.Err() != nil { // while answers are there, AsCompleted goes on
			return context.Cause(ctx)
		}
		v, err := asked[i].TryResult()
		if err != nil {
			return err
		}
		if v.prime {
			primes++
		}
		latencies = append(latencies, v.took)
		bar.reached(len(latencies))
	}
	elapsed := time.Since(start)

	bar.end() // before the table: they may share a terminal
	fmt.Fprintf(out, "%d of the numbers from 1 to %d are prime.\n\n", primes, requests)
	return report(out, latencies, elapsed)
}
