// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/backoff"
)

// Options of a consumer. The zero value is usable.
type Options struct {
	// Name is what the consumer is called in logs, in the names of its tasks and by whoever
	// looks inside, such as the name of its queue. Empty: "consumer".
	Name string
	// Kind says of what kind a message is, such as what its producer calls its type: the task of its handler has
	// the kind in its name, by which a table, a profile or a metric tells work apart.
	// The first 64 kinds have names, further ones are "(other)". It is called on the worker's loop, and must not block. nil: there is one kind.
	Kind func(m Message) string
	// Concurrency is how many handlers may have begun and not returned. They
	// share one event loop: it bounds what they await, not processors. 0: 16.
	Concurrency int
	// Prefetch is how many messages may wait in flight beside those, so that a
	// handler need not wait for the network. 0: none. What is in flight, and the
	// memory that it takes, is bounded by Concurrency and Prefetch and as many
	// again, at least 128, that are done but for telling the source; while the
	// Breaker is open there may be 128 that are kept to be probed.
	Prefetch int
	// Pollers is how many calls of Receive there may be at a time, for a
	// source that gives few messages in one call. Each call has a goroutine of
	// its own. 0: 1. More do not go with Order: nobody can tell what came first
	// in calls at a time.
	Pollers int
	// MaxTries is how often a message is tried before it becomes a dead
	// letter. That is its deliveries by the queue's count, but for those that
	// this Consumer knows to have been no tries: it remembers them of the last
	// 10,000 messages at least. Those of another process count. 0: 5; negative: no
	// limit.
	MaxTries int
	// Retry is the wait before a message is delivered again whose handler has
	// failed. The zero value: 1 s, doubled with each try, at most 5 min, the
	// last half of it random.
	Retry actors.Backoff
	// Breaker is when failures are taken for an outage of what handlers need, so
	// that they count as no tries. The zero value: after five in a row.
	Breaker Breaker
	// Timeout bounds one run of the handler, as [actors.Timeout] does: its
	// awaits and its context end with ErrTimeout. 0: no bound.
	Timeout time.Duration
	// Order gives a message the key within which order is kept: the next
	// message of a key begins when the one before has succeeded or is a dead
	// letter. One that fails is tried again in flight, and holds up those behind
	// it, and no others, as long as there is room in flight. An empty key has no
	// order. At a stop one that fails goes back at once, as those behind it did.
	// It is called on any goroutine; one that panics makes the message poison.
	// nil: no order at all. See [ByGroup].
	Order func(m Message) string
	// Trouble is the wait before a source that has returned an error is called
	// again. The zero value: 100 ms, doubled, at most 10 s, the last half of it
	// random.
	Trouble actors.Backoff
	// Outage is for how long nothing but errors may come from Receive before
	// the worker fails, so that its supervisor has the source opened again. 0:
	// one minute; negative: for ever.
	Outage time.Duration
	// Logger is told of failed tries, dead letters and trouble with the
	// source. nil: the actor system's.
	Logger *slog.Logger
}

// ByGroup is an Options.Order: by what the producer has set as group, such as
// the message group of an SQS FIFO queue.
func ByGroup(m Message) string { return m.Group }

const (
	defaultName        = "consumer"
	defaultConcurrency = 16
	defaultMaxTries    = 5
	defaultOutage      = time.Minute
	defaultFailures    = 5
)

// The waits of options that have none.
var (
	defaultRetry   = actors.Backoff{Initial: time.Second, Max: 5 * time.Minute, Jitter: 0.5}
	defaultProbe   = actors.Backoff{Initial: time.Second, Max: 30 * time.Second, Jitter: 0.5}
	defaultTrouble = actors.Backoff{Initial: 100 * time.Millisecond, Max: 10 * time.Second, Jitter: 0.5}
)

// listMistakes are the values that make no sense, each an *actors.OptionError.
func (o Options) listMistakes() (errs []error) {
	bad := func(field string, value any, why string) {
		errs = append(errs, &actors.OptionError{Of: "consumer: New", Field: "Options." + field, Value: value, Why: why})
	}
	for _, n := range []struct {
		name string
		v    int
	}{{"Concurrency", o.Concurrency}, {"Prefetch", o.Prefetch}, {"Pollers", o.Pollers}} {
		if n.v < 0 {
			bad(n.name, n.v, "is negative")
		}
	}
	if o.Timeout < 0 {
		bad("Timeout", o.Timeout, "is negative")
	}
	if o.Order != nil && o.Pollers > 1 {
		bad("Order", nil, fmt.Sprintf("is set with %d Pollers: it needs one, as calls of Receive at a time have no order", o.Pollers))
	}
	for _, b := range []struct {
		name string
		v    actors.Backoff
	}{{"Retry", o.Retry}, {"Breaker.Probe", o.Breaker.Probe}, {"Trouble", o.Trouble}} {
		backoff.Backoff(b.v).EachMistake(func(field string, value any, why string) { bad(b.name+"."+field, value, why) })
	}
	return errs
}

// resolved returns o with the defaults in place.
func (o Options) resolved() Options {
	o.Name = cmp.Or(o.Name, defaultName)
	o.Concurrency = cmp.Or(o.Concurrency, defaultConcurrency)
	o.Prefetch = min(o.Prefetch, math.MaxInt-o.Concurrency) // they are added
	o.Pollers = cmp.Or(o.Pollers, 1)
	o.MaxTries = cmp.Or(o.MaxTries, defaultMaxTries)
	o.Outage = cmp.Or(o.Outage, defaultOutage)
	o.Breaker.Failures = cmp.Or(o.Breaker.Failures, defaultFailures)
	o.Retry = withDefault(o.Retry, defaultRetry)
	o.Breaker.Probe = withDefault(o.Breaker.Probe, defaultProbe)
	o.Trouble = withDefault(o.Trouble, defaultTrouble)
	return o
}

// withDefault is b, or by if that is zero, with its Max.
func withDefault(b, by actors.Backoff) actors.Backoff {
	b = cmp.Or(b, by)
	b.Max = backoff.Backoff(b).Longest()
	return b
}
