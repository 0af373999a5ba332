// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"fmt"
	"time"
)

// Stats is a consumer's account of messages, over all incarnations of all its
// workers. At every moment Received = Acked + Retried + Deferred +
// DeadLettered + Returned + Lost + InFlight.
type Stats struct {
	// Received deliveries.
	Received int64 `json:"received"`
	// Acked: handled, and removed from the queue.
	Acked int64 `json:"acked"`
	// Retried: the handler failed, and the queue will deliver again.
	Retried int64 `json:"retried"`
	// Deferred: given back without a try being counted, because what handlers
	// need cannot be had.
	Deferred int64 `json:"deferred"`
	// DeadLettered: given up.
	DeadLettered int64 `json:"dead_lettered"`
	// Returned to the queue because the worker stopped or restarted: not begun,
	// cut off, or kept while the breaker was open.
	Returned int64 `json:"returned"`
	// Lost: the source could not be told what became of the delivery. The
	// queue delivers again by itself when the lease is over.
	Lost int64 `json:"lost"`
	// InFlight: received and none of the above yet.
	InFlight int64 `json:"in_flight"`

	// Running handlers, of those in flight.
	Running int64 `json:"running"`
	// Failures are runs of the handler that returned an error or panicked;
	// runs that were cut off by a stop or restart are none.
	Failures int64 `json:"failures"`
	// Excused: of Failures, those that were not the message's and counted as no
	// try.
	Excused int64 `json:"excused"`
	// OpenSince is since when the breaker has been open; zero: it is closed.
	OpenSince time.Time `json:"open_since,omitzero"`
	// Outages are how often it has opened.
	Outages int64 `json:"outages"`
	// Probes are runs of the handler that have begun while it was open.
	Probes int64 `json:"probes"`
	// Drained: of Acked, those that were in flight at the stop event and were
	// finished within the grace.
	Drained int64 `json:"drained"`
	// Polls are the calls of Receive that have returned.
	Polls int64 `json:"polls"`
	// Trouble is how many calls of the source have failed.
	Trouble int64 `json:"trouble"`
	// Incarnations that have opened their source.
	Incarnations int64 `json:"incarnations"`
}

// Agree reports whether the sum holds.
func (s Stats) Agree() bool {
	return s.Received == s.Acked+s.Retried+s.Deferred+s.DeadLettered+s.Returned+s.Lost+s.InFlight
}

// String is the account in one line.
func (s Stats) String() string {
	text := fmt.Sprintf("received %d = acked %d (drained %d) + retried %d + deferred %d + dead-lettered %d + returned %d + lost %d + in flight %d; failures %d (excused %d), outages %d (probes %d), source trouble %d",
		s.Received, s.Acked, s.Drained, s.Retried, s.Deferred, s.DeadLettered, s.Returned, s.Lost, s.InFlight, s.Failures, s.Excused, s.Outages, s.Probes, s.Trouble)
	if !s.OpenSince.IsZero() {
		text += "; the breaker is open since " + s.OpenSince.Format(time.RFC3339)
	}
	return text
}
