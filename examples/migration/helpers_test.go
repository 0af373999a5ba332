// SPDX-License-Identifier: Apache-2.0

package migration_test

import (
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/examples/migration"
	"github.com/protoloop/protoloop/examples/migration/after"
	"github.com/protoloop/protoloop/examples/migration/before"
	"github.com/protoloop/protoloop/internal/testtools"
)

// step is a step of the migration: a way to make the shop.
type step struct {
	name string
	make func(root *actor.RootContext, c migration.Config) *actor.PID
}

func steps() []step { return []step{plain(), dropIn(), rewritten()} }

func plain() step {
	return step{"before", func(root *actor.RootContext, c migration.Config) *actor.PID {
		return before.New(root, c)
	}}
}

func dropIn() step {
	return step{"before on an EventLoop", func(root *actor.RootContext, c migration.Config) *actor.PID {
		return before.New(root, c, actors.EventLoop(actors.Options{}))
	}}
}

func rewritten() step { return step{"after", after.New} }

// everywhere runs a test of what holds at each step.
func everywhere(t *testing.T, o outside, test func(w *world)) {
	t.Helper()
	for _, s := range steps() {
		t.Run(s.name, func(t *testing.T) { s.run(t, o, test) })
	}
}

// run runs a test in a bubble of virtual time.
func (s step) run(t *testing.T, o outside, test func(w *world)) {
	t.Helper()
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		w := &world{T: t, sys: sys, root: sys.Root}
		w.bankTakes.Store(int64(o.bankTakes))
		w.jams.Store(o.jams)
		w.bank = w.root.Spawn(actor.PropsFromFunc(w.actAsBank))
		w.ledgerTakes.Store(int64(o.ledgerTakes))
		ledger := w.root.Spawn(actor.PropsFromFunc(w.actAsLedger))
		w.shop = s.make(w.root, migration.Config{Ledger: ledger, Bank: w.bank, Print: w.print})
		test(w)
	})
}

// outside is how the world around the shop behaves.
type outside struct {
	bankTakes   time.Duration // to answer
	ledgerTakes time.Duration // to answer for the first time
	jams        int64         // how often the printer jams
}

// world is a shop with the world around it.
type world struct {
	*testing.T
	sys        *actor.ActorSystem
	root       *actor.RootContext
	shop, bank *actor.PID

	bankTakes, ledgerTakes atomic.Int64 // in nanoseconds
	debits, jams           atomic.Int64
	labels                 atomic.Int64 // that were printed
}

// actAsBank answers each debit after a while, without keeping others waiting.
func (w *world) actAsBank(c actor.Context) {
	m, ok := c.Message().(*migration.Debit)
	if !ok {
		return
	}
	asker := c.Sender()
	time.AfterFunc(max(time.Duration(w.bankTakes.Load()), 1), func() {
		if m.Card == "stolen" {
			w.root.Send(asker, &migration.Declined{Reason: "stolen"})
			return
		}
		w.debits.Add(1)
		w.root.Send(asker, &migration.Debited{})
	})
}

func (w *world) actAsLedger(c actor.Context) {
	if _, ok := c.Message().(*migration.TakeStock); ok {
		asker := c.Sender()
		time.AfterFunc(max(time.Duration(w.ledgerTakes.Swap(0)), 1), func() {
			w.root.Send(asker, &migration.Stocktaking{Items: map[string]migration.Goods{
				"tea": {Quantity: 10, Price: 4}, "pot": {Quantity: 1, Price: 30},
			}})
		})
	}
}

func (w *world) print(string) error {
	if w.jams.Add(-1) >= 0 {
		return errors.New("paper jam")
	}
	w.labels.Add(1)
	return nil
}

// send asks the shop, as customers do who know nothing of protoloop.
func (w *world) send(m any) *actor.Future { return w.root.RequestFuture(w.shop, m, time.Minute) }

// want fails the test unless the shop's answer to m is like this one.
func (w *world) want(m, answer any) {
	w.Helper()
	w.wantOf(w.send(m), answer)
}

func (w *world) wantOf(f *actor.Future, answer any) {
	w.Helper()
	got, err := f.Result()
	if err != nil || !reflect.DeepEqual(got, answer) {
		w.Errorf("got %+v, %v; want %+v", got, err, answer)
	}
}

// wantFailed fails the test unless the answer is a Failed.
func (w *world) wantFailed(f *actor.Future, id string) {
	w.Helper()
	got, err := f.Result()
	if failed, ok := got.(*migration.Failed); err != nil || !ok || failed.ID != id {
		w.Errorf("got %+v, %v; want a Failed of %s", got, err, id)
	}
}

// ordered places an order of one packet of tea that has to succeed.
func (w *world) ordered(id string) {
	w.Helper()
	w.want(&migration.PlaceOrder{ID: id, Item: "tea", Quantity: 1}, &migration.Quote{ID: id, Price: 4})
}

// wantParts fails the test unless the shop has n descendants.
func (w *world) wantParts(n int) {
	w.Helper()
	if parts := testtools.RegisteredIDs(w.sys, w.shop.Id+"/"); len(parts) != n {
		w.Errorf("the shop's parts are %q; want %d", parts, n)
	}
}
