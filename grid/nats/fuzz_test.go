// SPDX-License-Identifier: Apache-2.0

package nats

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/protoloop/protoloop/grid"
)

// from notes who a line says a frame is from.
type from struct{ name string }

func (f *from) Received(name string, _ []byte) { f.name = name }
func (f *from) Undelivered(grid.Peer, uint64)  {}
func (f *from) Gone(string)                    {}
func (f *from) Missed()                        {}

// FuzzReceived: whatever comes to the subjects of a line, it does not crash, and no frame is from another than the server
// vouches for.
func FuzzReceived(f *testing.F) {
	f.Add("pl.shop.b.1.a", "pl.shop.a.7.1.1.1", "", "x")
	f.Add("pl.shop.b.1.1.1.1", "", "503", "")
	f.Add("pl.shop.b.1.0.-.0", "", "503", "")
	f.Add("pl.shop.b.1.%67%6F%6E%65", "pl.shop.%67%6F%6E%65.1.18446744073709551615.1.1", "", "x")
	f.Add("pl.shop.b.1.", "pl.....", "503", "x")
	f.Add("elsewhere", "pl.shop.a.1.1.1.1", "", "x")
	f.Fuzz(func(t *testing.T, subject, reply, status, data string) {
		to := &from{}
		n := &Net{o: Options{Cluster: "shop"}, log: slog.New(slog.DiscardHandler)}
		l := newLine(n, grid.Peer{Node: "b", Session: 1}, to)
		m := &nats.Msg{Subject: subject, Reply: reply, Data: []byte(data), Header: nats.Header{}}
		if status != "" {
			m.Header.Set("Status", status)
		}
		for range 2 { // the second time the sender is known
			l.received(m)
		}
		if token := subject[strings.LastIndexByte(subject, '.')+1:]; to.name != "" && subject != "pl.shop.b.1."+token {
			t.Errorf("a frame from %q by %q, %q", to.name, subject, reply)
		}
	})
}

// FuzzGone: nor does it for a notice.
func FuzzGone(f *testing.F) {
	f.Add("pl.shop.gone.a")
	f.Add("pl.shop.gone.%")
	f.Fuzz(func(t *testing.T, subject string) {
		n := &Net{o: Options{Cluster: "shop"}, log: slog.New(slog.DiscardHandler), lines: map[*line]struct{}{}}
		n.heardGone(&nats.Msg{Subject: subject, Reply: "pl.shop.hub"})
	})
}

func (f *from) Published(name string, _ []byte) { f.name = name }

// FuzzPublished: nor does it for what comes to a topic.
func FuzzPublished(f *testing.F) {
	f.Add("pl.shop.$topic.prices.a", "pl.shop.a.7.1.0.0")
	f.Add("pl.shop.$topic.prices.%67%6F%6E%65", "pl.shop.%67%6F%6E%65.1.18446744073709551615.0.0")
	f.Add("pl.shop.$topic.prices.", "pl.....")
	f.Add("elsewhere", "pl.shop.a.1.1.0.0")
	f.Fuzz(func(t *testing.T, subject, reply string) {
		to := &from{}
		n := &Net{o: Options{Cluster: "shop"}, log: slog.New(slog.DiscardHandler)}
		p := newTopic(newLine(n, grid.Peer{Node: "b", Session: 1}, to), "prices", to)
		for range 2 { // the second time the sender is known
			p.received(&nats.Msg{Subject: subject, Reply: reply})
		}
		if token := subject[strings.LastIndexByte(subject, '.')+1:]; to.name != "" && subject != "pl.shop.$topic.prices."+token {
			t.Errorf("a publication of %q by %q, %q", to.name, subject, reply)
		}
	})
}
