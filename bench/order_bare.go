// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
)

// bareShop is the order flow of order_worker.go with the least that it takes: a queue for
// each worker, one coroutine for what awaits, a future for each ask, one timer for all
// deadlines, and the end of an order by its caller's context. It has nothing else of an
// actor: no names and PIDs, no handlers by type, no stop, restart or failure, no account of
// what became of each message, no limit, no search for rings, no watchdog. The shop and the
// inventory await nothing and are plain functions here. No worker can take less time than this.
type bareShop struct {
	sys                      *bareSystem
	shop, inventory, payment *bareLoop
	accounts                 map[int]*bareAccount // the shop's
	stock                    [orderItems]int      // the inventory's
	gateway                  orderGateway
	signal                   chan struct{} // of the client, who waits for one future at a time
}

func newBareShop(e *env, g orderGateway) *bareShop {
	sys := &bareSystem{}
	loop := func() *bareLoop { return &bareLoop{sys: sys} }
	e.onClose(func() error { sys.close(); return nil })
	return &bareShop{
		sys: sys, shop: loop(), inventory: loop(), payment: loop(),
		accounts: map[int]*bareAccount{}, gateway: g, signal: make(chan struct{}, 1),
	}
}

// bareSystem runs loops that have something to do, and has what they share.
type bareSystem struct {
	mu      sync.Mutex
	ready   []*bareLoop
	runners int
	free    []*bareCoroutine
	running sync.WaitGroup // the runners

	deadlines bareDeadlines[*bareOrder]
}

// makeReady gives a loop that was idle to a runner.
func (s *bareSystem) makeReady(l *bareLoop) {
	s.mu.Lock()
	s.ready = append(s.ready, l)
	begin := s.runners < runtime.GOMAXPROCS(0)
	if begin {
		s.runners++
	}
	s.mu.Unlock()
	if begin {
		s.running.Go(s.runLoops)
	}
}

func (s *bareSystem) runLoops() {
	for {
		s.mu.Lock()
		if len(s.ready) == 0 {
			s.runners--
			s.mu.Unlock()
			return
		}
		batch := s.ready
		if len(batch) > 32 {
			batch = batch[:32]
		}
		batch = append([]*bareLoop(nil), batch...)
		s.ready = s.ready[len(batch):]
		s.mu.Unlock()
		for _, l := range batch {
			l.runTurns()
		}
	}
}

func (s *bareSystem) takeCoroutine() *bareCoroutine {
	s.mu.Lock()
	if n := len(s.free); n > 0 {
		c := s.free[n-1]
		s.free = s.free[:n-1]
		s.mu.Unlock()
		return c
	}
	s.mu.Unlock()
	c := &bareCoroutine{}
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		c.yield = yield
		for {
			c.work.turn(c)
			c.work, c.idle = nil, true
			if !yield(struct{}{}) {
				return
			}
		}
	})
	return c
}

func (s *bareSystem) keepCoroutine(c *bareCoroutine) {
	s.mu.Lock()
	s.free = append(s.free, c)
	s.mu.Unlock()
}

func (s *bareSystem) close() {
	s.running.Wait()
	for _, c := range s.free {
		c.stop()
	}
	s.deadlines.stop()
}

// bareLoop runs one turn at a time.
type bareLoop struct {
	sys   *bareSystem
	mu    sync.Mutex
	queue []bareEntry
	spare []bareEntry
	busy  bool
}

// bareEntry is a task that has not begun, or a coroutine that goes on.
type bareEntry struct {
	work bareWork
	co   *bareCoroutine
}

// bareWork is a task. One that does not await gets no coroutine.
type bareWork interface {
	awaits() bool
	turn(c *bareCoroutine)
}

// bareCoroutine runs one task after the other.
type bareCoroutine struct {
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	loop  *bareLoop
	work  bareWork
	idle  bool
}

func (l *bareLoop) post(e bareEntry) {
	l.mu.Lock()
	l.queue = append(l.queue, e)
	wake := !l.busy
	l.busy = true
	l.mu.Unlock()
	if wake {
		l.sys.makeReady(l)
	}
}

func (l *bareLoop) runTurns() {
	for {
		l.mu.Lock()
		batch := l.queue
		if len(batch) == 0 {
			l.busy = false
			l.mu.Unlock()
			return
		}
		l.queue = l.spare
		l.mu.Unlock()
		for _, e := range batch {
			switch {
			case e.co != nil:
				l.resume(e.co)
			case e.work.awaits():
				l.begin(e.work)
			default:
				e.work.turn(nil)
			}
		}
		clear(batch)
		l.spare = batch[:0]
	}
}

// begin runs w up to its first await, on the loop or in a turn.
func (l *bareLoop) begin(w bareWork) {
	c := l.sys.takeCoroutine()
	c.loop, c.work, c.idle = l, w, false
	l.resume(c)
}

func (l *bareLoop) resume(c *bareCoroutine) {
	c.next()
	if c.idle {
		l.sys.keepCoroutine(c)
	}
}

// bareFuture is the answer to one ask.
type bareFuture struct {
	done    atomic.Bool
	mu      sync.Mutex
	receipt receipt
	err     error
	first   *bareCoroutine // that awaits it; most often the only one
	more    []*bareCoroutine
	signal  chan struct{} // of the client's that waits for it
}

func (f *bareFuture) complete(r receipt, err error) bool {
	f.mu.Lock()
	if f.done.Load() {
		f.mu.Unlock()
		return false
	}
	f.receipt, f.err = r, err
	f.done.Store(true)
	first, more, signal := f.first, f.more, f.signal
	f.first, f.more, f.signal = nil, nil, nil
	f.mu.Unlock()
	if first != nil {
		first.loop.post(bareEntry{co: first})
	}
	for _, c := range more {
		c.loop.post(bareEntry{co: c})
	}
	if signal != nil {
		signal <- struct{}{}
	}
	return true
}

// await returns how f has ended, or why the order of the task has.
func (c *bareCoroutine) await(o *bareOrder, f *bareFuture) (receipt, error) {
	c.awaitFuture(f)
	if o.ended.Load() {
		return receipt{}, o.why()
	}
	return f.receipt, f.err
}

func (c *bareCoroutine) awaitFuture(f *bareFuture) {
	if f.done.Load() {
		return
	}
	f.mu.Lock()
	waits := !f.done.Load()
	switch {
	case !waits:
	case f.first == nil:
		f.first = c
	default:
		f.more = append(f.more, c)
	}
	f.mu.Unlock()
	if waits {
		c.yield(struct{}{})
	}
}

// wait waits until f is done, in a goroutine that is sent signal.
func (f *bareFuture) wait(signal chan struct{}) {
	if f.done.Load() {
		return
	}
	f.mu.Lock()
	waits := !f.done.Load()
	if waits {
		f.signal = signal
	}
	f.mu.Unlock()
	if waits {
		<-signal
	}
}

// bareOrder is a request to the shop, which gives it to the account.
type bareOrder struct {
	placeOrder
	shop    *bareShop
	account *bareAccount
	ctx     context.Context
	stop    func() bool
	fut     bareFuture
	ended   atomic.Bool
	charge  *bareCharge  // what it has asked for, if it is the one that is carried out
	reserve *bareReserve // …
}

// end ends the order, and what it waits for.
func (o *bareOrder) end(err error) {
	if !o.fut.complete(receipt{}, err) {
		return
	}
	o.ended.Store(true)
	o.shop.shop.post(bareEntry{work: (*bareEnd)(o)})
}

func (o *bareOrder) hasEnded() bool { return o.fut.done.Load() }

func (o *bareOrder) why() error { return o.fut.err }

// bareEnd has the account end what its order waits for. It goes by the shop, behind the order.
type bareEnd bareOrder

func (*bareEnd) awaits() bool { return false }
func (o *bareEnd) turn(*bareCoroutine) {
	o.account.loop.post(bareEntry{work: (*bareEndAsks)(o)})
}

// bareEndAsks ends what its order waits for.
type bareEndAsks bareOrder

func (*bareEndAsks) awaits() bool { return false }
func (o *bareEndAsks) turn(*bareCoroutine) {
	if c := o.charge; c != nil {
		c.fut.complete(receipt{}, o.fut.err)
		c.answer.complete(receipt{}, o.fut.err)
	}
	if r := o.reserve; r != nil {
		r.fut.complete(receipt{}, o.fut.err)
	}
}

func (s *bareShop) place(ctx context.Context, p placeOrder) *bareOrder {
	o := &bareOrder{placeOrder: p, shop: s, ctx: ctx}
	o.stop = context.AfterFunc(ctx, func() { o.end(context.Cause(ctx)) })
	s.sys.deadlines.add(o, orderTimeout)
	s.shop.post(bareEntry{work: (*bareForward)(o)})
	return o
}

func (s *bareShop) wait(_ context.Context, o *bareOrder) (receipt, error) {
	o.fut.wait(s.signal)
	return o.fut.receipt, o.fut.err
}

// bareForward is the shop's work on an order.
type bareForward bareOrder

func (*bareForward) awaits() bool { return false }
func (o *bareForward) turn(*bareCoroutine) {
	s := o.shop
	a := s.accounts[o.placeOrder.account]
	if a == nil {
		a = &bareAccount{loop: &bareLoop{sys: s.sys}, carried: map[int]*bareFuture{}}
		s.accounts[o.placeOrder.account] = a
	}
	o.account = a
	a.loop.post(bareEntry{work: (*bareOrder)(o)})
}

// bareAccount is one account.
type bareAccount struct {
	loop    *bareLoop
	balance int
	carried map[int]*bareFuture
	oldest  []int
}

func (*bareOrder) awaits() bool { return true }

// turn is the account's work on an order.
func (o *bareOrder) turn(c *bareCoroutine) {
	a := o.account
	if o.ended.Load() {
		o.stop()
		return
	}
	f := a.carried[o.id]
	if f == nil {
		f = new(bareFuture)
		a.carried[o.id] = f
		a.oldest = append(a.oldest, o.id)
		if len(a.oldest) > ordersKept {
			delete(a.carried, a.oldest[0])
			a.oldest = a.oldest[1:]
		}
		a.loop.begin(&bareCarryOut{o, f})
	}
	r, err := c.await(o, f)
	o.fut.complete(r, err)
	o.stop()
}

// bareCarryOut is the task that the account starts.
type bareCarryOut struct {
	order *bareOrder
	fut   *bareFuture
}

func (*bareCarryOut) awaits() bool { return true }
func (w *bareCarryOut) turn(c *bareCoroutine) {
	o := w.order
	s, a := o.shop, o.account
	o.charge, o.reserve = &bareCharge{order: o}, &bareReserve{shop: s, item: o.item}
	s.payment.post(bareEntry{work: o.charge})
	s.inventory.post(bareEntry{work: o.reserve})
	_, err := c.await(o, &o.reserve.fut)
	if err == nil {
		_, err = c.await(o, &o.charge.fut)
	}
	o.charge, o.reserve = nil, nil
	if err != nil {
		w.fut.complete(receipt{}, err)
		return
	}
	a.balance -= o.price
	w.fut.complete(receipt{o.id, o.n}, nil)
}

// bareCharge asks the payment, which awaits the gateway.
type bareCharge struct {
	order  *bareOrder
	fut    bareFuture
	answer bareFuture
}

func (*bareCharge) awaits() bool { return true }
func (w *bareCharge) turn(c *bareCoroutine) {
	o := w.order
	if _, ok := o.ctx.Value(requestID{}).(int); !ok {
		w.fut.complete(receipt{}, errNoRequestID)
		return
	}
	o.shop.gateway.charge(o.price, func(int) { w.answer.complete(receipt{}, nil) })
	_, err := c.await(o, &w.answer)
	w.fut.complete(receipt{}, err)
}

// bareReserve asks the inventory.
type bareReserve struct {
	shop *bareShop
	item int
	fut  bareFuture
}

func (*bareReserve) awaits() bool { return false }
func (w *bareReserve) turn(*bareCoroutine) {
	w.shop.stock[w.item]--
	w.fut.complete(receipt{}, nil)
}
