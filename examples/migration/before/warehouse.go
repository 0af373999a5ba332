// SPDX-License-Identifier: Apache-2.0

package before

import (
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/examples/migration"
)

// warehouse knows what there is and what is kept for whom. It begins closed,
// until the ledger has told what there is.
type warehouse struct {
	behavior actor.Behavior
	ledger   *actor.PID
	waiting  []*actor.MessageEnvelope // what came while it was closed
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
		w := &warehouse{ledger: ledger, behavior: actor.NewBehavior(), reserved: map[string]reservation{}}
		w.behavior.Become(w.closed)
		return w
	}
}

// Receive handles a message.
func (w *warehouse) Receive(c actor.Context) { w.behavior.Receive(c) }

// closed is the behavior until the stock is known.
func (w *warehouse) closed(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		w.takeStock(c)
	case *migration.Reserve, *migration.Release, *migration.Take, *migration.GetStock:
		// Not c.Stash: it forgets the sender, and replays after a restart only.
		w.waiting = append(w.waiting, &actor.MessageEnvelope{Message: m, Sender: c.Sender()})
	}
}

// takeStock asks the ledger until it answers.
func (w *warehouse) takeStock(c actor.Context) {
	asked := c.RequestFuture(w.ledger, &migration.TakeStock{}, migration.LedgerTimeout)
	c.ReenterAfter(asked, func(res any, err error) {
		stock, ok := res.(*migration.Stocktaking)
		if err != nil || !ok {
			c.Logger().Warn("the ledger does not answer", slog.Any("error", err))
			w.takeStock(c)
			return
		}
		w.items = stock.Items
		w.behavior.Become(w.open)
		for _, each := range w.waiting {
			c.RequestWithCustomSender(c.Self(), each.Message, each.Sender)
		}
		w.waiting = nil
	})
}

// open is the behavior from then on.
func (w *warehouse) open(c actor.Context) {
	switch m := c.Message().(type) {
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
