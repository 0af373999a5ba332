// SPDX-License-Identifier: Apache-2.0

package after

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/examples/migration"
)

// order is one order on its way. The worker ends with it.
type order struct {
	id                           string
	price                        int
	reserved                     bool // the warehouse keeps goods for it
	warehouse, payments, packing *actor.PID
}

func newOrder(id string, warehouse, payments, packing *actor.PID) func(w *actors.Worker) error {
	return func(w *actors.Worker) error {
		o := &order{id: id, warehouse: warehouse, payments: payments, packing: packing}
		// One step at a time: what comes meanwhile waits.
		actors.Handle(w, o.place, actors.Exclusive())
		actors.Handle(w, o.confirm, actors.Exclusive())
		actors.On(w, o.giveUp)
		w.OnStop(o.end)
		w.SetReceiveTimeout(migration.ConfirmWithin)
		return nil
	}
}

// place reserves the goods.
func (o *order) place(t *actors.Task, m *migration.PlaceOrder) (any, error) {
	reserve := &migration.Reserve{ID: o.id, Item: m.Item, Quantity: m.Quantity}
	res, _ := actors.Ask[any](t, o.warehouse, reserve, actors.Timeout(migration.StepTimeout))
	switch res := res.(type) {
	case *migration.Reserved:
		o.reserved, o.price = true, res.Price
		return &migration.Quote{ID: o.id, Price: o.price}, nil
	case *migration.Failed:
		t.Exit(nil)
		return res, nil
	default:
		t.Exit(nil)
		return &migration.Failed{ID: o.id, Reason: "the warehouse does not answer"}, nil
	}
}

// confirm pays the order and has it packed.
func (o *order) confirm(t *actors.Task, m *migration.Confirm) (any, error) {
	if !o.reserved { // it has been paid meanwhile, or there never was anything
		return &migration.Failed{ID: o.id, Reason: "there is nothing to pay"}, nil
	}
	charge := &migration.Charge{ID: o.id, Card: m.Card, Amount: o.price}
	res, _ := actors.Ask[any](t, o.payments, charge, actors.Timeout(migration.StepTimeout))
	switch res := res.(type) {
	case *migration.Charged:
		o.reserved = false
		t.Send(o.warehouse, &migration.Take{ID: o.id})
		t.Send(o.packing, &migration.Pack{ID: o.id})
		t.Exit(nil)
		return &migration.Receipt{ID: o.id, Paid: o.price}, nil
	case *migration.Failed: // another card may do
		return res, nil
	default:
		return &migration.Failed{ID: o.id, Reason: "the payment takes too long"}, nil
	}
}

// giveUp ends an order that nobody has confirmed.
func (o *order) giveUp(t *actors.Task, _ *actor.ReceiveTimeout) error {
	t.Exit(nil)
	return nil
}

// end gives back what is kept for the order.
func (o *order) end(t *actors.Task) error {
	if o.reserved {
		t.Send(o.warehouse, &migration.Release{ID: o.id})
	}
	return nil
}
