// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// What the cases of overload are about: more is asked of some workers than the
// processors can do, by askers who have little time.
const (
	overloadWorkers = 50
	overloadBudget  = 50 * time.Millisecond
	overloadWork    = 70 * time.Microsecond // of a processor, in each handler
	overloadRate    = 70_000                // requests a second; two processors do 28,000
	overloadBatch   = 25_000
)

func overloadCases() []*benchCase {
	return []*benchCase{
		{"overload/go", "time.AfterFunc for each, and goroutines: the function is late by", overloadBatch, overloadGoroutines},
		{"overload/timeout", "RequestFuture with Timeout: ErrTimeout is late by", overloadBatch, func(e *env) (run, error) {
			return e.overload(func(o *overload) *lateness { return &o.ends })
		}},
		{"overload/start", "the same: handlers start after the deadline by", overloadBatch, func(e *env) (run, error) {
			return e.overload(func(o *overload) *lateness { return &o.starts })
		}},
	}
}

func overloadRules() []rule {
	return []rule{
		{of: "overload/timeout", against: "overload/go", as: "time.AfterFunc", figure: p99, limit: 0.5},
		{of: "overload/timeout", figure: lateMillis},
		{of: "overload/start", figure: lateMillis, limit: 1},
	}
}

// lateMillis is how late something is, in milliseconds.
var lateMillis = figure{name: "p99 in ms", of: func(s *sample) float64 { return s.P99 / 1e6 }}

// lateness is how late things have been.
type lateness struct {
	mu  sync.Mutex
	all []time.Duration
}

// note is called when something has happened that was to happen by a time.
func (l *lateness) note(by *deadline) {
	late := by.missedBy()
	l.mu.Lock()
	l.all = append(l.all, late)
	l.mu.Unlock()
}

// noted is all of it so far. A handler may be about to note its start when the
// request has ended by its time.
func (l *lateness) noted() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

// overload is what one run of it finds.
type overload struct {
	starts, ends lateness
	ended        sync.WaitGroup
	sum          atomic.Int64
}

// offer calls ask n times, at a rate that does not depend on what becomes of it.
func offer(n int, ask func(i int, by *deadline)) {
	start := time.Now()
	for i := 0; i < n; {
		for due := int(time.Since(start).Seconds() * overloadRate); i < min(due, n); i++ {
			by := &deadline{start: start}
			ask(i, by)
			by.after.Store(int64(time.Since(start) + overloadBudget))
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// deadline is that of a job, and too late by the time that it took to ask: whoever
// asks may have been kept from it by others before its Timeout began.
type deadline struct {
	start time.Time
	after atomic.Int64 // 0: it is being asked
}

func (d *deadline) missedBy() time.Duration {
	after := time.Duration(d.after.Load())
	if after == 0 {
		return 0
	}
	return max(time.Since(d.start)-after, 0)
}

// job is a question that is to be answered by a time.
type job struct {
	n  int
	by *deadline
	of *overload
}

// overload offers jobs to workers, and tells what of it is late.
func (e *env) overload(of func(*overload) *lateness) (run, error) {
	busy := busyFor(overloadWork)
	pids := make([]*actor.PID, overloadWorkers)
	for i := range pids {
		pid, err := e.spawn(fmt.Sprintf("worker-%d", i), func(w *actors.Worker) error {
			actors.Handle(w, func(_ *actors.Task, j job) (answer, error) {
				j.of.starts.note(j.by)
				busy()
				return answer{j.n}, nil
			})
			return nil
		})
		if err != nil {
			return nil, err
		}
		pids[i] = pid
	}
	return func(n int) (int, error) {
		o := &overload{}
		var failed atomic.Pointer[error]
		o.ended.Add(n)
		offer(n, func(i int, by *deadline) {
			f := actors.RequestFuture[answer](e.sys.Root, pids[i%len(pids)], job{i, by, o}, actors.Timeout(overloadBudget))
			f.OnDone(func(_ answer, err error) {
				defer o.ended.Done()
				switch {
				case errors.Is(err, actors.ErrTimeout):
					o.ends.note(by)
				case err != nil:
					failed.Store(&err)
				}
				o.sum.Add(int64(i % overloadBatch))
			})
		})
		o.ended.Wait()
		e.latencies = of(o).noted()
		if err := failed.Load(); err != nil {
			return 0, *err
		}
		return int(o.sum.Load()), nil
	}, nil
}

// overloadGoroutines is the same load on goroutines, each with a channel, and a
// timer for each job: how late timers are when there is too much to do.
func overloadGoroutines(e *env) (run, error) {
	busy := busyFor(overloadWork)
	type timed struct {
		job
		timer *time.Timer
	}
	var queues [overloadWorkers]chan timed
	var all sync.WaitGroup
	for i := range queues {
		queues[i] = make(chan timed, 8*overloadBatch/overloadWorkers)
		all.Go(func() {
			for j := range queues[i] {
				if j.by.missedBy() > 0 || !j.timer.Stop() {
					continue // its timer sees to it
				}
				busy()
				j.of.sum.Add(int64(j.n))
				j.of.ended.Done()
			}
		})
	}
	e.onClose(func() error {
		for _, q := range queues {
			close(q)
		}
		all.Wait()
		return nil
	})
	return func(n int) (int, error) {
		o := &overload{}
		o.ended.Add(n)
		offer(n, func(i int, by *deadline) {
			j := job{i % overloadBatch, by, o}
			queues[i%len(queues)] <- timed{j, time.AfterFunc(overloadBudget, func() {
				o.ends.note(by)
				o.sum.Add(int64(j.n))
				o.ended.Done()
			})}
		})
		o.ended.Wait()
		e.latencies = o.ends.noted()
		return int(o.sum.Load()), nil
	}, nil
}

// busyFor returns a function that takes a processor for d.
func busyFor(d time.Duration) func() {
	spin := func(n int) uint64 {
		x := uint64(n) | 1
		for range n {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
		return x
	}
	const probe = 1 << 20
	best := time.Hour
	for range 5 {
		start := time.Now()
		sink.Store(spin(probe))
		best = min(best, time.Since(start))
	}
	n := int(float64(probe) * float64(d) / float64(best))
	return func() { sink.Store(spin(n)) }
}

// sink keeps the compiler from leaving out what nobody needs the result of.
var sink atomic.Uint64
