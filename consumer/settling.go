// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"errors"
	"time"

	"github.com/protoloop/protoloop/internal/life"
)

// maxAttempts is how often the source is told about one message in vain; it
// is then left to come back by itself.
const maxAttempts = 10

// batch returns the deliveries that settler i is to tell the source about, or
// what to wait for. Neither: there will be none any more.
func (h *inFlight) nextBatch(i int) ([]*delivery, waitable) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var now, later fifo
	for _, d := range h.settle[i] {
		if d.extending {
			later.push(d)
			continue
		}
		d.calling = true
		now.push(d)
	}
	if h.settle[i] = later; len(now) > 0 {
		return now, nil
	}
	if h.isDrained() || h.closed {
		return nil, nil
	}
	return nil, h.calls[i].NextChange()
}

// outcome is what came of telling the source about a batch.
type outcome struct {
	lost     []lostDelivery // given up
	again    int            // to be told once more
	unplaced int            // dead letters without a place
}

// lostDelivery is one that the source is not told about any more, and what it was to
// be told.
type lostDelivery struct {
	d   *delivery
	was life.DeliveryState
}

// settled notes what came of telling the source about ds: err, as a call of
// the source returns it.
func (h *inFlight) noteSettled(ds []*delivery, err error) (out outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.stats.Trouble++
	}
	for i, d := range ds {
		d.calling = false
		if h.closed { // and counted
			continue
		}
		e := errorOf(err, i)
		if e == nil {
			h.handleEvent(d, life.SourceHasHeard, life.DeliveryFacts{})
			h.all.remove(d)
			continue
		}
		d.attempts++
		switch {
		case errors.Is(e, ErrGone), d.attempts >= maxAttempts:
			out.lost = append(out.lost, lostDelivery{d, d.life.State()})
			h.handleEvent(d, life.SourceGivenUp, life.DeliveryFacts{})
			h.all.remove(d)
		case d.life.State() == life.DeliveryBurying && errors.Is(e, errors.ErrUnsupported):
			d.delay, d.attempts = h.opts.Retry.Max, 0
			out.unplaced++
			h.handleEvent(d, life.SourceHasNoPlace, life.DeliveryFacts{})
		default:
			out.again++
			h.handleEvent(d, life.SourceHasNotHeard, life.DeliveryFacts{})
		}
	}
	h.room.Broadcast()
	if h.isDrained() {
		h.broadcastAll()
	}
	return out
}

// count puts a delivery that has ended into the account.
func (h *inFlight) countOutcome(d *delivery, effects life.DeliveryEffects) {
	h.stats.InFlight--
	switch {
	case effects.Has(life.DeliveryCountAcked):
		h.stats.Acked++
		if d.stopped {
			h.stats.Drained++
		}
		h.breaker.past.forget(d.m.ID)
	case effects.Has(life.DeliveryCountRetried):
		h.stats.Retried++
	case effects.Has(life.DeliveryCountDead):
		h.stats.DeadLettered++
		h.breaker.past.forget(d.m.ID)
	case effects.Has(life.DeliveryCountDeferred):
		h.stats.Deferred++
	case effects.Has(life.DeliveryCountReturned):
		h.stats.Returned++
	case effects.Has(life.DeliveryCountLost):
		h.stats.Lost++
	}
	if effects.Has(life.DeliveryNoTry) && d.m.Deliveries > 0 {
		h.breaker.past.spare(d.m.ID)
	}
}

// due returns the deliveries whose lease is to be extended by now, or when to
// look again (zero: at nothing) and what may come before that. none: there
// will be none any more.
func (h *inFlight) nextExtensions(now time.Time) (ds []*delivery, at time.Time, change waitable, none bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.isDrained() || h.closed {
		return nil, at, nil, true
	}
	for d := h.all.first; d != nil; d = d.next {
		switch {
		case d.extendAt.IsZero() || d.calling || d.extending:
		case !d.extendAt.After(now):
			d.extending = true
			ds = append(ds, d)
		case at.IsZero() || d.extendAt.Before(at):
			at = d.extendAt
		}
	}
	if len(ds) > 0 {
		return ds, at, nil, false
	}
	return nil, at, h.leases.NextChange(), false
}

// extended notes what came of extending the leases of ds.
func (h *inFlight) noteExtended(ds []*delivery, now time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.stats.Trouble++
	}
	for i, d := range ds {
		d.extending = false
		switch e := errorOf(err, i); {
		case e == nil:
			d.extendAt = now.Add(d.m.Lease / 2)
		case errors.Is(e, ErrGone):
			d.extendAt = time.Time{} // its handler goes on: it may well be the first to end
		default:
			d.extendAt = now.Add(max(d.m.Lease/8, time.Millisecond))
		}
		if !d.life.State().NeedsHandler() {
			h.calls[settlerOf(d.life.State())].Broadcast()
		}
	}
}

// rest returns what is in flight of one kind at the end of the incarnation,
// when calls of the source have returned or been given up: what is acking, burying,
// or returning, which is all else.
func (h *inFlight) takeRest(kind life.DeliveryState) (ds []*delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
	h.settle = [settlers]fifo{}
	for d := h.all.first; d != nil; d = d.next {
		if d.life.State().NeedsHandler() {
			d.delay = 0
			h.handleEvent(d, life.ConsumerEnds, life.DeliveryFacts{})
		}
		if settlerOf(d.life.State()) == settlerOf(kind) {
			ds = append(ds, d)
		}
	}
	return ds
}

// close ends the account of the incarnation: what is still in flight is lost.
func (h *inFlight) closeIncarnation() (lost int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if _, joined := h.breaker.users[h]; joined {
		delete(h.breaker.users, h)
		h.run.registry.removeRun(h.run.c)
	}
	lost = h.all.n
	for d := h.all.first; d != nil; d = d.next {
		h.handleEvent(d, life.ConsumerHasEnded, life.DeliveryFacts{})
	}
	h.all = list{}
	if p := h.breaker.probing; p != nil && h.breaker.last == h {
		h.breaker.probing = nil // its handler was abandoned
	}
	h.breaker.wakeAll()
	return lost
}
