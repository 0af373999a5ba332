// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
)

// wire is a Net that hands each frame over at once.
type wire struct {
	sending func(from string) // called by each Send; nil: nobody looks
	mu      sync.RWMutex
	lines   map[grid.Peer]*wireLine
}

type wireLine struct {
	of   *wire
	self grid.Peer
	to   grid.Receiver
	in   chan wireFrame
}

type wireFrame struct {
	from  string
	frame []byte
}

func (w *wire) Open(_ context.Context, self grid.Peer, to grid.Receiver) (grid.Line, error) {
	l := &wireLine{w, self, to, make(chan wireFrame, 1<<14)}
	go func() {
		for f := range l.in {
			to.Received(f.from, f.frame)
		}
	}()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines[self] = l
	return l, nil
}

func (l *wireLine) Send(to grid.Peer, _ uint64, frame []byte) error {
	if l.of.sending != nil {
		l.of.sending(l.self.Node)
	}
	l.of.mu.RLock()
	defer l.of.mu.RUnlock()
	if at := l.of.lines[to]; at != nil {
		at.in <- wireFrame{l.self.Node, append([]byte(nil), frame...)}
	}
	return nil
}

func (l *wireLine) MaxFrame() int { return 1 << 20 }

func (l *wireLine) Close() error {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	if l.of.lines[l.self] == l {
		delete(l.of.lines, l.self)
		close(l.in)
	}
	return nil
}

// onWire starts two nodes, of which one has all keys and the other asks.
func onWire(b testing.TB, net *wire) (asker *machine) {
	b.Helper()
	store := gridtest.New(gridtest.Options{})
	start := func(name string, setup func(*actors.Worker, string) error) *machine {
		m := &machine{Node: store.Node(name), sys: actortest.NewSystem(b)}
		g, err := grid.Start(b.Context(), m.sys, grid.Options{
			Kinds: []grid.Kind{{Name: "echo", Accepts: accepts(), Setup: setup}}, Store: m.Node, Net: net, Node: name, Shards: 16, Lease: time.Minute,
		})
		if err != nil {
			b.Fatal(err)
		}
		m.g = g
		b.Cleanup(func() { g.Drain(context.Background()) })
		return m
	}
	start("owner", func(w *actors.Worker, _ string) error {
		actors.Handle(w, func(_ *actors.Task, m number) (number, error) { return m, nil })
		return nil
	})
	return start("asker", nil)
}

// BenchmarkAskOtherNode is a request to a key of another node, one after the other and many at a time, over a
// network that costs nothing.
func BenchmarkAskOtherNode(b *testing.B) {
	asker := onWire(b, &wire{lines: map[grid.Peer]*wireLine{}})
	for _, n := range []int{1, 64, 512} {
		b.Run(fmt.Sprint("in-flight=", n), func(b *testing.B) {
			pids := ids("k", n)
			ask := func(i int) *actors.Future[number] {
				return actors.RequestFuture[number](asker.sys.Root, asker.g.PID("echo", pids[i%n]), count(int64(i)))
			}
			for i := range n {
				if _, err := ask(i).Wait(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			flying := make([]*actors.Future[number], n)
			for i := range b.N {
				if f := flying[i%n]; f != nil {
					if _, err := f.Wait(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				flying[i%n] = ask(i)
			}
			for _, f := range flying {
				if f != nil {
					f.Wait(b.Context())
				}
			}
		})
	}
}
