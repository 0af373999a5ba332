// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
)

// rule is a requirement on a case, or a comparison that requires nothing.
type rule struct {
	of      string
	against string // the baseline; "": the figure itself is limited
	// ofAlone and againstAlone are the same without neighbours, if it is a rule
	// about what these cost: each figure is then a multiple of that alone.
	ofAlone, againstAlone string
	as                    string // what the table calls the baseline
	figure                figure
	limit                 float64 // 0: nothing is required
	aim                   float64 // 0: no further than the limit
	zero                  bool    // it must be nothing, as the limit 0 cannot say
	below                 bool    // it must be less than the limit, not at most
}

// figure is what a rule is about.
type figure struct {
	name string // in the table, unless it is the time
	of   func(*sample) float64
	// slack is what a limit on the figure itself allows on top: some
	// allocations are shared by many operations.
	slack float64
	// more: not a ratio to the baseline, but how much more it is.
	more bool
}

var (
	wall       = figure{name: "", of: func(s *sample) float64 { return s.Wall }}
	p50        = figure{name: "p50", of: func(s *sample) float64 { return s.P50 }}
	p50Micros  = figure{name: "p50 µs", of: func(s *sample) float64 { return s.P50 / 1e3 }}
	p99        = figure{name: "p99", of: func(s *sample) float64 { return s.P99 }}
	allocs     = figure{name: "allocs/op", of: func(s *sample) float64 { return s.Allocs }, slack: 0.05}
	p99Millis  = figure{name: "p99 ms", of: func(s *sample) float64 { return s.P99 / 1e6 }}
	memory     = figure{name: "memory", of: func(s *sample) float64 { return s.Memory }}
	ofCPU      = figure{name: "CPU", of: func(s *sample) float64 { return s.CPU }}
	moreAllocs = figure{name: "allocs more", of: func(s *sample) float64 { return s.Allocs }, slack: 0.05, more: true}
	moreBytes  = figure{name: "bytes more", of: func(s *sample) float64 { return s.Bytes }, slack: 0.5, more: true}
	moreNanos  = figure{name: "CPU ns more", of: func(s *sample) float64 { return s.CPU }, more: true}
	moreMicros = figure{name: "CPU µs more", of: func(s *sample) float64 { return s.CPU / 1000 }, more: true}
)

func rules() []rule {
	return append([]rule{
		{of: "burst/submit", against: "burst/go", as: "goroutine + channel", figure: wall, limit: 0.55, aim: 0.30},
		{of: "burst/submit", against: "burst/engine", as: "Proto.Actor", figure: wall, limit: 0.15, aim: 0.08},
		{of: "burst/submit", figure: allocs, limit: 2},
		{of: "burst/start", against: "burst/go", as: "goroutine + channel", figure: wall, limit: 0.6},
		{of: "burst/request", against: "burst/engine", as: "Proto.Actor", figure: wall, limit: 0.3, aim: 0.2},
		{of: "burst/request", figure: allocs, limit: 4},
		{of: "burst/start-budget", against: "burst/start", as: "without", figure: wall, limit: 1.5, aim: 1.3},
		{of: "burst/request-timeout", against: "burst/request", as: "without Timeout", figure: wall, limit: 1.3},
		{of: "burst/request-context", against: "burst/request", as: "without both", figure: wall, limit: 2.6, aim: 1.3},
		{of: "burst/request-context", against: "burst/request", as: "without both", figure: moreNanos},
		{of: "burst/bare-context", against: "burst/bare-request", as: "without both", figure: moreNanos},
		{of: "burst/bare-context", against: "burst/bare-request", as: "without both", figure: ofCPU},
		{of: "burst/request-context", figure: allocs, limit: 4},
		{of: "burst/request-own-context", against: "burst/go-own-context", as: "goroutine with both", figure: wall},
		{of: "burst/plain", against: "burst/engine", as: "Proto.Actor", figure: wall, limit: 0.45},
		{of: "burst/plain", against: "burst/bare-plain", as: "bare", figure: ofCPU},
		{of: "burst/bare-plain", against: "burst/bare-plain-within", as: "in one piece", figure: ofCPU},
		{of: "burst/await", against: "burst/go", as: "goroutine + channel", figure: wall, limit: 1.7, aim: 0.8},
		{of: "burst/await", against: "burst/bare-await", as: "bare", figure: wall},
		{of: "burst/bare-await", against: "burst/go", as: "goroutine + channel", figure: wall},
		{of: "burst/await", against: "burst/least-await", as: "least", figure: wall},
		{of: "burst/least-await", against: "burst/go", as: "goroutine + channel", figure: wall},
		{of: "burst/go-two", against: "burst/go", as: "goroutine + channel", figure: wall},
		{of: "burst/ants", against: "burst/go", as: "goroutine + channel", figure: wall},
		{of: "burst/pond", against: "burst/go", as: "goroutine + channel", figure: wall},
		{of: "burst/conc", against: "burst/go", as: "goroutine + channel", figure: wall},

		{of: "seq/submit", against: "seq/chan", as: "channel", figure: wall, limit: 2, aim: 1.5},
		{of: "seq/submit", against: "seq/bare", as: "bare call", figure: wall},
		{of: "seq/submit", against: "seq/least", as: "least call", figure: wall},
		{of: "seq/bare", against: "seq/chan", as: "channel", figure: wall},
		{of: "seq/least", against: "seq/chan", as: "channel", figure: wall},
		{of: "seq/least-request", against: "seq/chan", as: "channel", figure: wall},
		{of: "seq/request", against: "seq/least-request", as: "least request", figure: wall},
		{of: "seq/request", against: "seq/chan", as: "channel", figure: wall, limit: 2.2},
		{of: "seq/submit", against: "seq/engine", as: "Proto.Actor", figure: wall, limit: 0.25},
		{of: "seq/request", against: "seq/engine", as: "Proto.Actor", figure: wall},
		{of: "seq/plain", against: "seq/engine", as: "Proto.Actor", figure: wall, limit: 1},
		{of: "seq/go", against: "seq/chan", as: "channel", figure: wall},
		{of: "seq/ants", against: "seq/chan", as: "channel", figure: wall},
		{of: "seq/pond", against: "seq/chan", as: "channel", figure: wall},

		// Three times the throughput is a third of the time per operation.
		{of: "askers/submit", against: "askers/engine", as: "Proto.Actor", figure: wall, limit: 1.0 / 3},
		{of: "askers/submit", against: "askers/engine", as: "Proto.Actor", figure: p99, limit: 1, below: true},
		{of: "askers/request", against: "askers/engine", as: "Proto.Actor", figure: wall, limit: 1.0 / 3},
		{of: "askers/request", against: "askers/engine", as: "Proto.Actor", figure: p99, limit: 1, below: true},
		{of: "askers/chan", against: "askers/engine", as: "Proto.Actor", figure: wall},
	}, slices.Concat(scaleRules(), coreRules(), gatherRules(), overloadRules(), ringRules(), orderRules(), startRules(), gridRules(), askRules(), topicRules(), stateRules(), remindRules(), idleRules(), neighbourRules(), fairRules(), supervisedRules(), watchedRules())...)
}

func scaleRules() []rule {
	name := func(format string, n int) string { return fmt.Sprintf(format, n) }
	return []rule{
		{of: name("pending/%d", many), against: name("pending/%d", few), as: "the one of 100", figure: wall, limit: 2},
		{of: name("pending/go-%d", many), against: name("pending/go-%d", few), as: "the one of 100", figure: wall},
		{of: name("beside/%d", many), against: name("beside/%d", few), as: "the one of 100", figure: wall, limit: 2},
		{of: name("resume/%d", few), against: name("resume/go-%d", few), as: "goroutines", figure: wall},
		{of: name("resume/%d", many), against: name("resume/go-%d", many), as: "goroutines", figure: wall},
		{of: name("resume/%d", many), against: name("resume/%d", few), as: "the one of 100", figure: wall},
		{of: name("workers/seq-%d", manyWorkers), against: "workers/seq-1", as: "1 worker", figure: wall, limit: 2},
		// All at once, each is found asleep and with its memory cold: what that
		// costs at all is told by as many goroutines.
		{of: name("workers/burst-%d", manyWorkers), against: name("workers/go-burst-%d", manyWorkers), as: "goroutines", figure: wall, limit: 1.5},
		{of: name("blocked/%d", manyBlocked), against: "blocked/0", as: "none blocked", figure: wall, limit: 1.5},
		{of: name("workers/burst-%d", manyWorkers), against: "workers/burst-1", as: "1 worker", figure: wall},
		{of: name("workers/go-burst-%d", manyWorkers), against: "workers/go-burst-1", as: "1 goroutine", figure: wall},
		{of: "memory/task", against: "memory/goroutine", as: "goroutine", figure: memory, limit: 1.16, aim: 1.15},
		{of: "memory/task", against: "memory/goroutine-chan", as: "goroutine with channel", figure: memory},
		{of: "memory/coroutine", against: "memory/goroutine", as: "goroutine", figure: memory},
		{of: "million/task", against: "million/goroutine-chan", as: "goroutine with channel", figure: wall},
	}
}

// verdict is a rule applied to what was measured.
type verdict struct {
	rule
	value float64 // the ratio, or the figure itself
	cpu   float64 // the ratio of processor time; 0: the rule is not about time
}

func (r rule) apply(res results) verdict {
	v := verdict{rule: r}
	if r.against == "" {
		v.value = medianOf(res[r.of], r.figure.of)
		return v
	}
	v.value = res.compare(r.of, r.against, r.figure)
	if r.ofAlone != "" {
		v.value /= res.compare(r.ofAlone, r.againstAlone, r.figure)
		return v
	}
	if r.figure.name == wall.name {
		v.cpu = res.compare(r.of, r.against, ofCPU)
	}
	return v
}

// failed reports whether the requirement is missed. A figure that is none,
// because nothing was measured, misses it.
func (v verdict) failed() bool {
	switch {
	case v.limit == 0 && !v.zero:
		return false
	case v.below:
		return !(v.value < v.limit)
	default:
		return !(v.value <= v.limit+v.figure.slack)
	}
}
