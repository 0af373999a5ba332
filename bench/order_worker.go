// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// workerShop is the order flow with workers: a parent of the accounts that
// forwards, and accounts that await. A caller's context ends its order, unless
// the account has carried it out.
type workerShop struct {
	e    *env
	shop *actor.PID
}

func newWorkerShop(e *env, g orderGateway) (*workerShop, error) {
	inventory, err := e.spawn("inventory", inventoryWorker)
	if err != nil {
		return nil, err
	}
	payment, err := e.spawn("payment", paymentWorker(g))
	if err != nil {
		return nil, err
	}
	shop, err := e.spawn("shop", func(w *actors.Worker) error {
		accounts := map[int]*actor.PID{}
		props := actors.Props(accountWorker(inventory, payment))
		actors.On(w, func(t *actors.Task, o placeOrder) error {
			pid := accounts[o.account]
			if pid == nil {
				pid = t.Spawn(props)
				accounts[o.account] = pid
			}
			t.Forward(pid)
			return nil
		})
		return nil
	})
	return &workerShop{e, shop}, err
}

func (s *workerShop) place(ctx context.Context, o placeOrder) *actors.Future[receipt] {
	return actors.RequestFuture[receipt](s.e.sys.Root, s.shop, o, actors.Timeout(orderTimeout), actors.WithContext(ctx))
}

func (s *workerShop) wait(ctx context.Context, f *actors.Future[receipt]) (receipt, error) {
	return f.Wait(ctx)
}

func inventoryWorker(w *actors.Worker) error {
	var stock [orderItems]int
	actors.Handle(w, func(_ *actors.Task, m reserveItem) (itemReserved, error) {
		stock[m.item]--
		return itemReserved{}, nil
	})
	return nil
}

func paymentWorker(g orderGateway) func(*actors.Worker) error {
	return func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, m chargePrice) (priceCharged, error) {
			if _, ok := t.Context().Value(requestID{}).(int); !ok {
				return priceCharged{}, errNoRequestID
			}
			answer := new(actors.Promise[int])
			g.charge(m.price, func(price int) { answer.Resolve(price) })
			_, err := actors.Await(t, answer.Future())
			return priceCharged{}, err
		})
		return nil
	}
}

func accountWorker(inventory, payment *actor.PID) func(*actors.Worker) error {
	return func(w *actors.Worker) error {
		balance := 0
		carried := map[int]*actors.Future[receipt]{}
		var oldest []int
		actors.Handle(w, func(t *actors.Task, o placeOrder) (receipt, error) {
			f := carried[o.id]
			if f == nil {
				f = actors.Start(t, func(t *actors.Task) (receipt, error) {
					charged := actors.RequestFuture[priceCharged](t, payment, chargePrice{o.price})
					if _, err := actors.Ask[itemReserved](t, inventory, reserveItem{o.item}); err != nil {
						return receipt{}, err
					}
					if _, err := actors.Await(t, charged); err != nil {
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
			return actors.Await(t, f)
		})
		return nil
	}
}
