// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
)

// app is the app that is measured.
func app(system *actor.ActorSystem) (*socketio.Server, error) {
	// The generator is one address, and a burst of it.
	io, err := socketio.NewServer(system, socketio.Options{HandshakesPerIP: -1})
	if err != nil {
		return nil, err
	}
	socketio.OnAck(io, "echo", func(_ *actors.Task, _ *socketio.Socket, v json.RawMessage) (json.RawMessage, error) { return v, nil })
	socketio.On(io, "broadcast", func(_ *actors.Task, _ *socketio.Socket, v json.RawMessage) error { return io.Emit("news", v) })
	return io, nil
}

// serve runs our server until the process is ended.
func serve() error {
	quiet := slog.New(slog.DiscardHandler)
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
	io, err := app(system)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	return (&http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}).Serve(l)
}
