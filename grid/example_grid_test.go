// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
)

// Deposit is what an account can be asked: it takes an amount and answers with the balance.
var Deposit actors.Method[*wrapperspb.Int64Value, *wrapperspb.Int64Value]

// account is the setup of the worker of one account. It may load the balance from a store.
func account(w *actors.Worker, id string) error {
	balance := int64(0) // of this account; only this worker's tasks touch it
	Deposit.Handle(w, func(t *actors.Task, amount *wrapperspb.Int64Value) (*wrapperspb.Int64Value, error) {
		if balance+amount.Value < 0 {
			return nil, fmt.Errorf("account %s has only %d", id, balance)
		}
		balance += amount.Value
		return wrapperspb.Int64(balance), nil
	})
	return nil
}

func Example() {
	ctx := context.Background()
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}))
	g, err := grid.Start(ctx, system, grid.Options{Kinds: []grid.Kind{{
		Name:    "account",
		Setup:   account,
		Accepts: []grid.Message{grid.MessageOf[*wrapperspb.Int64Value]()},
		Idle:    5 * time.Minute,
	}}})
	if err != nil {
		log.Fatal(err)
	}

	ada := g.PID("account", "ada") // nothing is started yet
	balance, err := Deposit.Call(ctx, system.Root, ada, wrapperspb.Int64(100))
	fmt.Println(balance.GetValue(), err)
	_, err = Deposit.Call(ctx, system.Root, ada, wrapperspb.Int64(-200))
	fmt.Println(err)

	report, err := g.Drain(ctx) // stops all, and accounts for all
	fmt.Println(report, err)
	_, err = Deposit.Call(ctx, system.Root, ada, wrapperspb.Int64(1))
	fmt.Println(errors.Is(err, actors.ErrStopping))
	// Output:
	// 100 <nil>
	// account ada has only 100
	// account: 1 stopped, 2 offered: 1 finished, 1 failed <nil>
	// true
}
