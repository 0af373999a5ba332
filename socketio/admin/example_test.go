// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/socketio"
	"github.com/protoloop/protoloop/socketio/admin"
)

func ExampleNew() {
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	defer system.Shutdown()
	io, err := socketio.NewServer(system, socketio.Options{
		AllowedOrigins: []string{"https://admin.socket.io"}, AllowCredentials: true, // where the page is
	})
	if err != nil {
		panic(err)
	}
	password := os.Getenv("ADMIN_PASSWORD")
	if password == "" {
		password = "correct horse battery staple"
	}
	_, err = admin.New(io, admin.Options{
		Authorize: admin.Basic("ann", password, admin.Act),
	})
	fmt.Println(err)
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	server := httptest.NewServer(mux)
	defer server.Close()

	_, err = io.Stop(context.Background())
	fmt.Println(err)
	// Output:
	// <nil>
	// <nil>
}
