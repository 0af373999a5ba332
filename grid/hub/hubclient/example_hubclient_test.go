// SPDX-License-Identifier: Apache-2.0

package hubclient_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
)

var Deposit actors.Method[*wrapperspb.Int64Value, *wrapperspb.Int64Value]

// account is the setup of the worker of one account.
func account(w *actors.Worker, id string) error {
	balance := int64(0)
	Deposit.Handle(w, func(t *actors.Task, amount *wrapperspb.Int64Value) (*wrapperspb.Int64Value, error) {
		balance += amount.Value
		return wrapperspb.Int64(balance), nil
	})
	return nil
}

// A hub for development, without certificates, and one node.
func Example() {
	ctx := context.Background()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	dir, err := os.MkdirTemp("", "hub")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	h, err := hub.Start(ctx, hub.Options{Cluster: "shop", Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Shutdown()
	if err := node(ctx, h.Addr()); err != nil {
		log.Fatal(err)
	}
	// Output: 100
}

func node(ctx context.Context, addr string) error {
	hubs, err := hubclient.Dial(ctx, hubclient.Options{Cluster: "shop", Hubs: []string{addr}, Node: "a"})
	if err != nil {
		return err
	}
	defer hubs.Close()
	system := actor.NewActorSystem()
	defer system.Shutdown()
	g, err := grid.Start(ctx, system, grid.Options{
		Node: hubs.Node(), Store: hubs.Store(), Net: hubs.Net(),
		Kinds: []grid.Kind{{Name: "account", Setup: account, Accepts: []grid.Message{grid.MessageOf[*wrapperspb.Int64Value]()}}},
	})
	if err != nil {
		return err
	}
	balance, err := Deposit.Call(ctx, system.Root, g.PID("account", "ada"), wrapperspb.Int64(100))
	if err != nil {
		return err
	}
	fmt.Println(balance.Value)
	_, err = g.Drain(ctx)
	return err
}
