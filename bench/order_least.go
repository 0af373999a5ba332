// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strconv"
)

// leastShop is the order flow of order_worker.go with the workers of least.go.
type leastShop struct {
	sys  *leastSystem
	shop *leastPID
}

func newLeastShop(e *env, g orderGateway) *leastShop {
	sys := newLeastSystem(e)
	inventory := sys.spawn("inventory", leastInventory)
	payment := sys.spawn("payment", func(l *leastLoop) {
		leastHandle(l, func(t *leastTask, m chargePrice) (priceCharged, error) {
			if _, ok := t.context().Value(requestID{}).(int); !ok {
				return priceCharged{}, errNoRequestID
			}
			answer := &leastFuture[int]{}
			g.charge(m.price, func(price int) { answer.complete(price, nil) })
			_, err := leastAwait(t, answer)
			return priceCharged{}, err
		})
	})
	shop := sys.spawn("shop", func(l *leastLoop) {
		accounts := map[int]*leastPID{}
		account := leastAccount(inventory, payment)
		leastOn(l, func(t *leastTask, o placeOrder) {
			pid := accounts[o.account]
			if pid == nil {
				pid = sys.spawn("shop/"+strconv.Itoa(o.account), account)
				accounts[o.account] = pid
			}
			t.forward(pid)
		})
	})
	return &leastShop{sys, shop}
}

func (s *leastShop) place(ctx context.Context, o placeOrder) *leastFuture[receipt] {
	return leastAskWithin[receipt](s.sys, ctx, orderTimeout, s.shop, o)
}

func (s *leastShop) wait(ctx context.Context, f *leastFuture[receipt]) (receipt, error) {
	return f.wait(ctx)
}

func leastInventory(l *leastLoop) {
	var stock [orderItems]int
	leastHandle(l, func(_ *leastTask, m reserveItem) (itemReserved, error) {
		stock[m.item]--
		return itemReserved{}, nil
	})
}

func leastAccount(inventory, payment *leastPID) func(*leastLoop) {
	return func(l *leastLoop) {
		sys := l.sys
		balance := 0
		carried := map[int]*leastFuture[receipt]{}
		var oldest []int
		leastHandle(l, func(t *leastTask, o placeOrder) (receipt, error) {
			f := carried[o.id]
			if f == nil {
				f = leastStart(t, func(t *leastTask) (receipt, error) {
					charged := leastAsk[priceCharged](sys, t, payment, chargePrice{o.price})
					if _, err := leastAwait(t, leastAsk[itemReserved](sys, t, inventory, reserveItem{o.item})); err != nil {
						return receipt{}, err
					}
					if _, err := leastAwait(t, charged); err != nil {
						return receipt{}, err
					}
					balance -= o.price
					return receipt{o.id, o.n}, nil
				})
				carried[o.id] = f
				if oldest = append(oldest, o.id); len(oldest) > ordersKept {
					delete(carried, oldest[0])
					oldest = oldest[1:]
				}
			}
			return leastAwait(t, f)
		})
	}
}

// leastEcho is a worker that answers at once.
func leastEcho(l *leastLoop) {
	leastHandle(l, func(_ *leastTask, q question) (answer, error) { return answer(q), nil })
}

// leastRequestSequential is requestSequential with these.
func leastRequestSequential(e *env) (run, error) {
	sys := newLeastSystem(e)
	pid := sys.spawn("worker", leastEcho)
	return oneByOne(func(i int) (int, error) {
		v, err := leastAsk[answer](sys, nil, pid, question{i}).wait(e.ctx)
		return v.n, err
	}), nil
}

// leastAwaitBurst is awaitBurst with these.
func leastAwaitBurst(e *env) (run, error) {
	sys := newLeastSystem(e)
	back := sys.spawn("back", leastEcho)
	front := sys.spawn("front", func(l *leastLoop) {
		leastHandle(l, func(t *leastTask, q question) (answer, error) {
			return leastAwait(t, leastAsk[answer](sys, t, back, q))
		})
	})
	futures := make([]*leastFuture[answer], burst)
	return func(n int) (sum int, err error) {
		for range n / burst {
			for i := range futures {
				futures[i] = leastAsk[answer](sys, nil, front, question{i})
			}
			for _, f := range futures {
				v, err := f.wait(e.ctx)
				if err != nil {
					return 0, err
				}
				sum += v.n
			}
		}
		return sum, nil
	}, nil
}
