// SPDX-License-Identifier: Apache-2.0

// Package after is the shop on protoloop.
package after

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/examples/migration"
)

// New spawns a shop.
func New(root *actor.RootContext, c migration.Config) *actor.PID {
	strategy := actor.WithSupervisor(actor.NewOneForOneStrategy(10, 10*time.Second, restart))
	return root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &shop{config: c, orders: map[string]*actor.PID{}}
	}, loop(), strategy))
}

// loop gives an actor the event-loop mailbox.
func loop() actor.PropsOption { return actors.EventLoop(actors.Options{}) }

// restart is what is done about a part of the shop that has failed.
func restart(any) actor.Directive { return actor.RestartDirective }

// shop is the parent of all other actors, and hands customers' messages on.
type shop struct {
	config                       migration.Config
	warehouse, payments, packing *actor.PID
	orders                       map[string]*actor.PID
	shipped                      []string
}

// Receive handles a message.
func (s *shop) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		s.warehouse = c.Spawn(actor.PropsFromProducer(newWarehouse(s.config.Ledger), loop()))
		s.payments = c.Spawn(actor.PropsFromProducer(newPayments(s.config.Bank), loop()))
		s.packing = c.Spawn(actor.PropsFromProducer(newPacking(s.config.Print), loop()))
	case *migration.PlaceOrder:
		s.place(c, m)
	case *migration.Confirm:
		if order, ok := s.orders[m.ID]; ok {
			c.Forward(order)
		} else {
			c.Respond(&migration.Failed{ID: m.ID, Reason: "no such order"})
		}
	case *migration.GetStock:
		c.Forward(s.warehouse)
	case *migration.GetOrders:
		c.Respond(&migration.Orders{
			Open:    slices.Sorted(maps.Keys(s.orders)),
			Shipped: slices.Clone(s.shipped),
		})
	case *migration.Shipped:
		s.shipped = append(s.shipped, m.ID)
	case *actor.Terminated:
		maps.DeleteFunc(s.orders, func(_ string, order *actor.PID) bool { return order.Equal(m.Who) })
	}
}

// place makes an actor for a new order.
func (s *shop) place(c actor.Context, m *migration.PlaceOrder) {
	if _, ok := s.orders[m.ID]; ok {
		c.Respond(&migration.Failed{ID: m.ID, Reason: "there is such an order"})
		return
	}
	order := c.Spawn(actors.Props(newOrder(m.ID, s.warehouse, s.payments, s.packing)))
	s.orders[m.ID] = order
	c.Forward(order)
}
