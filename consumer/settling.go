// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"errors"
	"time"
)

// maxAttempts is how often the source is told about one message in vain; it
// is then left to come back by itself.
const maxAttempts = 10

// batch returns the deliveries that settler i is to tell the source about, or
// what to wait for. Neither: there will be none any more.
func (h *hand) batch(i int) ([]*delivery, waitable) {
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
	if h.drained() || h.closed {
		return nil, nil
	}
	return nil, h.calls[i].next()
}

// outcome is what came of telling the source about a batch.
type outcome struct {
	lost     []*delivery // given up
	again    int         // to be told once more
	unplaced int         // dead letters without a place
}

// settled notes what came of telling the source about ds: err, as a call of
// the source returns it.
func (h *hand) settled(ds []*delivery, err error) (out outcome) {
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
			h.count(d)
			h.drop(d)
			continue
		}
		d.attempts++
		switch {
		case errors.Is(e, ErrGone), d.attempts >= maxAttempts:
			h.stats.Lost++
			h.drop(d)
			out.lost = append(out.lost, d)
			continue
		case d.state == burying && errors.Is(e, errors.ErrUnsupported):
			d.state, d.delay, d.attempts = retrying, h.opts.Retry.Max, 0
			out.unplaced++
		default:
			out.again++
		}
		h.settle[settlerOf(d.state)].push(d)
		h.calls[settlerOf(d.state)].ring()
	}
	h.room.ring()
	if h.drained() {
		h.ringAll()
	}
	return out
}

// count puts a settled delivery into the account.
func (h *hand) count(d *delivery) {
	switch d.state {
	case acking:
		h.stats.Acked++
		if d.stopped {
			h.stats.Drained++
		}
		h.breaker.past.forget(d.m.ID)
	case retrying:
		h.stats.Retried++
	case burying:
		h.stats.DeadLettered++
		h.breaker.past.forget(d.m.ID)
	case deferring:
		h.stats.Deferred++
		h.spare(d)
	default:
		h.stats.Returned++
		h.spare(d)
	}
}

// spare notes that the delivery was no try of its message.
func (h *hand) spare(d *delivery) {
	if !d.counted && d.m.Deliveries > 0 {
		h.breaker.past.spare(d.m.ID)
	}
}

// drop takes a delivery out of hand.
func (h *hand) drop(d *delivery) {
	h.all.remove(d)
	h.stats.InHand--
}

// due returns the deliveries whose lease is to be extended by now, or when to
// look again (zero: at nothing) and what may come before that. none: there
// will be none any more.
func (h *hand) due(now time.Time) (ds []*delivery, at time.Time, change waitable, none bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.drained() || h.closed {
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
	return nil, at, h.leases.next(), false
}

// extended notes what came of extending the leases of ds.
func (h *hand) extended(ds []*delivery, now time.Time, err error) {
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
		if !d.state.unfinished() {
			h.calls[settlerOf(d.state)].ring()
		}
	}
}

// rest returns what is in hand of one kind at the end of the incarnation,
// when calls of the source have returned or been given up: acking, burying,
// or returning, which is all else.
func (h *hand) rest(kind state) (ds []*delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
	h.settle = [settlers]fifo{}
	for d := h.all.first; d != nil; d = d.next {
		if d.state.unfinished() {
			d.state, d.delay = returning, 0
		}
		if settlerOf(d.state) == settlerOf(kind) {
			ds = append(ds, d)
		}
	}
	return ds
}

// close ends the account of the incarnation: what is still in hand is lost.
func (h *hand) close() (lost int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	delete(h.breaker.hands, h)
	lost = h.all.n
	h.stats.Lost += int64(lost)
	h.stats.InHand -= int64(lost)
	h.all = list{}
	if p := h.breaker.probing; p != nil && h.breaker.last == h {
		h.breaker.probing = nil // its handler was abandoned
	}
	h.breaker.wakeAll()
	return lost
}
