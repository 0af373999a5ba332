// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"errors"
	"slices"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/life"
)

// Breaker is when a consumer takes failures for an outage of something that its
// handlers need, such as a database, and what it does then: see point 5 of the
// package documentation. The zero value is usable.
type Breaker struct {
	// Failures is how many failures open the breaker, with hardly a success between
	// them, and none for a second. Those of one message count once, unless they
	// are [Unavailable]; those of messages that have failed before while others
	// succeeded, and of poison, do not count; one success makes up for four. 0: 5;
	// negative: the breaker never opens, but what is Unavailable still counts no
	// try.
	Failures int
	// Probe is the wait before the next probe. The zero value: 1 s, doubled with
	// each probe that fails, at most 30 s, the last half of it random. A probe
	// that has not ended after Max does not hold up the next one.
	Probe actors.Backoff
}

// forgiven is how many failures one success makes up for. With none at all, a few
// handlers that succeed without what has failed, as those of messages that were
// handled before do, would keep the breaker closed. Were it one failure, a queue
// half of whose messages are bad would open it now and then, and hold up the
// others.
const forgiven = 4

// silence is for how long no handler has succeeded when the breaker opens: of
// many messages a second, five that are bad may well come together.
const silence = time.Second

// unkeptWaits is for how many waits between probes a message goes back that has
// failed and cannot be kept: others are to be probed first.
const unkeptWaits = 4

// secondTurn is how much later the worker may probe whose message was the last
// probe, so that the messages of the consumer's other workers have their turn.
const secondTurn = 50 * time.Millisecond

// breaker tracks whether what the handlers need can be had. It is one for all
// workers of a consumer and for their restarts: they have the same handler. The
// consumer's lock guards it.
type breaker struct {
	o     Breaker
	stats *Stats
	users map[*inFlight]struct{} // of the workers that consume

	failing   []string  // IDs of messages, since the last success; those that have opened it
	succeeded time.Time // a handler did, the last time

	outages int       // how often it has opened
	since   time.Time // it is open; zero: it is closed
	cause   error     // of the last failure while it is open

	failed  int           // probes, with the failure that has opened it
	wait    time.Duration // before the next one
	at      time.Time     // when that may begin …
	keptAt  time.Time     // … of a message that is kept, if that is later
	probing *delivery     // the one that has begun last and not ended …
	until   time.Time     // … and how long it holds up the next one
	last    *inFlight     // whose that was

	past past
}

func newBreaker(o Breaker, stats *Stats) *breaker {
	return &breaker{o: o, stats: stats, users: map[*inFlight]struct{}{}}
}

func (b *breaker) isOpen() bool { return !b.since.IsZero() }

// began notes that the handler of d begins.
func (b *breaker) began(h *inFlight, d *delivery, now time.Time) {
	d.outages = b.outages
	if d.probe = b.isOpen(); d.probe {
		b.stats.Probes++
		b.probing, b.until, b.last = d, now.Add(b.o.Probe.Max), h
	}
}

// ended notes that the handler of d has returned, or will not be called.
func (b *breaker) ended(d *delivery) (probe bool) {
	if b.probing == d {
		b.probing = nil
	}
	probe, d.probe = d.probe, false
	return probe
}

// nextProbe is when a worker may begin the next probe. untried: it has a message
// that no handler has had.
func (b *breaker) nextProbe(h *inFlight, untried bool) time.Time {
	at := b.at
	if !untried && b.keptAt.After(at) {
		at = b.keptAt
	}
	if b.probing != nil {
		at = b.until
	}
	if b.last == h && len(b.users) > 1 {
		at = at.Add(secondTurn)
	}
	return at
}

// handlerSucceeded reports whether that closes the breaker. A success does so that
// is no probe's, too: then it had begun before the breaker opened, beside what has
// opened it.
func (b *breaker) handlerSucceeded(probe bool, now time.Time) (closes bool) {
	b.succeeded = now
	closes = b.isOpen()
	switch {
	case !closes:
		b.blame(min(forgiven, len(b.failing)))
		return false
	case !probe:
		b.blame(len(b.failing))
	}
	b.failing, b.since, b.cause, b.probing = nil, time.Time{}, nil, nil
	b.tellAll()
	return true
}

// blame notes of the first n that fail that another one has succeeded after them.
func (b *breaker) blame(n int) {
	for _, id := range b.failing[:n] {
		b.past.blame(id)
	}
	b.failing = b.failing[n:]
}

// probedPoison lets another message be probed at once, if one can be had soon.
func (b *breaker) probedPoison(now time.Time) {
	b.at, b.keptAt = now, now.Add(silence)
}

// handlerFailed takes note of a failure that is no poison. excused: it is not the
// message's. opens: this one has opened the breaker.
func (b *breaker) handlerFailed(d *delivery, err error, probe bool, now time.Time) (excused, opens bool) {
	switch {
	case b.isOpen():
		if b.cause = err; probe {
			b.failed++
			b.schedule(now)
		}
		return true, false
	case d.outages != b.outages: // it began before or in an outage that is over
		return true, false
	}
	unavailable := errors.Is(err, ErrUnavailable)
	if !b.isOutage(d.m.ID, unavailable, now) {
		return unavailable, false
	}
	b.failed = 1
	b.outages++
	b.since, b.cause = now, err
	b.stats.Outages++
	b.schedule(now)
	b.tellAll()
	return true, true
}

// isOutage adds a failure to those since the last success, and reports whether
// they are taken for an outage.
func (b *breaker) isOutage(id string, unavailable bool, now time.Time) bool {
	switch {
	case b.o.Failures < 0:
		return false
	case !unavailable && (b.past.of(id).blamed || slices.Contains(b.failing, id)):
	default:
		b.failing = append(b.failing, id)
	}
	return len(b.failing) >= b.o.Failures && now.Sub(b.succeeded) >= silence
}

// schedule sets when the next probe begins.
func (b *breaker) schedule(now time.Time) {
	b.wait = b.o.Probe.Wait(b.failed)
	b.at = now.Add(b.wait)
	b.keptAt = b.at
}

// tellAll lets all workers see that the breaker has opened or closed.
func (b *breaker) tellAll() {
	for h := range b.users {
		h.quiescing = b.isOpen()
		h.breaks.Broadcast()
	}
	b.wakeAll()
}

// wakeAll lets all workers look for what to do.
func (b *breaker) wakeAll() {
	for h := range b.users {
		h.room.Broadcast()
		h.work.Broadcast()
	}
}

// past tracks what is known about messages beside what their queue tells. It is
// forgotten when they are acked or dead, and of messages that are not heard of
// again: the last maxPast are known, and as many before them.
type past struct{ young, old map[string]record }

const maxPast = 10_000

type record struct {
	// spared are deliveries that were no tries: they ended without a run of the
	// handler, or with one that was not the message's failure. A queue counts them
	// as it counts all, and cannot be told otherwise; so they are taken off here,
	// from what it says the next time.
	spared int
	// blamed: it has failed, and another one succeeded after that.
	blamed bool
}

func (p *past) of(id string) record {
	if r, ok := p.young[id]; ok {
		return r
	}
	return p.old[id]
}

func (p *past) set(id string, r record) {
	if _, known := p.young[id]; !known && len(p.young) >= maxPast {
		p.old, p.young = p.young, nil
	}
	if p.young == nil {
		p.young = map[string]record{}
	}
	p.young[id] = r
}

func (p *past) spare(id string) {
	r := p.of(id)
	r.spared++
	p.set(id, r)
}

func (p *past) blame(id string) {
	r := p.of(id)
	r.blamed = true
	p.set(id, r)
}

func (p *past) forget(id string) {
	delete(p.young, id)
	delete(p.old, id)
}

// The part of inFlight in it.

// tried is how often the message of d has been tried, a run that has just ended
// included.
func (h *inFlight) tried(d *delivery) int {
	return max(max(d.m.Deliveries, 1)+d.tries-h.breaker.past.of(d.m.ID).spared, 1)
}

// mostInFlight is how many messages may be in flight for the handler.
func (h *inFlight) mostInFlight() int {
	most := h.opts.Concurrency + h.opts.Prefetch
	if h.breaker.isOpen() {
		most = max(most, backlog) // those that are kept, and another to be probed
	}
	return most
}

// untried reports whether a message waits that no handler has had.
func (h *inFlight) untried() bool {
	for _, d := range h.ready {
		if !d.life.HasFailed() {
			return true
		}
	}
	return false
}

// takeProbe takes the next message to be probed: one that no handler has had, or
// else the one that has waited longest since it failed.
func (h *inFlight) takeProbe() *delivery {
	for i, d := range h.ready {
		if !d.life.HasFailed() {
			h.ready = append(h.ready[:i:i], h.ready[i+1:]...)
			return d
		}
	}
	return h.ready.pop()
}

// joinBreaker has the worker take part in outages, and be found, until it closes.
func (h *inFlight) joinBreaker() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.breaker.users[h] = struct{}{}
		h.run.registry.addRun(h.run.c)
	}
}

// mayKeep reports whether a delivery whose run has failed for a reason that is not its
// own may wait here until it is probed. Each delivery that it is spared is one less in
// the queue's count, which a redrive policy or another process goes by, and a queue
// gives those first that have come back, so that the others would not have their turn.
// It goes back where the lease cannot be extended, and when there is no room for one
// that has not been probed.
func (h *inFlight) mayKeep(d *delivery) bool { return d.m.Lease > 0 && h.unfinished < h.mostInFlight() }

// delayExcused is how long such a delivery waits.
func (h *inFlight) delayExcused(d *delivery, facts life.DeliveryFacts) time.Duration {
	switch s := d.life.State(); {
	case s == life.DeliveryWaiting, facts.Stopping && facts.Ordered:
		return 0
	case facts.Open:
		return unkeptWaits * h.breaker.wait
	}
	return h.opts.Retry.Wait(max(d.m.Deliveries, 1) + d.tries + d.runs - 1)
}

// outage reports whether the breaker is open, and whether the polling is to be
// ended for that and what has not begun given back, and returns what to wait for.
// ended: it makes no difference any more.
func (h *inFlight) outage() (open, quiesce, ended bool, change waitable, cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.breaker.isOpen(), h.quiescing, h.stopping || h.closed, h.breaks.NextChange(), h.breaker.cause
}

// deferUntried lets all that has not begun be given back, in its order, and ends
// the quiescing.
func (h *inFlight) deferUntried() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.quiescing = false
	defer h.breaker.wakeAll()
	if !h.breaker.isOpen() || h.stopping { // it has closed meanwhile, or all goes back
		return 0
	}
	kept := fifo(nil)
	for _, d := range h.ready {
		if d.life.HasFailed() {
			kept.push(d)
		} else {
			delete(h.orders, d.order)
		}
	}
	for key := range h.orders {
		h.orders[key] = nil
	}
	h.ready = kept
	for d := h.all.first; d != nil; d = d.next {
		if d.life.State() == life.DeliveryWaiting && !d.life.HasFailed() {
			d.delay, d.order = 0, ""
			h.handleEvent(d, life.BreakerHasOpened, life.DeliveryFacts{})
			n++
		}
	}
	return n
}
