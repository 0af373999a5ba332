// SPDX-License-Identifier: Apache-2.0

// The same tests at each step of the migration: before, the same code on an
// EventLoop, and after.
package migration_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/examples/migration"
)

func TestOrderIsPaidAndShipped(t *testing.T) {
	everywhere(t, outside{}, func(w *world) {
		w.want(&migration.PlaceOrder{ID: "a", Item: "tea", Quantity: 3}, &migration.Quote{ID: "a", Price: 12})
		w.want(&migration.GetStock{Item: "tea"}, &migration.Stock{Free: 7, Reserved: 3})
		w.want(&migration.GetOrders{}, &migration.Orders{Open: []string{"a"}})
		w.want(&migration.Confirm{ID: "a", Card: "visa"}, &migration.Receipt{ID: "a", Paid: 12})
		synctest.Wait()
		w.want(&migration.GetStock{Item: "tea"}, &migration.Stock{Free: 7})
		w.want(&migration.GetOrders{}, &migration.Orders{Shipped: []string{"a"}})
	})
}

func TestOutOfStock(t *testing.T) {
	everywhere(t, outside{}, func(w *world) {
		w.want(&migration.PlaceOrder{ID: "a", Item: "pot", Quantity: 1}, &migration.Quote{ID: "a", Price: 30})
		out := &migration.Failed{ID: "b", Reason: "out of stock"}
		w.want(&migration.PlaceOrder{ID: "b", Item: "pot", Quantity: 1}, out)
		out = &migration.Failed{ID: "c", Reason: "out of stock"}
		w.want(&migration.PlaceOrder{ID: "c", Item: "cup", Quantity: 1}, out)
		synctest.Wait()
		w.want(&migration.GetOrders{}, &migration.Orders{Open: []string{"a"}})
	})
}

func TestSameNameTwice(t *testing.T) {
	everywhere(t, outside{}, func(w *world) {
		w.ordered("a")
		w.wantFailed(w.send(&migration.PlaceOrder{ID: "a", Item: "pot", Quantity: 1}), "a")
		w.want(&migration.GetStock{Item: "pot"}, &migration.Stock{Free: 1})
	})
}

// The last one is so late that the warehouse asks again, and is answered.
func TestOrdersWaitForTheStock(t *testing.T) {
	for _, takes := range []time.Duration{time.Second, migration.LedgerTimeout - 1, migration.LedgerTimeout + 1} {
		everywhere(t, outside{ledgerTakes: takes}, func(w *world) {
			start := time.Now()
			a := w.send(&migration.PlaceOrder{ID: "a", Item: "pot", Quantity: 1})
			synctest.Wait()
			b := w.send(&migration.PlaceOrder{ID: "b", Item: "pot", Quantity: 1})
			w.wantOf(a, &migration.Quote{ID: "a", Price: 30}) // first come, first served
			w.wantOf(b, &migration.Failed{ID: "b", Reason: "out of stock"})
			if took, want := time.Since(start), min(takes, migration.LedgerTimeout+1); took != want {
				w.Errorf("the answer took %v; want %v", took, want)
			}
		})
	}
}

func TestUnconfirmedOrderIsGivenUp(t *testing.T) {
	everywhere(t, outside{}, func(w *world) {
		w.ordered("a")
		time.Sleep(migration.ConfirmWithin - time.Second)
		w.want(&migration.GetStock{Item: "tea"}, &migration.Stock{Free: 9, Reserved: 1})
		time.Sleep(2 * time.Second)
		w.want(&migration.GetStock{Item: "tea"}, &migration.Stock{Free: 10})
		w.want(&migration.Confirm{ID: "a", Card: "visa"}, &migration.Failed{ID: "a", Reason: "no such order"})
	})
}

func TestOrderIsPaidOnce(t *testing.T) {
	everywhere(t, outside{bankTakes: time.Second}, func(w *world) {
		w.ordered("a")
		first := w.send(&migration.Confirm{ID: "a", Card: "visa"})
		synctest.Wait()
		second := w.send(&migration.Confirm{ID: "a", Card: "visa"})
		w.wantOf(first, &migration.Receipt{ID: "a", Paid: 4})
		w.wantFailed(second, "a")
		synctest.Wait()
		if n := w.debits.Load(); n != 1 {
			w.Errorf("%d debits", n)
		}
		w.want(&migration.GetStock{Item: "tea"}, &migration.Stock{Free: 9})
	})
}

func TestAnotherCardMayDo(t *testing.T) {
	everywhere(t, outside{}, func(w *world) {
		w.ordered("a")
		w.want(&migration.Confirm{ID: "a", Card: "stolen"}, &migration.Failed{ID: "a", Reason: "stolen"})
		w.want(&migration.Confirm{ID: "a", Card: "visa"}, &migration.Receipt{ID: "a", Paid: 4})
	})
}

func TestBankIsLeftAlone(t *testing.T) {
	everywhere(t, outside{bankTakes: time.Hour}, func(w *world) {
		w.ordered("a")
		confirm := &migration.Confirm{ID: "a", Card: "visa"}
		for range migration.BankFailures {
			start := time.Now()
			w.want(confirm, &migration.Failed{ID: "a", Reason: "the bank does not answer"})
			if took := time.Since(start); took != migration.BankTries*migration.BankTimeout {
				w.Errorf("took %v", took)
			}
		}
		start := time.Now()
		w.want(confirm, &migration.Failed{ID: "a", Reason: "the bank is left alone"})
		if took := time.Since(start); took != 0 {
			w.Errorf("took %v", took)
		}
		w.bankTakes.Store(0)
		time.Sleep(migration.BankRest + time.Second)
		w.want(confirm, &migration.Receipt{ID: "a", Paid: 4})
	})
}

func TestBankIsGone(t *testing.T) {
	everywhere(t, outside{}, func(w *world) {
		w.ordered("a")
		w.root.Stop(w.bank)
		synctest.Wait()
		start := time.Now()
		w.want(&migration.Confirm{ID: "a", Card: "visa"}, &migration.Failed{ID: "a", Reason: "the bank is gone"})
		if took := time.Since(start); took != 0 {
			w.Errorf("took %v", took)
		}
	})
}

func TestBankGoesMeanwhile(t *testing.T) {
	everywhere(t, outside{bankTakes: time.Hour}, func(w *world) {
		var paid []*actor.Future
		for i := range migration.BankFailures {
			id := fmt.Sprint(i)
			w.ordered(id)
			paid = append(paid, w.send(&migration.Confirm{ID: id, Card: "visa"}))
		}
		synctest.Wait()
		w.root.Stop(w.bank)
		for i, f := range paid {
			w.wantFailed(f, fmt.Sprint(i))
		}
		gone := &migration.Failed{ID: "0", Reason: "the bank is gone"}
		w.want(&migration.Confirm{ID: "0", Card: "visa"}, gone)
		time.Sleep(migration.BankRest + time.Second)
		w.want(&migration.Confirm{ID: "0", Card: "visa"}, gone)
	})
}

func TestJammedLabelIsTriedAgain(t *testing.T) {
	everywhere(t, outside{jams: 3}, func(w *world) {
		for i := range 3 {
			id := fmt.Sprint(i)
			w.ordered(id)
			w.want(&migration.Confirm{ID: id, Card: "visa"}, &migration.Receipt{ID: id, Paid: 4})
		}
		synctest.Wait()
		w.want(&migration.GetOrders{}, &migration.Orders{Shipped: []string{"0", "1", "2"}})
		if n := w.labels.Load(); n != 3 {
			w.Errorf("%d labels", n)
		}
	})
}

func TestShopEndsWithItsParts(t *testing.T) {
	everywhere(t, outside{}, func(w *world) {
		w.ordered("a")
		w.wantParts(4) // warehouse, payments, packing and the order
		if err := w.root.PoisonFuture(w.shop).Wait(); err != nil {
			w.Error(err)
		}
		w.wantParts(0)
	})
}
