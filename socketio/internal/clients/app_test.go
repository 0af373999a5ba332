// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/socketio"
)

// app is the app of server.cjs on our server.
type app struct {
	io      *socketio.Server
	mu      sync.Mutex
	reasons []string // with the rooms that the sockets were in
}

// serveOurs starts it and returns its port.
func serveOurs(t *testing.T, recovery bool) string {
	t.Helper()
	o := socketio.Options{PingInterval: 500 * time.Millisecond, PingTimeout: 3 * time.Second}
	if recovery {
		o.Recovery = &socketio.Recovery{}
	}
	io, err := socketio.NewServer(actortest.NewSystem(t), o)
	if err != nil {
		t.Fatal(err)
	}
	a := &app{io: io}
	a.io.Use(func(_ *actors.Task, s *socketio.Socket) error {
		switch auth(s).Token {
		case "bad":
			return &socketio.Error{Message: "not authorized", Data: map[string]any{"code": 7, "retry": false}}
		case "plain":
			return fmt.Errorf("not at all")
		}
		return nil
	})
	a.serve(a.io.Of("/"))
	a.serve(a.io.Of("/admin"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: a.io, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() {
		// Longer than a ping timeout: a client may have ended before its close
		// was sent, and then its session is open until that.
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if report, err := a.io.Stop(ctx); err != nil {
			t.Error("shutdown:", report, err)
		}
		_ = server.Close()
	})
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

type handshakeAuth struct {
	Name  *string `json:"name"`
	Token string  `json:"token"`
}

func auth(s *socketio.Socket) (a handshakeAuth) {
	_ = json.Unmarshal(s.Handshake().Auth, &a)
	return a
}

func (a *app) serve(n *socketio.Namespace) {
	n.OnConnect(func(_ *actors.Task, s *socketio.Socket) error {
		return s.Emit("welcome", auth(s).Name, s.Recovered())
	})
	n.OnDisconnect(func(_ *actors.Task, s *socketio.Socket, reason socketio.Reason) {
		a.mu.Lock()
		defer a.mu.Unlock()
		list := []string{string(reason)}
		for _, room := range s.Rooms() {
			if room != s.ID() {
				list = append(list, room)
			}
		}
		a.reasons = append(a.reasons, strings.Join(list, " "))
	})
	socketio.OnAck(n, "reasons", func(*actors.Task, *socketio.Socket, any) ([]string, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		list := append([]string{}, a.reasons...)
		a.reasons = nil
		return list, nil
	})
	socketio.OnAck(n, "join", func(_ *actors.Task, s *socketio.Socket, room string) (int, error) {
		err := s.Join(room)
		return len(s.Rooms()), err
	})
	socketio.OnAck(n, "leave", func(_ *actors.Task, s *socketio.Socket, room string) (int, error) {
		s.Leave(room)
		return len(s.Rooms()), nil
	})
	socketio.On(n, "all", func(_ *actors.Task, _ *socketio.Socket, text string) error { return n.Emit("said", "all", text) })
	socketio.On(n, "others", func(_ *actors.Task, s *socketio.Socket, text string) error {
		return s.Broadcast().Emit("said", "others", text)
	})
	a.raw(n, "room", func(_ *socketio.Socket, room, text string) error { return n.To(room).Emit("said", room, text) })
	a.raw(n, "except", func(_ *socketio.Socket, room, text string) error {
		return n.Except(room).Emit("said", "except "+room, text)
	})
	a.raw(n, "others in", func(s *socketio.Socket, room, text string) error {
		return s.To(room).Emit("said", "others in "+room, text)
	})
	socketio.OnRawAck(a.io, n.Name(), "echo", func(_ *actors.Task, _ *socketio.Socket, args []json.RawMessage, bins [][]byte) ([]json.RawMessage, [][]byte, error) {
		return args, bins, nil
	})
	socketio.OnRaw(a.io, n.Name(), "back", func(_ *actors.Task, s *socketio.Socket, args []json.RawMessage, bins [][]byte) error {
		return s.EmitRaw("back", args, bins)
	})
	socketio.On(n, "relay", func(_ *actors.Task, _ *socketio.Socket, v any) error { return n.Emit("relayed", v) })
	socketio.On(n, "relay as it is", func(_ *actors.Task, _ *socketio.Socket, v json.RawMessage) error {
		return n.Emit("relayed", v, []byte("beside"))
	})
	socketio.OnAck(n, "ask", func(t *actors.Task, s *socketio.Socket, question string) (string, error) {
		return actors.Await(t, socketio.EmitAck[string](s, "question", question))
	})
	socketio.On(n, "kick", func(_ *actors.Task, s *socketio.Socket, _ any) error { s.Disconnect(); return nil })
	socketio.On(n, "close", func(_ *actors.Task, s *socketio.Socket, _ any) error { s.Close(); return nil })
}

// raw registers a handler of two strings.
func (a *app) raw(n *socketio.Namespace, event string, h func(s *socketio.Socket, x, y string) error) {
	socketio.OnRaw(a.io, n.Name(), event, func(_ *actors.Task, s *socketio.Socket, args []json.RawMessage, _ [][]byte) error {
		var x, y string
		if len(args) != 2 || json.Unmarshal(args[0], &x) != nil || json.Unmarshal(args[1], &y) != nil {
			return fmt.Errorf("wrong arguments")
		}
		return h(s, x, y)
	})
}
