// SPDX-License-Identifier: Apache-2.0

// Command conformance serves what the official protocol test suites of
// Engine.IO (revision 4) and Socket.IO (revision 5) expect of a server under
// test: an echo at /engine.io/, and the app of the Socket.IO suite at
// /socket.io/.
//
//	go run -race ./socketio/internal/conformance -addr 127.0.0.1:3000
//
// The suites are docs/engine.io-protocol/v4-test-suite and
// docs/socket.io-protocol/v5-test-suite of the repository socketio/socket.io.
// In each: npm ci, set URL in test-suite.js to the address, npx mocha
// test-suite.js.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio"
	"github.com/protoloop/protoloop/socketio/internal/engineio"
)

// The values that the suites ask for.
const (
	pingInterval   = 300 * time.Millisecond
	pingTimeout    = 200 * time.Millisecond
	connectTimeout = time.Second
	maxPayload     = 1_000_000
)

func main() {
	addr := flag.String("addr", "127.0.0.1:3000", "address to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr string) error {
	quiet := slog.New(slog.DiscardHandler)
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
	io, err := newSocketIO(system)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	mux.Handle("/engine.io/", newEcho())
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("listening on", l.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	report, _ := io.Stop(grace)
	fmt.Println(report)
	return server.Close()
}

// newSocketIO is the app of the Socket.IO suite.
func newSocketIO(system *actor.ActorSystem) (*socketio.Server, error) {
	io, err := socketio.NewServer(system, socketio.Options{
		PingInterval: pingInterval, PingTimeout: pingTimeout, ConnectTimeout: connectTimeout,
		MaxPayload: maxPayload, HandshakesPerIP: -1,
	})
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"/", "/custom"} {
		io.Of(name).OnConnect(func(_ *actors.Task, s *socketio.Socket) error {
			return s.Emit("auth", s.Handshake().Auth)
		})
		socketio.OnRaw(io, name, "message", func(_ *actors.Task, s *socketio.Socket, args []json.RawMessage, bins [][]byte) error {
			return s.EmitRaw("message-back", args, bins)
		})
		socketio.OnRawAck(io, name, "message-with-ack", func(_ *actors.Task, _ *socketio.Socket, args []json.RawMessage, bins [][]byte) ([]json.RawMessage, [][]byte, error) {
			return args, bins, nil
		})
	}
	return io, nil
}

// echo sends every message back.
type echo struct{ s *engineio.Session }

func (e echo) Text(b []byte) error {
	e.s.Send(engineio.NewMessage(b))
	return nil
}

func (e echo) Binary(b []byte) error {
	e.s.Send(engineio.NewBinaryFrame(b))
	return nil
}

func (e echo) Upgraded() {}

func (e echo) Closed(engineio.Reason) {}

// newEcho is the server of the Engine.IO suite.
func newEcho() http.Handler {
	return engineio.NewServer(engineio.Options{
		PingInterval: pingInterval, PingTimeout: pingTimeout, UpgradeTimeout: 10 * time.Second, CloseTimeout: 30 * time.Second,
		MaxPayload: maxPayload, MaxBuffered: 4 << 20, MaxSessions: 10_000,
		Connect: func(s *engineio.Session, _ *http.Request) engineio.Handler { return echo{s} },
	})
}
