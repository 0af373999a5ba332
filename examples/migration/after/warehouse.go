// SPDX-License-Identifier: Apache-2.0

package after

import (
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/examples/migration"
)

// warehouse knows what there is and what is kept for whom.
type warehouse struct {
	ledger   *actor.PID
	items    map[string]migration.Goods
	reserved map[string]reservation // by order
}

// reservation is what is kept for an order.
type reservation struct {
	item     string
	quantity int
}

func newWarehouse(ledger *actor.PID) actor.Producer {
	return func() actor.Actor {
		return &warehouse{ledger: ledger, reserved: map[string]reservation{}}
	}
}

// takeStock asks the ledger until it answers.
func (w *warehouse) takeStock(t *actors.Task) {
	for w.items == nil && t.Context().Err() == nil {
		stock, err := actors.Ask[*migration.Stocktaking](t, w.ledger, &migration.TakeStock{}, actors.Timeout(migration.LedgerTimeout))
		if err != nil {
			t.Logger().Warn("the ledger does not answer", slog.Any("error", err))
			continue
		}
		w.items = stock.Items
	}
}

// Receive handles a message.
func (w *warehouse) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started: // other messages wait until this one is done with
		w.takeStock(actors.TaskOf(c))
	case *migration.Reserve:
		goods, ok := w.items[m.Item]
		if !ok || goods.Quantity < m.Quantity {
			c.Respond(&migration.Failed{ID: m.ID, Reason: "out of stock"})
			return
		}
		w.add(m.Item, -m.Quantity)
		w.reserved[m.ID] = reservation{m.Item, m.Quantity}
		c.Respond(&migration.Reserved{Price: goods.Price * m.Quantity})
	case *migration.Release:
		r := w.reserved[m.ID]
		w.add(r.item, r.quantity)
		delete(w.reserved, m.ID)
	case *migration.Take:
		delete(w.reserved, m.ID)
	case *migration.GetStock:
		stock := &migration.Stock{Free: w.items[m.Item].Quantity}
		for _, r := range w.reserved {
			if r.item == m.Item {
				stock.Reserved += r.quantity
			}
		}
		c.Respond(stock)
	}
}

func (w *warehouse) add(item string, n int) {
	goods := w.items[item]
	goods.Quantity += n
	w.items[item] = goods
}
