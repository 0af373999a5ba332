// SPDX-License-Identifier: Apache-2.0

package life

import (
	"strings"

	"github.com/protoloop/protoloop/internal/life/table"
)

// String is the word for it in the table.
func (e DeliveryEvent) String() string {
	return word(e, "begun", "not called", "unorderable", "handler succeeded", "handler cut off", "handler found poison", "handler failed",
		"handler excused", "pause over", "breaker opened", "consumer stops", "consumer ends", "source has heard", "source has not heard",
		"source has no place", "source given up", "consumer has ended")
}

var deliveryEffectWords = []string{"queue", "pause", "release order", "tell source", "count acked", "count retried", "count dead",
	"count deferred", "count returned", "count lost", "note no try"}

// String lists them, in their order.
func (do DeliveryEffects) String() string { return bits(uint32(do), deliveryEffectWords) }

// String has all that is remembered of the delivery, for the table.
func (d Delivery) String() string {
	words := []string{d.state.String()}
	if d.failed {
		words = append(words, "has failed")
	}
	if d.tried {
		words = append(words, "was a try")
	}
	return strings.Join(words, ", ")
}

// DeliveryMoment is an event with its facts.
type DeliveryMoment struct {
	Event DeliveryEvent
	Facts DeliveryFacts
}

// String is the event, with its facts if it has any.
func (m DeliveryMoment) String() string {
	var facts []string
	for _, f := range []struct {
		is   bool
		word string
	}{
		{m.Facts.Ordered, "ordered"}, {m.Facts.Stopping, "stopping"}, {m.Facts.LastTry, "last try"},
		{m.Facts.Open, "breaker open"}, {m.Facts.Keepable, "keepable"},
	} {
		if f.is {
			facts = append(facts, f.word)
		}
	}
	if facts == nil {
		return m.Event.String()
	}
	return m.Event.String() + "{" + strings.Join(facts, ", ") + "}"
}

// deliveryMoments are all events, each with every fact that On looks at.
func deliveryMoments() (all []DeliveryMoment) {
	for e := range deliveryEvents {
		switch e {
		case HandlerFailed:
			for i := range 8 {
				all = append(all, DeliveryMoment{e, DeliveryFacts{Ordered: i&1 != 0, Stopping: i&2 != 0, LastTry: i&4 != 0}})
			}
		case HandlerExcused:
			for i := range 16 {
				all = append(all, DeliveryMoment{e, DeliveryFacts{Ordered: i&1 != 0, Stopping: i&2 != 0, Open: i&4 != 0, Keepable: i&8 != 0}})
			}
		default:
			all = append(all, DeliveryMoment{Event: e})
		}
	}
	return all
}

// canHear reports whether the event can happen.
func (d Delivery) canHear(e DeliveryEvent) bool {
	switch e {
	case DeliveryHasBegun:
		return d.state == DeliveryWaiting
	case DeliveryUnorderable, BreakerHasOpened:
		return d.state == DeliveryWaiting && !d.failed
	case DeliveryNotCalled, HandlerSucceeded, HandlerCutOff, HandlerFoundPoison, HandlerFailed, HandlerExcused:
		return d.state == DeliveryRunning
	case DeliveryPauseOver: // it may have gone back meanwhile
		return !d.state.HasEnded()
	case ConsumerStops:
		return d.state == DeliveryWaiting || d.state == DeliveryPausing
	case ConsumerEnds:
		return d.state.NeedsHandler()
	case SourceHasHeard, SourceHasNotHeard, SourceGivenUp:
		return !d.state.NeedsHandler() && !d.state.HasEnded()
	case SourceHasNoPlace:
		return d.state == DeliveryBurying
	}
	return !d.state.HasEnded()
}

// deliveryLabel is what a step means to a user.
func deliveryLabel(r table.Row[Delivery, DeliveryMoment]) string {
	switch r.Event.Event {
	case DeliveryHasBegun:
		return "it is its turn"
	case DeliveryNotCalled:
		return "its handler was not called after all"
	case DeliveryUnorderable:
		return "Options.Order has panicked on it"
	case HandlerSucceeded:
		return "its handler has returned nil"
	case HandlerCutOff:
		return "a stop or restart has cut it off"
	case HandlerFoundPoison:
		return "it failed with ErrPoison"
	case HandlerFailed:
		switch r.To.state {
		case DeliveryBurying:
			return "it failed for the last time"
		case DeliveryPausing:
			return "it failed, and others must not overtake it"
		}
		return "it failed"
	case HandlerExcused:
		switch r.To.state {
		case DeliveryWaiting:
			return "it failed, and is kept until the breaker closes"
		case DeliveryPausing:
			return "it failed, which was not its fault, and others must not overtake it"
		}
		return "it failed, and that was not its fault"
	case DeliveryPauseOver:
		return "the delay is over"
	case BreakerHasOpened:
		return "the breaker is open, and no handler has had it"
	case ConsumerStops:
		return "a stop"
	case ConsumerEnds:
		return "the end of its consumer"
	case SourceHasHeard:
		return "the source knows"
	case SourceHasNoPlace:
		return "the source has no place for dead letters"
	case SourceGivenUp:
		return "the source cannot be told, or has given it to somebody else"
	case ConsumerHasEnded:
		return "the source could not be told before its consumer ended"
	}
	return ""
}

// DeliveryTable is the table of [Delivery], for tests and diagrams.
func DeliveryTable() *table.Table[Delivery, DeliveryMoment] {
	return &table.Table[Delivery, DeliveryMoment]{
		Name:   "life.Delivery",
		Events: deliveryMoments(),
		On: func(d Delivery, m DeliveryMoment) (Delivery, string, bool) {
			if !d.canHear(m.Event) {
				return d, "", false
			}
			effects := d.On(m.Event, m.Facts)
			return d, effects.String(), true
		},
		State: Delivery.String,
		Event: DeliveryMoment.String,
		Node:  func(d Delivery) string { return d.state.String() },
		Label: deliveryLabel,
		Ends:  func(d Delivery) bool { return d.state.HasEnded() },
	}
}
