// SPDX-License-Identifier: Apache-2.0

// Package migration is a shop made of actors, written twice: in before for
// plain Proto.Actor, in after with protoloop. This package has what both
// have in common: the messages, which are the same, and what the shop needs
// of the world outside. README.md tells the way from one to the other.
package migration

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Config is what a shop is given.
type Config struct {
	// Ledger answers TakeStock with *Stocktaking.
	Ledger *actor.PID
	// Bank answers *Debit with *Debited or *Declined. The same order is
	// debited once, however often it is asked.
	Bank *actor.PID
	// Print prints the label of an order. It fails when the printer jams.
	Print func(order string) error
}

const (
	// ConfirmWithin is how long goods are kept for an order that its customer
	// does not confirm.
	ConfirmWithin = 10 * time.Minute
	// LedgerTimeout is how long the warehouse waits for the ledger before it
	// asks again.
	LedgerTimeout = 5 * time.Second
	// BankTimeout is how long a try to debit a card may take.
	BankTimeout = 2 * time.Second
	// BankTries is how often a debit is tried.
	BankTries = 2
	// BankRest is how long the bank is left alone after BankFailures debits
	// in a row that failed in all tries.
	BankRest = 30 * time.Second
	// BankFailures is how many debits in a row have to fail for that.
	BankFailures = 3
	// StepTimeout is how long an order waits for a part of the shop.
	StepTimeout = 30 * time.Second
)

// What customers send to the shop. Each is answered as it says, or by
// *Failed.
type (
	// PlaceOrder reserves goods; the answer is a *Quote.
	PlaceOrder struct {
		ID, Item string
		Quantity int
	}
	// Quote is the price of an order that is to be confirmed.
	Quote struct {
		ID    string
		Price int
	}
	// Confirm pays an order and has it sent; the answer is a *Receipt.
	Confirm struct{ ID, Card string }
	// Receipt is the answer to a paid order.
	Receipt struct {
		ID   string
		Paid int
	}
	// Failed is the answer when there is no other.
	Failed struct{ ID, Reason string }
	// GetStock asks for a *Stock.
	GetStock struct{ Item string }
	// Stock is what the warehouse has of an item.
	Stock struct{ Free, Reserved int }
	// GetOrders asks for *Orders.
	GetOrders struct{}
	// Orders lists the orders that are open, in order of their names, and
	// those that have been sent, in that order.
	Orders struct{ Open, Shipped []string }
)

// What the actors of the shop send to each other.
type (
	// Reserve keeps goods for an order; the answer is *Reserved or *Failed.
	Reserve struct {
		ID, Item string
		Quantity int
	}
	// Reserved is the answer to Reserve.
	Reserved struct{ Price int }
	// Release gives back what is kept for an order.
	Release struct{ ID string }
	// Take takes what is kept for an order out of the warehouse.
	Take struct{ ID string }
	// Charge has an order paid; the answer is *Charged or *Failed.
	Charge struct {
		ID, Card string
		Amount   int
	}
	// Charged is the answer to Charge.
	Charged struct{}
	// Pack has an order packed.
	Pack struct{ ID string }
	// Shipped tells the shop that an order has been sent.
	Shipped struct{ ID string }
)

// What the shop sends to the world outside.
type (
	// TakeStock asks the ledger for a *Stocktaking.
	TakeStock struct{}
	// Stocktaking is what there is of each item.
	Stocktaking struct{ Items map[string]Goods }
	// Goods is what there is of one item.
	Goods struct{ Quantity, Price int }
	// Debit asks the bank for money; the answer is *Debited or *Declined.
	Debit struct {
		Order, Card string
		Amount      int
	}
	// Debited is the answer of a bank that has paid.
	Debited struct{}
	// Declined is the answer of a bank that does not pay.
	Declined struct{ Reason string }
)
