// SPDX-License-Identifier: Apache-2.0

package consumer

import "time"

// delivery tracks a message in hand: received, and not settled.
type delivery struct {
	m     *Message
	order string // key of its order; empty: none
	state state

	tries   int           // failed runs in hand that count, beside earlier deliveries
	runs    int           // … that do not: they were not the message's fault
	tried   int           // how often it was tried; set when it is a dead letter
	begun   bool          // a handler has had it
	counted bool          // this delivery was a try
	probe   bool          // its handler has begun while the breaker was open
	outages int           // … of the breaker before its handler began
	err     error         // why it is retried or dead
	delay   time.Duration // before it is delivered again
	stopped bool          // it was in hand at the stop event

	extendAt  time.Time // when to extend its lease; zero: never
	extending bool      // … which is under way: no other call may overtake that
	calling   bool      // the call that settles it is under way
	attempts  int       // failed ones of those

	prev, next *delivery // in hand, in the order of receipt
}

// state is where a delivery is, and what leads from one state to another:
//
//	waiting → running    it is its turn
//	        → deferring  the breaker is open, and no handler has had it
//	        → burying    Options.Order has panicked on it
//	        → returning  a stop
//	running → waiting    its handler was not called after all
//	                     the breaker is open, and keeps it to probe with
//	        → pausing    it is tried again in hand
//	        → acking     its handler has returned nil
//	        → retrying   it failed
//	        → deferring  it failed, and that was not its fault
//	        → burying    it failed for the last time, or with ErrPoison
//	        → returning  a stop or restart has cut it off
//	pausing → waiting    the delay is over
//	        → returning  a stop
//	burying → retrying   the source has no place for dead letters
type state uint8

const (
	waiting   state = iota // for a handler, or for its turn in its order
	running                // its handler has begun
	pausing                // before it is tried again in hand, for its order's sake
	acking                 // the source is to be told that it is done …
	retrying               // … that it failed
	deferring              // … that it comes back, and this was no try of it
	burying                // … that it is dead
	returning              // … that it comes back, as if it had never been here
)

// unfinished reports whether it needs the handler yet.
func (s state) unfinished() bool { return s <= pausing }

func (s state) String() string {
	return [...]string{waiting: "waiting", running: "running", pausing: "pausing",
		acking: "acked", retrying: "retried", deferring: "deferred", burying: "a dead letter", returning: "given back"}[s]
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
