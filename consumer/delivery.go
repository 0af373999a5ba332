// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"time"

	"github.com/protoloop/protoloop/internal/life"
)

// delivery tracks a message in flight: received, and not settled. Where it is, and what
// leads from there, is in the table life.Delivery.
type delivery struct {
	m     *Message
	order string        // key of its order; empty: none
	life  life.Delivery // written by handleEvent alone

	tries   int           // failed runs in flight that count, beside earlier deliveries
	runs    int           // … that do not: they were not the message's fault
	tried   int           // how often it was tried; set when it is a dead letter
	probe   bool          // its handler has begun while the breaker was open
	outages int           // … of the breaker before its handler began
	err     error         // why it is retried or dead
	delay   time.Duration // before it is delivered again
	stopped bool          // it was in flight at the stop event

	extendAt  time.Time // when to extend its lease; zero: never
	extending bool      // … which is under way: no other call may overtake that
	calling   bool      // the call that settles it is under way
	attempts  int       // failed ones of those

	prev, next *delivery // in flight, in the order of receipt
}

// outcomeOf is what the source is, or was, to be told in that state.
func outcomeOf(s life.DeliveryState) string {
	switch s {
	case life.DeliveryAcking:
		return "acked"
	case life.DeliveryRetrying:
		return "retried"
	case life.DeliveryDeferring:
		return "deferred"
	case life.DeliveryBurying:
		return "a dead letter"
	}
	return "given back"
}

// list is deliveries in the order of their receipt.
type list struct {
	first, last *delivery
	n           int
}

func (l *list) push(d *delivery) {
	d.prev = l.last
	if l.last == nil {
		l.first = d
	} else {
		l.last.next = d
	}
	l.last = d
	l.n++
}

func (l *list) remove(d *delivery) {
	if d.prev == nil {
		l.first = d.next
	} else {
		d.prev.next = d.next
	}
	if d.next == nil {
		l.last = d.prev
	} else {
		d.next.prev = d.prev
	}
	d.prev, d.next = nil, nil
	l.n--
}
