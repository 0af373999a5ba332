// SPDX-License-Identifier: Apache-2.0

// Command run begins an incident of docs/observe.md, and serves the console, with actions, on loopback. It ends with
// Ctrl-C.
//
//	go run ./examples/incidents/run deadlock
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/console"
	"github.com/protoloop/protoloop/examples/incidents"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8700", "address of the console; empty: a Unix socket, where the command protoloop finds it")
	flag.Parse()
	begin := incidents.All[flag.Arg(0)]
	if begin == nil || flag.NArg() != 1 {
		log.Fatalf("say which: %s", strings.Join(slices.Sorted(maps.Keys(incidents.All)), ", "))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	// The incidents fail on purpose, again and again: the console says so.
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	c, err := console.New(sys, console.Options{Addr: *addr, Actions: true})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := actors.Spawn(ctx, sys.Root, "console", c.Setup, actors.Options{Kind: "console"}); err != nil {
		log.Fatal(err)
	}
	if _, err := begin(ctx, sys); err != nil {
		log.Fatal(err)
	}
	fmt.Println("The console is at", c.URL())
	<-ctx.Done()
}
