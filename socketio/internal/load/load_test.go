// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
)

func TestMain(m *testing.M) { actortest.Main(m) }

// TestGenerator has the generator's client connect, ask for a broadcast and an
// acknowledgement, and stay.
func TestGenerator(t *testing.T) {
	io, err := app(actortest.NewSystem(t))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(io)
	defer server.Close()
	addr := strings.TrimPrefix(server.URL, "http://")
	clients, err := dialAll(addr, 50)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		defer c.nc.Close()
	}
	if err := clients[0].send([]byte(`42["broadcast","0:` + strings.Repeat("x", 500) + `"]`)); err != nil {
		t.Fatal(err)
	}
	for i, c := range clients {
		got, err := c.next()
		if err != nil || !strings.HasPrefix(string(got), `42["news","0:xxx`) {
			t.Fatalf("client %d got %q, %v", i, got, err)
		}
	}
	if err := clients[1].send([]byte(`427["echo","x"]`)); err != nil {
		t.Fatal(err)
	}
	if got, err := clients[1].next(); err != nil || string(got) != `437["x"]` {
		t.Fatalf("got %q, %v", got, err)
	}
	if line, err := idle(addr, 10, time.Millisecond); err != nil || line != "10 held for 1ms, 0 lost" {
		t.Error(line, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	// The clients answer no close: their connections are cut off two seconds on.
	if report, err := io.Stop(ctx); err != nil || report.Sessions != 60 || report.Flushed != 60 {
		t.Error(report, err)
	}
}
