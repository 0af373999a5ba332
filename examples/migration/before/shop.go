// SPDX-License-Identifier: Apache-2.0

// Package before is the shop as it was written for plain Proto.Actor.
package before

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/examples/migration"
)

// New spawns a shop. The options are those of all its actors.
func New(root *actor.RootContext, c migration.Config, options ...actor.PropsOption) *actor.PID {
	strategy := actor.WithSupervisor(actor.NewOneForOneStrategy(10, 10*time.Second, restart))
	return root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &shop{config: c, options: options, orders: map[string]*actor.PID{}}
	}, slices.Concat(options, []actor.PropsOption{strategy})...))
}

// restart is what is done about a part of the shop that has failed.
func restart(any) actor.Directive { return actor.RestartDirective }

// shop is the parent of all other actors, and hands customers' messages on.
type shop struct {
	config                       migration.Config
	options                      []actor.PropsOption
	warehouse, payments, packing *actor.PID
	orders                       map[string]*actor.PID
	shipped                      []string
}

// Receive handles a message.
func (s *shop) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		s.warehouse = s.spawn(c, newWarehouse(s.config.Ledger))
		s.payments = s.spawn(c, newPayments(s.config.Bank))
		s.packing = s.spawn(c, newPacking(s.config.Print))
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
	order := s.spawn(c, newOrder(m.ID, s.warehouse, s.payments, s.packing))
	s.orders[m.ID] = order
	c.Forward(order)
}

func (s *shop) spawn(c actor.Context, producer actor.Producer) *actor.PID {
	return c.Spawn(actor.PropsFromProducer(producer, s.options...))
}
