// SPDX-License-Identifier: Apache-2.0

package nats_test

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"

	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/nats"
)

// answering sends back what comes, or counts it.
type answering struct {
	line grid.Line
	back grid.Peer
	got  chan struct{}
}

func (a *answering) Received(_ string, f []byte) {
	if a.got != nil {
		a.got <- struct{}{}
		return
	}
	_ = a.line.Send(a.back, 1, f)
}
func (a *answering) Undelivered(grid.Peer, uint64) {}
func (a *answering) Gone(string)                   {}
func (a *answering) Missed()                       {}

// BenchmarkAsk sends a frame of 200 bytes and gets it back, over a server on loopback without TLS, beside the client of
// NATS alone.
func BenchmarkAsk(b *testing.B) {
	s := startServer(b, server.Options{})
	frame := make([]byte, 200)
	for name, inFlight := range map[string]int{"one at a time": 1, "64 in flight": 64} {
		b.Run("lines/"+name, func(b *testing.B) {
			asker := &answering{got: make(chan struct{}, inFlight)}
			owner := &answering{back: grid.Peer{Node: "asker", Session: 1}}
			from := open(b, connect(b, nats.Options{URL: s.ClientURL()}), "asker", asker)
			owner.line = open(b, connect(b, nats.Options{URL: s.ClientURL()}), "owner", owner)
			run(b, inFlight, asker.got, func() error { return from.Send(grid.Peer{Node: "owner", Session: 1}, 1, frame) })
		})
		b.Run("nats.go/"+name, func(b *testing.B) {
			got := make(chan struct{}, inFlight)
			asker, owner := dialRaw(b, s), dialRaw(b, s)
			if _, err := asker.Subscribe("pl.shop.asker.1.owner", func(*natsgo.Msg) { got <- struct{}{} }); err != nil {
				b.Fatal(err)
			}
			if _, err := owner.Subscribe("pl.shop.owner.1.asker", func(m *natsgo.Msg) { _ = owner.Publish("pl.shop.asker.1.owner", m.Data) }); err != nil {
				b.Fatal(err)
			}
			_ = asker.Flush()
			_ = owner.Flush()
			run(b, inFlight, got, func() error { return asker.Publish("pl.shop.owner.1.asker", frame) })
		})
	}
}

func run(b *testing.B, inFlight int, got chan struct{}, send func() error) {
	b.Helper()
	b.ReportAllocs()
	for sent, done := 0, 0; done < b.N; {
		for sent < b.N && sent-done < inFlight {
			if err := send(); err != nil {
				b.Fatal(err)
			}
			sent++
		}
		<-got
		done++
	}
}
