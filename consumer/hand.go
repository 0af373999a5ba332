package consumer

import (
	"sync"
	"time"

	"github.com/protoloop/protoloop/actors"
)

// hand tracks the messages of one incarnation, from their receipt until the
// source knows what became of them.
//
// It has a lock, unlike other state of a worker: offloaded calls of the source
// write to it, because what they return is dropped when their task has been
// ended, and a handler that was abandoned may return at any time.
type hand struct {
	mu    *sync.Mutex // the Consumer's: one lock, so that its account is exact
	stats *Stats
	opts  *Options
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

	room, work, leases, came bell // for pollers, dispatcher, extender, who drains the source
	calls                    [settlers]bell
}

// What the source can be told, by a settler each: one that is slow does not
// hold up the others.
const (
	acks = iota
	nacks
	burials
	settlers
)

func settlerOf(s state) int {
	switch s {
	case acking:
		return acks
	case burying:
		return burials
	}
	return nacks
}

// fifo is deliveries that wait for something.
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

// bell lets tasks wait for a change. It is rung with the hand's lock held.
type bell struct{ waiting []*actors.Promise[struct{}] }

func (b *bell) next() *actors.Future[struct{}] {
	p := actors.NewPromise[struct{}]()
	b.waiting = append(b.waiting, p)
	return p.Future()
}

func (b *bell) ring() {
	for i, p := range b.waiting {
		p.Resolve(struct{}{})
		b.waiting[i] = nil
	}
	b.waiting = b.waiting[:0]
}

// backlog is how many messages the source may yet have to be told about
// before no more are received, if Concurrency and Prefetch allow no more.
const backlog = 128

// reserve returns how many messages to ask the source for, at most most, or
// what to wait for before asking again. Neither: no more are wanted.
func (h *hand) reserve(most int) (int, *actors.Future[struct{}]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping {
		return 0, nil
	}
	limit := h.opts.Concurrency + h.opts.Prefetch
	n := min(most, limit-h.unfinished-h.coming)
	switch {
	case n <= 0, h.all.n-h.unfinished >= max(limit, backlog):
		return 0, h.room.next()
	case !h.streams && len(h.ready) > 0 && n < min(most, limit)/2: // not one by one as long as there is work
		return 0, h.room.next()
	}
	h.coming += n
	return n, nil
}

// take adds what a call of Receive has returned, for which reserved was
// reserved, or of Drain, for which nothing was.
func (h *hand) take(ds []*delivery, reserved int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if reserved > 0 {
		h.coming -= reserved
		h.stats.Polls++
		h.came.ring()
	}
	h.stats.Received += int64(len(ds))
	if h.closed { // its Receive was waited for in vain
		h.stats.Lost += int64(len(ds))
		return
	}
	h.stats.InHand += int64(len(ds))
	for _, d := range ds {
		d.stopped = h.stopping
		h.all.push(d)
		h.unfinished++
		if d.err != nil {
			h.stats.Failures++
			h.finished(d, burying)
			continue
		}
		h.enqueue(d)
	}
	h.work.ring()
	h.leases.ring()
}

// receiving returns what to wait for as long as calls of Receive are under way.
func (h *hand) receiving() *actors.Future[struct{}] {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.coming == 0 {
		return nil
	}
	return h.came.next()
}

// enqueue puts a delivery where it waits for its handler.
func (h *hand) enqueue(d *delivery) {
	d.state = waiting
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
// pause, or what to wait for. None: nothing will begin any more.
func (h *hand) begin() (run, pause *delivery, change *actors.Future[struct{}]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.stopping:
		return nil, nil, nil
	case len(h.pauses) > 0:
		return nil, h.pauses.pop(), nil
	case len(h.ready) == 0 || h.running >= h.opts.Concurrency:
		return nil, nil, h.work.next()
	}
	d := h.ready.pop()
	if len(h.ready) == 0 {
		h.room.ring()
	}
	d.state = running
	h.running++
	h.stats.Running++
	return d, nil, nil
}

// unbegin takes back a begin whose handler has not been called.
func (h *hand) unbegin(d *delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stats.Running--
	if d.state == running {
		d.state = waiting
		h.running--
	}
}

// finish notes how the run of a handler has ended: d is to be told as next
// says. false: the incarnation is over, and somebody else has told it.
func (h *hand) finish(d *delivery, next state, err error, delay time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stats.Running--
	if next == retrying || next == burying || next == pausing {
		h.stats.Failures++
	}
	if h.closed || d.state != running {
		return false
	}
	h.running--
	d.err, d.delay = err, delay
	if next == pausing {
		d.tries++
		if !h.stopping {
			d.state = pausing
			h.pauses.push(d)
			h.work.ring()
			return true
		}
		// Those behind it have gone back without a delay, so it must not come
		// after them.
		next, d.delay = retrying, 0
	}
	h.finished(d, next)
	h.work.ring()
	h.room.ring()
	return true
}

// finished takes a delivery from those that need the handler.
func (h *hand) finished(d *delivery, next state) {
	d.state = next
	h.unfinished--
	h.settle[settlerOf(next)].push(d)
	h.calls[settlerOf(next)].ring()
	if d.order == "" {
		return
	}
	if behind := h.orders[d.order]; len(behind) > 0 {
		h.ready.push(behind.pop())
		h.orders[d.order] = behind
		return
	}
	delete(h.orders, d.order)
}

// again lets a delivery that has paused wait for its handler, ahead of those
// of its order.
func (h *hand) again(d *delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.state != pausing || h.closed {
		return
	}
	d.state = waiting
	h.ready.push(d)
	h.work.ring()
}

// stop is the stop event: nothing begins any more.
func (h *hand) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping {
		return
	}
	h.stopping = true
	for d := h.all.first; d != nil; d = d.next {
		d.stopped = true
	}
	h.ringAll()
}

// giveBack lets all that has not begun be given back, in its order.
func (h *hand) giveBack() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ready, h.pauses, h.orders = nil, nil, nil
	for d := h.all.first; d != nil; d = d.next {
		if d.state == waiting || d.state == pausing {
			d.delay, d.order = 0, ""
			h.finished(d, returning)
		}
	}
}

func (h *hand) ringAll() {
	h.room.ring()
	h.work.ring()
	h.leases.ring()
	for i := range h.calls {
		h.calls[i].ring()
	}
}

// drained reports whether nothing is left to do. The lock is held.
func (h *hand) drained() bool { return h.stopping && h.takers == 0 && h.all.n == 0 }

// takerEnded notes that one of the takers has ended.
func (h *hand) takerEnded() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.takers--
	if h.drained() {
		h.ringAll()
	}
}
