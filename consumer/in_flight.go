// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"errors"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/condition"
	"github.com/protoloop/protoloop/internal/life"
)

// inFlight tracks the messages of one incarnation, from their receipt until the
// source knows what became of them.
//
// It has a lock, unlike other state of a worker: offloaded calls of the source
// write to it, because what they return is dropped when their task has been
// ended, and a handler that was abandoned may return at any time.
type inFlight struct {
	run     *run
	worker  *actor.PID
	names   *taskNames
	recent  *recent     // the Consumer's
	mu      *sync.Mutex // the Consumer's: one lock, so that its account is exact
	stats   *Stats
	opts    *Options
	breaker *breaker // the Consumer's
	// streams: the source is a Streamer.
	streams bool

	all        list
	unfinished int // of those, how many need the handler yet
	running    int
	ready      fifo            // waiting, with nothing of their order before them
	orders     map[string]fifo // waiting behind the one of their key that is ready, running or pausing
	pauses     fifo            // pausing, with nobody to wait for them yet
	settle     [settlers]fifo  // by what the source is to be told
	coming     int             // asked for by calls of Receive that are under way

	takers   int  // tasks that may yet take messages: pollers, and who drains the source
	stopping bool // nothing more is asked for, nothing more begins
	closed   bool // the incarnation is over
	// quiescing: the breaker has opened, and what has not begun is yet to go back.
	quiescing bool

	room, work, leases, came, breaks condition.Condition // for pollers, dispatcher, extender, who drains the source, who sees to the breaker
	calls                            [settlers]condition.Condition
}

// What the source can be told, by a settler each: one that is slow does not
// hold up the others.
const (
	acks = iota
	nacks
	burials
	settlers
)

func settlerOf(s life.DeliveryState) int {
	switch s {
	case life.DeliveryAcking:
		return acks
	case life.DeliveryBurying:
		return burials
	}
	return nacks
}

// fifo is deliveries that wait for something. It is a slice because some of them are
// also gone through, and taken out of the middle.
type fifo []*delivery

func (f *fifo) push(d *delivery) { *f = append(*f, d) }

func (f *fifo) pop() *delivery {
	d := (*f)[0]
	(*f)[0] = nil
	*f = (*f)[1:]
	if len(*f) == 0 {
		*f = nil
	}
	return d
}

// waitable is what a task waits for.
type waitable = *actors.Future[actors.None]

// backlog is how many messages the source may yet have to be told about
// before no more are received, if Concurrency and Prefetch allow no more.
const backlog = 128

// reserve returns how many messages to ask the source for, at most most, or
// what to wait for before asking again. Neither: no more are wanted.
func (h *inFlight) reserveReceive(most int) (int, waitable) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping {
		return 0, nil
	}
	limit := h.mostInFlight()
	n := min(most, limit-h.unfinished-h.coming)
	if h.breaker.isOpen() {
		if n = min(n, 1); h.quiescing || h.coming > 0 || h.untried() {
			n = 0
		}
	}
	switch {
	case n <= 0, h.all.n-h.unfinished >= max(limit, backlog):
		return 0, h.room.NextChange()
	case !h.streams && !h.breaker.isOpen() && len(h.ready) > 0 && n < min(most, limit)/2: // not one by one as long as there is work
		return 0, h.room.NextChange()
	}
	h.coming += n
	return n, nil
}

// take adds what a call of Receive has returned, for which reserved was
// reserved, or of Drain, for which nothing was. failed: with an error.
func (h *inFlight) addReceived(ds []*delivery, reserved int, failed bool) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !failed || len(ds) > 0 {
		h.recent.noteReceived(ds, now)
	}
	if reserved > 0 {
		h.coming -= reserved
		h.stats.Polls++
		h.came.Broadcast()
	}
	h.stats.Received += int64(len(ds))
	if h.closed { // its Receive was waited for in vain
		h.stats.Lost += int64(len(ds))
		return
	}
	h.stats.InFlight += int64(len(ds))
	for _, d := range ds {
		d.stopped = h.stopping
		h.all.push(d)
		h.unfinished++
		if d.err != nil {
			h.stats.Failures++
			d.tried = h.tried(d)
			h.handleEvent(d, life.DeliveryUnorderable, life.DeliveryFacts{})
			continue
		}
		h.queueDelivery(d)
	}
	h.work.Broadcast()
	h.leases.Broadcast()
}

// receiving returns what to wait for as long as calls of Receive are under way.
func (h *inFlight) awaitReceives() waitable {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.coming == 0 {
		return nil
	}
	return h.came.NextChange()
}

// enqueue puts a delivery where it waits for its handler.
func (h *inFlight) queueDelivery(d *delivery) {
	if d.order == "" {
		h.ready.push(d)
		return
	}
	if behind, busy := h.orders[d.order]; busy {
		behind.push(d)
		h.orders[d.order] = behind
		return
	}
	if h.orders == nil {
		h.orders = map[string]fifo{}
	}
	h.orders[d.order] = nil
	h.ready.push(d)
}

// begin returns the next delivery whose handler is to run, or which is to
// pause, or what to wait for, and at most until when (zero: for ever). None:
// nothing will begin any more.
func (h *inFlight) beginNext(now time.Time) (run, pause *delivery, at time.Time, change waitable) {
	h.mu.Lock()
	defer h.mu.Unlock()
	open := h.breaker.isOpen()
	switch {
	case h.stopping:
		return nil, nil, at, nil
	case len(h.pauses) > 0:
		return nil, h.pauses.pop(), at, nil
	case len(h.ready) == 0 || h.running >= h.opts.Concurrency || h.quiescing:
		return nil, nil, at, h.work.NextChange()
	case open:
		if at = h.breaker.nextProbe(h, h.untried()); now.Before(at) {
			return nil, nil, at, h.work.NextChange()
		}
		run = h.takeProbe()
	default:
		run = h.ready.pop()
	}
	if len(h.ready) == 0 || open {
		h.room.Broadcast()
	}
	h.handleEvent(run, life.DeliveryHasBegun, life.DeliveryFacts{})
	h.breaker.began(h, run, now)
	h.running++
	h.stats.Running++
	return run, nil, at, nil
}

// unbegin takes back a begin whose handler has not been called.
func (h *inFlight) undoBegin(d *delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stats.Running--
	h.breaker.ended(d)
	if d.life.State() == life.DeliveryRunning {
		h.handleEvent(d, life.DeliveryNotCalled, life.DeliveryFacts{})
		h.running--
	}
}

// verdict is what becomes of a delivery after a run of its handler.
type verdict struct {
	next    life.DeliveryState
	delay   time.Duration
	try     int
	over    bool // the incarnation is: somebody else has told it
	excused bool // it failed, and that was not the message's failure
	probe   bool
	opens   bool // that has opened the breaker, or it has closed it
	closes  bool
}

// finish decides what becomes of d after a run of its handler, which has returned
// err. cut: it was cut off by a stop or restart.
func (h *inFlight) finishRun(d *delivery, err error, cut bool, now time.Time) (v verdict) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.breaker
	v.probe, v.try = b.ended(d), h.tried(d)
	if h.stats.Running--; err != nil && !cut {
		h.stats.Failures++
	}
	if h.closed || d.life.State() != life.DeliveryRunning {
		b.wakeAll()
		v.over = true
		return v
	}
	h.running--
	d.err = err
	event, facts := life.HandlerSucceeded, life.DeliveryFacts{Ordered: d.order != "", Stopping: h.stopping}
	switch {
	case err == nil:
		v.closes = b.handlerSucceeded(v.probe, now)
	case cut:
		event = life.HandlerCutOff
	case errors.Is(err, ErrPoison):
		event = life.HandlerFoundPoison
		if v.probe { // it says nothing
			b.probedPoison(now)
		}
	default:
		v.excused, v.opens = b.handlerFailed(d, err, v.probe, now)
		if v.excused {
			event = life.HandlerExcused
			facts.Open, facts.Keepable = b.isOpen(), h.mayKeep(d)
			h.stats.Excused++
			d.runs++
		} else {
			event = life.HandlerFailed
			facts.LastTry = h.opts.MaxTries > 0 && v.try >= h.opts.MaxTries
		}
	}
	h.handleEvent(d, event, facts)
	v.next = d.life.State()
	switch {
	case v.excused:
		v.delay = h.delayExcused(d, facts)
	case event == life.HandlerFailed:
		v.delay = h.delayFailed(d, facts, v.try)
	}
	d.delay, d.tried = v.delay, v.try
	h.work.Broadcast()
	h.room.Broadcast()
	if v.probe {
		b.wakeAll()
	}
	return v
}

// delayFailed is how long a delivery waits that has failed for the try-th time.
func (h *inFlight) delayFailed(d *delivery, facts life.DeliveryFacts, try int) time.Duration {
	switch d.life.State() {
	case life.DeliveryPausing:
		d.tries++
	case life.DeliveryRetrying:
		if facts.Ordered { // those behind it have gone back without a delay, so it must not come after them
			return 0
		}
	default:
		return 0
	}
	return h.opts.Retry.Wait(try)
}

// handleEvent is what happens to a delivery: the only way in which its state changes.
func (h *inFlight) handleEvent(d *delivery, e life.DeliveryEvent, f life.DeliveryFacts) {
	effects := d.life.On(e, f)
	if effects.Has(life.DeliveryQueue) {
		h.ready.push(d)
	}
	if effects.Has(life.DeliveryPause) {
		h.pauses.push(d)
	}
	if effects.Has(life.DeliveryRelease) {
		h.unfinished--
	}
	if effects.Has(life.DeliveryTell) {
		i := settlerOf(d.life.State())
		h.settle[i].push(d)
		h.calls[i].Broadcast()
	}
	if effects.Has(life.DeliveryRelease) && d.order != "" {
		h.releaseOrder(d.order)
	}
	if effects.Has(life.DeliveryCounts) {
		h.countOutcome(d, effects)
	}
}

// releaseOrder lets the next one of an order have its turn.
func (h *inFlight) releaseOrder(key string) {
	if behind := h.orders[key]; len(behind) > 0 {
		h.ready.push(behind.pop())
		h.orders[key] = behind
		return
	}
	delete(h.orders, key)
}

// again lets a delivery that has paused wait for its handler, ahead of those
// of its order.
func (h *inFlight) resumePaused(d *delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.handleEvent(d, life.DeliveryPauseOver, life.DeliveryFacts{})
	h.work.Broadcast()
}

// stop is the stop event: nothing begins any more.
func (h *inFlight) beginStop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping {
		return
	}
	h.stopping = true
	for d := h.all.first; d != nil; d = d.next {
		d.stopped = true
	}
	h.broadcastAll()
}

// giveBack lets all that has not begun be given back, in its order.
func (h *inFlight) returnUnbegun() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ready, h.pauses, h.orders = nil, nil, nil
	for d := h.all.first; d != nil; d = d.next {
		if s := d.life.State(); s == life.DeliveryWaiting || s == life.DeliveryPausing {
			d.delay, d.order = 0, ""
			h.handleEvent(d, life.ConsumerStops, life.DeliveryFacts{})
		}
	}
}

func (h *inFlight) broadcastAll() {
	h.room.Broadcast()
	h.work.Broadcast()
	h.leases.Broadcast()
	h.breaks.Broadcast()
	for i := range h.calls {
		h.calls[i].Broadcast()
	}
}

// drained reports whether nothing is left to do. The lock is held.
func (h *inFlight) isDrained() bool { return h.stopping && h.takers == 0 && h.all.n == 0 }

// takerEnded notes that one of the takers has ended.
func (h *inFlight) takerEnded() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.takers--
	if h.isDrained() {
		h.broadcastAll()
	}
}
