// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/protoloop/protoloop/examples/tutorial/internal/program"
)

func TestMain(m *testing.M) { program.Main(m, main) }

// Two browsers: one is there when a seat is sold, the other comes later.
func TestBrowsers(t *testing.T) {
	p := program.Start(t)
	if _, page := p.Get("/"); !strings.Contains(page, "Sold seats") {
		t.Errorf("the page: %s", page)
	}
	const want = `42["sold",{"Seat":"1A","For":"Ada","Price":90}]`
	early := connect(t, p)
	if status, body := p.Post("/order", "seat", "1A", "for", "Ada"); status != 202 {
		t.Errorf("%d %s", status, body)
	}
	if got := next(t, early); got != want {
		t.Errorf("who was there is told %s", got)
	}
	if got := next(t, connect(t, p)); got != want {
		t.Errorf("who comes later is told %s", got)
	}
	p.Interrupt()
}

// connect speaks as page.html does.
func connect(t *testing.T, p *program.Program) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, p.URL+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	if open := next(t, conn); open[0] != '0' {
		t.Fatalf("the server has opened with %s", open)
	}
	if err := conn.Write(ctx, websocket.MessageText, []byte("40")); err != nil {
		t.Fatal(err)
	}
	if connected := next(t, conn); !strings.HasPrefix(connected, "40") {
		t.Fatalf("connected by %s", connected)
	}
	return conn
}

// next is the next packet.
func next(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, packet, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(packet)
}
