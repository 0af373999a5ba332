// SPDX-License-Identifier: Apache-2.0

// Command zishang is the app that is measured on zishang520's Go server of the
// Socket.IO protocol. It is a module of its own, because only the measurement
// needs that server.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/zishang520/socket.io/servers/socket/v3"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "zishang:", err)
		os.Exit(1)
	}
}

func serve() error {
	io := socket.NewServer(nil, nil)
	if err := io.On("connection", func(clients ...any) { listenTo(io, clients[0].(*socket.Socket)) }); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io.ServeHandler(nil))
	return (&http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}).Serve(l)
}

func listenTo(io *socket.Server, client *socket.Socket) {
	// On fails for names of the server's own events only.
	_ = client.On("echo", func(args ...any) {
		last := len(args) - 1
		args[last].(socket.Ack)(args[:last], nil)
	})
	_ = client.On("broadcast", func(args ...any) { io.Emit("news", args...) })
}
