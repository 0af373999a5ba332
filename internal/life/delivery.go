// SPDX-License-Identifier: Apache-2.0

package life

// Delivery is what becomes of a message that a consumer has received, until its source
// knows. On is the only writer. The zero value is one that has just been received.
//
// What leads from one state to another (generated from life.Delivery by go generate):
//
//	waiting   → running    it is its turn
//	          → burying    Options.Order has panicked on it
//	          → deferring  the breaker is open, and no handler has had it
//	          → returning  a stop
//	                       the end of its consumer
//	          → lost       the source could not be told before its consumer ended
//	running   → waiting    its handler was not called after all
//	                       it failed, and is kept until the breaker closes
//	          → burying    it failed with ErrPoison
//	                       it failed for the last time
//	          → deferring  it failed, and that was not its fault
//	          → returning  a stop or restart has cut it off
//	                       the end of its consumer
//	          → lost       the source could not be told before its consumer ended
//	          → acking     its handler has returned nil
//	          → retrying   it failed
//	          → pausing    it failed, and others must not overtake it
//	                       it failed, which was not its fault, and others must not overtake it
//	burying   → lost       the source cannot be told, or has given it to somebody else
//	                       the source could not be told before its consumer ended
//	          → retrying   the source has no place for dead letters
//	          → settled    the source knows
//	deferring → lost       the source cannot be told, or has given it to somebody else
//	                       the source could not be told before its consumer ended
//	          → settled    the source knows
//	returning → lost       the source cannot be told, or has given it to somebody else
//	                       the source could not be told before its consumer ended
//	          → settled    the source knows
//	acking    → lost       the source cannot be told, or has given it to somebody else
//	                       the source could not be told before its consumer ended
//	          → settled    the source knows
//	retrying  → lost       the source cannot be told, or has given it to somebody else
//	                       the source could not be told before its consumer ended
//	          → settled    the source knows
//	pausing   → waiting    the delay is over
//	          → returning  a stop
//	                       the end of its consumer
//	          → lost       the source could not be told before its consumer ended
type Delivery struct {
	state DeliveryState
	// failed: a run of its handler has failed here, and it waits to be tried again.
	failed bool
	// tried: this delivery was a try of its message. A queue counts each delivery as
	// one, and the consumer takes those off that were none.
	tried bool
}

// State is where the delivery is.
func (d Delivery) State() DeliveryState { return d.state }

// HasFailed reports whether a run of its handler has failed here: the handler has had
// the message, and it would be tried again.
func (d Delivery) HasFailed() bool { return d.failed }

// DeliveryState is where a delivery is. The order matters to NeedsHandler and HasEnded
// alone.
type DeliveryState uint8

const (
	DeliveryWaiting   DeliveryState = iota // for its handler, or for its turn in its order
	DeliveryRunning                        // its handler has begun
	DeliveryPausing                        // before it is tried again here, for its order's sake
	DeliveryAcking                         // the source is to be told that it is done …
	DeliveryRetrying                       // … that it failed, and comes back
	DeliveryDeferring                      // … that it comes back, and this was no try of it
	DeliveryBurying                        // … that it is a dead letter
	DeliveryReturning                      // … that it comes back, as if it had never been here
	DeliverySettled                        // the source knows
	DeliveryLost                           // the source will not be told any more
)

// String is the word that tables and diagrams have for it.
func (s DeliveryState) String() string {
	return word(s, "waiting", "running", "pausing", "acking", "retrying", "deferring", "burying", "returning", "settled", "lost")
}

// NeedsHandler reports whether it needs the handler yet.
func (s DeliveryState) NeedsHandler() bool { return s <= DeliveryPausing }

// HasEnded reports whether nothing comes after it.
func (s DeliveryState) HasEnded() bool { return s >= DeliverySettled }

// DeliveryEvent is what can happen to a delivery.
type DeliveryEvent uint8

const (
	DeliveryHasBegun    DeliveryEvent = iota // it is its turn
	DeliveryNotCalled                        // … but its handler was not called after all
	DeliveryUnorderable                      // nobody can tell what it has to come after
	HandlerSucceeded                         // its handler has returned nil
	HandlerCutOff                            // it was cut off by a stop or a restart
	HandlerFoundPoison                       // … it says that no further try would mend it
	HandlerFailed                            // … it failed
	HandlerExcused                           // … it failed, and that was not the message's fault
	DeliveryPauseOver                        // it may be tried again
	BreakerHasOpened                         // the handler fails whatever the message
	ConsumerStops                            // nothing begins any more
	ConsumerEnds                             // … and nothing goes on
	SourceHasHeard                           // the source knows what has become of it
	SourceHasNotHeard                        // it could not be told
	SourceHasNoPlace                         // it keeps no dead letters
	SourceGivenUp                            // it is not told again
	ConsumerHasEnded                         // there is nobody to tell it
	deliveryEvents
)

// DeliveryFacts are what On may have to know beside the event.
type DeliveryFacts struct {
	Ordered  bool // others must not overtake it
	Stopping bool // nothing begins any more
	LastTry  bool // it has failed as often as it may
	Open     bool // the breaker is open
	Keepable bool // there is room for it while the breaker is open
}

// DeliveryEffects are what is to be done, in this order.
type DeliveryEffects uint16

const (
	DeliveryQueue         DeliveryEffects = 1 << iota // let it wait for its handler, ahead of those of its order
	DeliveryPause                                     // let it wait before that
	DeliveryRelease                                   // let the next one of its order have its turn
	DeliveryTell                                      // let it wait until its source can be told
	DeliveryCountAcked                                // count it: it is done
	DeliveryCountRetried                              // count it: it comes back
	DeliveryCountDead                                 // count it: it is a dead letter
	DeliveryCountDeferred                             // count it: it comes back
	DeliveryCountReturned                             // count it: it comes back
	DeliveryCountLost                                 // count it: nobody knows
	DeliveryNoTry                                     // note that it was no try of its message
)

// DeliveryCounts are those of which each delivery has one, once.
const DeliveryCounts = DeliveryCountAcked | DeliveryCountRetried | DeliveryCountDead | DeliveryCountDeferred | DeliveryCountReturned | DeliveryCountLost

// Has reports whether any of them is among the effects.
func (do DeliveryEffects) Has(any DeliveryEffects) bool { return do&any != 0 }

// On is told what happens, and returns what is to be done.
func (d *Delivery) On(e DeliveryEvent, f DeliveryFacts) DeliveryEffects {
	switch d.state {
	case DeliveryWaiting, DeliveryPausing:
		return d.onWaiting(e)
	case DeliveryRunning:
		return d.onRunning(e, f)
	case DeliverySettled, DeliveryLost:
		return 0
	}
	return d.onTelling(e)
}

// onWaiting is On of one whose handler does not run.
func (d *Delivery) onWaiting(e DeliveryEvent) DeliveryEffects {
	pausing := d.state == DeliveryPausing
	switch {
	case e == DeliveryHasBegun && !pausing:
		d.state = DeliveryRunning
	case e == DeliveryUnorderable && !pausing:
		return d.leaveFor(DeliveryBurying)
	case e == DeliveryPauseOver && pausing:
		d.state = DeliveryWaiting
		return DeliveryQueue
	case e == BreakerHasOpened && !pausing && !d.failed:
		return d.leaveFor(DeliveryDeferring)
	case e == ConsumerStops:
		return d.leaveFor(DeliveryReturning)
	default:
		return d.onEnd(e)
	}
	return 0
}

// onRunning is On of one whose handler runs.
func (d *Delivery) onRunning(e DeliveryEvent, f DeliveryFacts) DeliveryEffects {
	switch e {
	case DeliveryNotCalled: // the consumer is about to end, and nothing begins
		d.state = DeliveryWaiting
		return 0
	case HandlerSucceeded:
		return d.leaveFor(DeliveryAcking)
	case HandlerCutOff:
		d.tried = true
		return d.leaveFor(DeliveryReturning)
	case HandlerFoundPoison:
		return d.leaveFor(DeliveryBurying)
	case HandlerFailed:
		if f.LastTry {
			return d.leaveFor(DeliveryBurying)
		}
		d.tried = true
		if !f.Ordered || f.Stopping { // those of its order go back at a stop, and it must not come after them
			return d.leaveFor(DeliveryRetrying)
		}
		return d.waitFor(DeliveryPausing)
	case HandlerExcused:
		switch {
		case f.Stopping || !f.Open && !f.Ordered:
		case !f.Open:
			return d.waitFor(DeliveryPausing)
		case f.Ordered || f.Keepable:
			return d.waitFor(DeliveryWaiting)
		}
		return d.leaveFor(DeliveryDeferring)
	}
	return d.onEnd(e)
}

// onTelling is On of one that its source is to be told about.
func (d *Delivery) onTelling(e DeliveryEvent) (do DeliveryEffects) {
	switch e {
	case SourceHasHeard:
		do = d.count()
		d.state = DeliverySettled
		return do
	case SourceHasNotHeard:
		return DeliveryTell
	case SourceHasNoPlace:
		if d.state == DeliveryBurying {
			d.state = DeliveryRetrying
		}
		return DeliveryTell
	case SourceGivenUp, ConsumerHasEnded:
		d.state = DeliveryLost
		return DeliveryCountLost
	}
	return 0
}

// onEnd is what the end of the consumer does to one that needs the handler.
func (d *Delivery) onEnd(e DeliveryEvent) DeliveryEffects {
	switch e {
	case ConsumerEnds: // it is told at once, and not in its turn
		d.state = DeliveryReturning
	case ConsumerHasEnded:
		d.state = DeliveryLost
		return DeliveryCountLost
	}
	return 0
}

// leaveFor is for what needs the handler no more.
func (d *Delivery) leaveFor(next DeliveryState) DeliveryEffects {
	d.state = next
	return DeliveryRelease | DeliveryTell
}

// waitFor is for what has failed, and is tried again here.
func (d *Delivery) waitFor(next DeliveryState) DeliveryEffects {
	d.state, d.failed = next, true
	if next == DeliveryPausing {
		return DeliveryPause
	}
	return DeliveryQueue
}

// count is what a delivery counts as that its source knows of.
func (d *Delivery) count() (do DeliveryEffects) {
	switch d.state {
	case DeliveryAcking:
		return DeliveryCountAcked
	case DeliveryRetrying:
		return DeliveryCountRetried
	case DeliveryBurying:
		return DeliveryCountDead
	case DeliveryDeferring:
		do = DeliveryCountDeferred
	default:
		do = DeliveryCountReturned
	}
	if !d.tried {
		do |= DeliveryNoTry
	}
	return do
}
