// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// The order cases are one realistic flow, several times: accounts that are made
// when their first order comes; an order asks the inventory and the payment at
// once, and the payment waits for a gateway outside of the program; each order
// has a timeout and its caller's context; an order that comes twice is carried
// out once. order_go.go has it in plain goroutines with mutexes, order_engine.go
// in plain Proto.Actor, order_worker.go with workers. order_bare.go and order_least.go have the least
// of it, without and with the promises that workers keep.
const (
	orderAccounts = 2000
	orderItems    = 100
	// ordersInFlight is how many orders are placed before the first is waited
	// for.
	ordersInFlight = 1000
	// Every tenth order is placed twice.
	ordersPerDouble = 10
	// ordersKept is how many receipts an account keeps, for orders that come
	// again.
	ordersKept = 64
)

// orderTimeout is what each order is given. Tests have none that a slow machine could reach.
var orderTimeout = 5 * time.Second

// placeOrder is what a client sends. The receipt's n is the order's.
type (
	placeOrder struct {
		id, account, item, price int
		n                        int
	}
	receipt struct{ id, n int }
)

// requestID is the key of the context value that each order's context carries
// to the gateway.
type requestID struct{}

// shop is one way to carry orders out. P is a placed order that is waited for.
type shop[P any] interface {
	place(ctx context.Context, o placeOrder) P
	wait(ctx context.Context, p P) (receipt, error)
}

// orderGateway answers a charge after the delay, on a goroutine of its own.
type orderGateway struct{ delay time.Duration }

func (g orderGateway) charge(price int, answer func(price int)) {
	if g.delay == 0 {
		go answer(price)
		return
	}
	time.AfterFunc(g.delay, func() { answer(price) })
}

// orderLoad is how many accounts the orders are for, and how many of them have
// the numbers 0, 1, … batch-1.
type orderLoad struct{ accounts, batch int }

func orderCases() (cases []*benchCase) {
	load := orderLoad{orderAccounts, ordersInFlight}
	for _, delay := range []time.Duration{0, 5 * time.Millisecond} {
		for _, c := range []struct {
			name, label string
			open        func(*env, orderGateway) (run, error)
		}{
			{"go", "goroutines and mutexes", func(e *env, g orderGateway) (run, error) { return orders(e, newGoShop(g), load), nil }},
			{"engine", "Proto.Actor", func(e *env, g orderGateway) (run, error) { return orders(e, newEngineShop(e, g), load), nil }},
			{"bare", "queues, coroutines and futures alone", func(e *env, g orderGateway) (run, error) { return orders(e, newBareShop(e, g), load), nil }},
			{"least", "… that keep a worker's promises", func(e *env, g orderGateway) (run, error) { return orders(e, newLeastShop(e, g), load), nil }},
			{"worker", "workers", func(e *env, g orderGateway) (run, error) {
				s, err := newWorkerShop(e, g)
				return orders(e, s, load), err
			}},
		} {
			cases = append(cases, &benchCase{
				fmt.Sprintf("order/%s-%v", c.name, delay),
				fmt.Sprintf("%s, gateway answers in %v", c.label, delay),
				ordersInFlight,
				func(e *env) (run, error) { return c.open(e, orderGateway{delay}) },
			})
		}
	}
	return cases
}

// orderMemoryCases are about what is left when all orders have been carried
// out: the accounts with their receipts.
func orderMemoryCases() []*memoryCase {
	const title = "live heap per order that was carried out, receipts kept"
	kept := func(open func(*env, orderLoad) (run, error)) func(*env, int) (func() (int, error), error) {
		return func(e *env, n int) (func() (int, error), error) {
			place, err := open(e, orderLoad{orderAccounts, n})
			if err != nil {
				return nil, err
			}
			sum, err := place(n)
			e.latencies = nil
			return func() (int, error) {
				runtime.KeepAlive(place) // and so the accounts, until the memory has been taken
				return sum, nil
			}, err
		}
	}
	return []*memoryCase{
		{name: "order/kept-go", label: "goroutines and mutexes: what was computed once", n: many, group: title, heap: true,
			begin: kept(func(e *env, load orderLoad) (run, error) { return orders(e, newGoShop(orderGateway{}), load), nil })},
		{name: "order/kept-worker", label: "workers: futures", n: many, group: title, heap: true,
			begin: kept(func(e *env, load orderLoad) (run, error) {
				s, err := newWorkerShop(e, orderGateway{})
				return orders(e, s, load), err
			})},
	}
}

func orderRules() []rule {
	return []rule{
		{of: "order/worker-0s", against: "order/engine-0s", as: "Proto.Actor", figure: ofCPU},
		{of: "order/worker-0s", against: "order/bare-0s", as: "bare order", figure: ofCPU},
		{of: "order/bare-0s", against: "order/engine-0s", as: "Proto.Actor", figure: ofCPU},
		{of: "order/worker-0s", against: "order/least-0s", as: "least order", figure: ofCPU},
		{of: "order/least-0s", against: "order/engine-0s", as: "Proto.Actor", figure: ofCPU},
		{of: "order/worker-0s", against: "order/go-0s", as: "goroutines", figure: ofCPU, limit: 3, aim: 2},
		{of: "order/worker-0s", figure: allocs, limit: 24},
		{of: "order/worker-0s", against: "order/engine-0s", as: "Proto.Actor", figure: p99},
		{of: "order/worker-5ms", against: "order/engine-5ms", as: "Proto.Actor", figure: ofCPU},
		{of: "order/worker-5ms", against: "order/least-5ms", as: "least order", figure: ofCPU},
		{of: "order/least-5ms", against: "order/engine-5ms", as: "Proto.Actor", figure: ofCPU},
		{of: "order/worker-5ms", against: "order/go-5ms", as: "goroutines", figure: ofCPU},
		{of: "order/kept-worker", against: "order/kept-go", as: "goroutines", figure: memory, limit: 1.1},
	}
}

// orders places orders, of which ordersInFlight are on their way at a time, and
// takes how long each took. The numbers of a whole batch are 0, 1, ….
func orders[P any](e *env, s shop[P], load orderLoad) run {
	type placed struct {
		order  placeOrder
		ctx    context.Context
		cancel context.CancelFunc
		first  P
		again  P
		double bool
		since  time.Time
	}
	id := 0
	window := make([]placed, ordersInFlight)
	settle := func(p *placed) (int, error) {
		defer p.cancel()
		r, err := s.wait(p.ctx, p.first)
		if err != nil {
			return 0, fmt.Errorf("order %d: %w", p.order.id, err)
		}
		e.latencies = append(e.latencies, time.Since(p.since))
		if p.double {
			if again, err := s.wait(p.ctx, p.again); err != nil || again != r {
				return 0, fmt.Errorf("order %d: %+v, and %+v, %v when it came again", p.order.id, r, again, err)
			}
		}
		if r.id != p.order.id {
			return 0, fmt.Errorf("order %d has the receipt of %d", p.order.id, r.id)
		}
		return r.n, nil
	}
	return func(n int) (sum int, err error) {
		e.latencies = make([]time.Duration, 0, n)
		for i := range n + len(window) {
			p := &window[i%len(window)]
			if i >= len(window) {
				v, err := settle(p)
				if err != nil {
					return 0, err
				}
				sum += v
			}
			if i >= n {
				continue
			}
			id++
			*p = placed{
				order:  placeOrder{id: id, account: id * 7919 % load.accounts, item: id % orderItems, price: 1 + id%50, n: i % load.batch},
				double: id%ordersPerDouble == 0,
				since:  time.Now(),
			}
			p.ctx, p.cancel = context.WithCancel(context.WithValue(e.ctx, requestID{}, id))
			p.first = s.place(p.ctx, p.order)
			if p.double {
				p.again = s.place(p.ctx, p.order)
			}
		}
		return sum, nil
	}
}
