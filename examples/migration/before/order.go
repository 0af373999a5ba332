// SPDX-License-Identifier: Apache-2.0

package before

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/examples/migration"
)

// order is one order on its way: new, being reserved, unconfirmed, being paid.
// The actor ends with it.
type order struct {
	behavior                     actor.Behavior
	id                           string
	price                        int
	reserved                     bool // the warehouse keeps goods for it
	warehouse, payments, packing *actor.PID
}

func newOrder(id string, warehouse, payments, packing *actor.PID) actor.Producer {
	return func() actor.Actor {
		o := &order{id: id, warehouse: warehouse, payments: payments, packing: packing}
		o.behavior = actor.NewBehavior()
		o.behavior.Become(o.fresh)
		return o
	}
}

// Receive handles a message.
func (o *order) Receive(c actor.Context) {
	switch c.Message().(type) {
	case *actor.Started:
		c.SetReceiveTimeout(migration.ConfirmWithin)
	case *actor.ReceiveTimeout: // nobody has confirmed it
		c.Stop(c.Self())
	case *actor.Stopping:
		if o.reserved {
			c.Send(o.warehouse, &migration.Release{ID: o.id})
		}
	default:
		o.behavior.Receive(c)
	}
}

// fresh is the behavior of an order that nothing is kept for.
func (o *order) fresh(c actor.Context) {
	m, ok := c.Message().(*migration.PlaceOrder)
	if !ok {
		return
	}
	o.behavior.Become(o.busy("it is being reserved"))
	reserve := &migration.Reserve{ID: o.id, Item: m.Item, Quantity: m.Quantity}
	asked := c.RequestFuture(o.warehouse, reserve, migration.StepTimeout)
	c.ReenterAfter(asked, func(res any, err error) {
		switch res := res.(type) {
		case *migration.Reserved:
			o.reserved, o.price = true, res.Price
			o.behavior.Become(o.unconfirmed)
			c.Respond(&migration.Quote{ID: o.id, Price: o.price})
		case *migration.Failed:
			c.Respond(res)
			c.Stop(c.Self())
		default:
			c.Respond(&migration.Failed{ID: o.id, Reason: "the warehouse does not answer"})
			c.Stop(c.Self())
		}
	})
}

// unconfirmed is the behavior of an order that goods are kept for.
func (o *order) unconfirmed(c actor.Context) {
	m, ok := c.Message().(*migration.Confirm)
	if !ok {
		return
	}
	o.behavior.Become(o.busy("it is being paid"))
	charge := &migration.Charge{ID: o.id, Card: m.Card, Amount: o.price}
	asked := c.RequestFuture(o.payments, charge, migration.StepTimeout)
	c.ReenterAfter(asked, func(res any, err error) {
		switch res := res.(type) {
		case *migration.Charged:
			o.reserved = false
			c.Send(o.warehouse, &migration.Take{ID: o.id})
			c.Send(o.packing, &migration.Pack{ID: o.id})
			c.Respond(&migration.Receipt{ID: o.id, Paid: o.price})
			c.Stop(c.Self())
		case *migration.Failed: // another card may do
			o.behavior.Become(o.unconfirmed)
			c.Respond(res)
		default:
			o.behavior.Become(o.unconfirmed)
			c.Respond(&migration.Failed{ID: o.id, Reason: "the payment takes too long"})
		}
	})
}

// busy is the behavior while another actor works on the order.
func (o *order) busy(why string) actor.ReceiveFunc {
	return func(c actor.Context) {
		if _, ok := c.Message().(*migration.Confirm); ok {
			c.Respond(&migration.Failed{ID: o.id, Reason: why})
		}
	}
}
