// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// What the actors of the order flow ask each other, here and in
// order_worker.go.
type (
	reserveItem  struct{ item int }
	itemReserved struct{}
	chargePrice  struct{ price int }
	priceCharged struct{}
)

// engineShop is the order flow in plain Proto.Actor: a parent of the accounts
// that forwards, and accounts that go on by ReenterAfter when both answers are
// there. A caller's context can end its waiting only.
type engineShop struct {
	e    *env
	shop *actor.PID
}

func newEngineShop(e *env, g orderGateway) *engineShop {
	inventory := e.sys.Root.Spawn(actor.PropsFromFunc(engineInventory()))
	payment := e.sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if m, ok := c.Message().(chargePrice); ok {
			asker, root := c.Sender(), e.sys.Root
			g.charge(m.price, func(int) { root.Send(asker, priceCharged{}) })
		}
	}))
	accounts := map[int]*actor.PID{}
	shop := e.sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		m, ok := c.Message().(placeOrder)
		if !ok {
			return
		}
		pid := accounts[m.account]
		if pid == nil {
			pid = c.Spawn(actor.PropsFromProducer(func() actor.Actor {
				return &engineAccount{inventory: inventory, payment: payment, carried: map[int]*engineOrder{}}
			}))
			accounts[m.account] = pid
		}
		c.Forward(pid)
	}))
	for _, pid := range []*actor.PID{inventory, payment, shop} {
		e.onClose(func() error { return e.sys.Root.StopFuture(pid).Wait() })
	}
	return &engineShop{e, shop}
}

func (s *engineShop) place(_ context.Context, o placeOrder) *actor.Future {
	return s.e.sys.Root.RequestFuture(s.shop, o, orderTimeout)
}

func (s *engineShop) wait(_ context.Context, f *actor.Future) (receipt, error) {
	v, err := f.Result()
	if err != nil {
		return receipt{}, err
	}
	if err, ok := v.(error); ok {
		return receipt{}, err
	}
	return v.(receipt), nil
}

func engineInventory() actor.ReceiveFunc {
	var stock [orderItems]int
	return func(c actor.Context) {
		if m, ok := c.Message().(reserveItem); ok {
			stock[m.item]--
			c.Respond(itemReserved{})
		}
	}
}

type engineAccount struct {
	inventory, payment *actor.PID
	balance            int
	carried            map[int]*engineOrder
	oldest             []int
}

// engineOrder is one that is carried out, once.
type engineOrder struct {
	answers int // of two
	receipt receipt
	err     error
	askers  []*actor.PID
}

func (a *engineAccount) Receive(c actor.Context) {
	o, ok := c.Message().(placeOrder)
	if !ok {
		return
	}
	e := a.carried[o.id]
	if e != nil {
		if e.answers == 2 {
			c.Respond(e.answer())
			return
		}
		e.askers = append(e.askers, c.Sender())
		return
	}
	e = &engineOrder{askers: []*actor.PID{c.Sender()}}
	a.carried[o.id] = e
	a.oldest = append(a.oldest, o.id)
	if len(a.oldest) > ordersKept {
		delete(a.carried, a.oldest[0])
		a.oldest = a.oldest[1:]
	}
	heard := func(_ any, err error) {
		if err != nil {
			e.err = fmt.Errorf("order %d: %w", o.id, err)
		}
		if e.answers++; e.answers < 2 {
			return
		}
		if e.err == nil {
			a.balance -= o.price
			e.receipt = receipt{o.id, o.n}
		}
		for _, asker := range e.askers {
			c.Send(asker, e.answer())
		}
		e.askers = nil
	}
	c.ReenterAfter(c.RequestFuture(a.inventory, reserveItem{o.item}, orderTimeout), heard)
	c.ReenterAfter(c.RequestFuture(a.payment, chargePrice{o.price}, orderTimeout), heard)
}

func (e *engineOrder) answer() any {
	if e.err != nil {
		return e.err
	}
	return e.receipt
}
