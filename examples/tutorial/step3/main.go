// SPDX-License-Identifier: Apache-2.0

// Command step3 is the third step of docs/tutorial.md: an HTTP handler that
// asks a worker.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"net/http"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	flag.Parse()

	ctx := context.Background()
	root := actor.NewActorSystem().Root
	pricing, err := actors.Spawn(ctx, root, "prices", prices, actors.Options{})
	if err != nil {
		log.Fatal(err)
	}
	worker, err := actors.Spawn(ctx, root, "seats", seats(pricing), actors.Options{})
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("open http://%v", l.Addr())
	log.Fatal(http.Serve(l, web(root, worker)))
}
