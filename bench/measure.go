// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"math"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// sample is what one measurement of a case found, per operation.
type sample struct {
	Wall   float64 `json:"ns"`     // nanoseconds
	CPU    float64 `json:"cpu_ns"` // of all threads, user and system, and of the case's other processes
	Bytes  float64 `json:"bytes"`
	Allocs float64 `json:"allocs"`
	P50    float64 `json:"p50_ns,omitempty"` // 0: not taken
	P99    float64 `json:"p99_ns,omitempty"` // … likewise
	Memory float64 `json:"memory,omitempty"` // of a suspended task or parked goroutine; 0: not taken
}

// measure opens a case, finds out how many operations take d, which warms it up,
// and measures them.
func measure(c *benchCase, d time.Duration) (s sample, err error) {
	e := newEnv()
	defer func() { err = errors.Join(err, e.close()) }()
	r, err := c.open(e)
	if err != nil {
		return s, err
	}
	ops, err := calibrate(c, r, max(d, c.leastSample()))
	if err != nil {
		return s, err
	}
	return takeSample(e, func() (int, error) { return c.do(r, max(ops, fewestBatches*c.batch)) })
}

// fewestBatches are measured, and nearly as many are run before that: the first
// large batch of a process takes twice the time of the next, because the memory
// for it has to be got from the system.
const fewestBatches = 4

// calibrate runs more and more operations until it can tell how many take d.
func calibrate(c *benchCase, r run, d time.Duration) (int, error) {
	for n := c.batch; ; n *= 2 {
		start := time.Now()
		done, err := c.do(r, n)
		if err != nil {
			return 0, err
		}
		if spent := time.Since(start); spent >= d/4 && n > c.batch {
			return max(int(float64(done)*float64(d)/float64(spent)), 1), nil
		}
	}
}

// takeSample measures f, which returns how many operations it did.
//
// It begins with a collection, so that it does not pay for the garbage of what
// came before. Those that its own garbage causes are part of the cost.
func takeSample(e *env, f func() (int, error)) (sample, error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	cpu := cpuTime() + e.childrenTime()
	start := time.Now()
	n, err := f()
	wall := time.Since(start)
	cpu = cpuTime() + e.childrenTime() - cpu
	runtime.ReadMemStats(&after)
	per := func(x float64) float64 { return x / float64(n) }
	return sample{
		Wall:   per(float64(wall)),
		CPU:    per(float64(cpu)),
		Bytes:  per(float64(after.TotalAlloc - before.TotalAlloc)),
		Allocs: per(float64(after.Mallocs - before.Mallocs)),
		P50:    percentile(e.latencies, 0.5),
		P99:    percentile(e.latencies, 0.99),
	}, err
}

// cpuTime is the processor time this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// percentile sorts d. Of fewer than 100 the 99th is the largest. It returns 0 if
// there is none.
func percentile(d []time.Duration, p float64) float64 {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return float64(d[int(math.Ceil(p*float64(len(d))))-1])
}

// median sorts x. It returns 0 if there is none.
func median(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	slices.Sort(x)
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

// medianOf is the median of one figure of the samples.
func medianOf(samples []sample, figure func(*sample) float64) float64 {
	x := make([]float64, len(samples))
	for i := range samples {
		x[i] = figure(&samples[i])
	}
	return median(x)
}
