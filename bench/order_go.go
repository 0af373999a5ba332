// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"sync"
)

// goShop is the order flow as one would write it in plain Go: a goroutine for
// each order, and one for what it does beside; a mutex for each state.
type goShop struct {
	mu        sync.Mutex
	accounts  map[int]*goAccount
	inventory goInventory
	gateway   orderGateway
}

type goAccount struct {
	mu      sync.Mutex
	balance int
	carried map[int]*goOrder
	oldest  []int
}

// goOrder is one that is carried out, once; done is closed when it has been.
type goOrder struct {
	done    chan struct{}
	receipt receipt
	err     error
}

type goInventory struct {
	mu    sync.Mutex
	stock [orderItems]int
}

func newGoShop(g orderGateway) *goShop {
	return &goShop{accounts: map[int]*goAccount{}, gateway: g}
}

type goResult struct {
	receipt receipt
	err     error
}

func (s *goShop) place(ctx context.Context, o placeOrder) chan goResult {
	c := make(chan goResult, 1)
	go func() {
		r, err := s.carryOut(ctx, o)
		c <- goResult{r, err}
	}()
	return c
}

func (s *goShop) wait(_ context.Context, c chan goResult) (receipt, error) {
	r := <-c
	return r.receipt, r.err
}

func (s *goShop) account(key int) *goAccount {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[key]
	if a == nil {
		a = &goAccount{carried: map[int]*goOrder{}}
		s.accounts[key] = a
	}
	return a
}

func (s *goShop) carryOut(ctx context.Context, o placeOrder) (receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	a := s.account(o.account)
	a.mu.Lock()
	e := a.carried[o.id]
	known := e != nil
	if !known {
		e = &goOrder{done: make(chan struct{})}
		a.carried[o.id] = e
		a.oldest = append(a.oldest, o.id)
		if len(a.oldest) > ordersKept {
			delete(a.carried, a.oldest[0])
			a.oldest = a.oldest[1:]
		}
	}
	a.mu.Unlock()
	if known {
		select {
		case <-e.done:
			return e.receipt, e.err
		case <-ctx.Done():
			return receipt{}, context.Cause(ctx)
		}
	}
	defer close(e.done)
	charged := make(chan error, 1)
	go func() { charged <- s.charge(ctx, o.price) }()
	s.inventory.reserve(o.item)
	if e.err = <-charged; e.err == nil {
		a.mu.Lock()
		a.balance -= o.price
		a.mu.Unlock()
		e.receipt = receipt{o.id, o.n}
	}
	return e.receipt, e.err
}

func (s *goShop) charge(ctx context.Context, price int) error {
	if _, ok := ctx.Value(requestID{}).(int); !ok {
		return errNoRequestID
	}
	answer := make(chan int, 1)
	s.gateway.charge(price, func(price int) { answer <- price })
	select {
	case <-answer:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var errNoRequestID = errors.New("the context has no request id")

func (i *goInventory) reserve(item int) {
	i.mu.Lock()
	i.stock[item]--
	i.mu.Unlock()
}
