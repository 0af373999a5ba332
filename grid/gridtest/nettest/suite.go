// SPDX-License-Identifier: Apache-2.0

// Package nettest has the tests that a network of package grid must pass.
package nettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
)

// Options are what is tried.
type Options struct {
	// New is called by each test, for a network that no node is in yet. What it returns is called for
	// the Net of each node, and again for that of a node that was started anew.
	New func(t *testing.T) func(node string) grid.Net
	// Bubble: it is all in memory, so each test runs in a bubble of testing/synctest.
	Bubble bool
}

// Run tries a network.
func Run(t *testing.T, o Options) {
	o.runEach(t, map[string]func(n *network){
		"frames come in the order in which they were sent":         testOrder,
		"many lines to one, each in its order, one call at a time": testMany,
		"many goroutines on one line":                              testGoroutines,
		"a frame is the sender's, and then the receiver's":         testOwn,
		"frames of all sizes":                                      testSizes,
		"nobody there":                                             testNobody,
		"a frame that was delivered is not undelivered":            testDelivered,
		"a line that was closed":                                   testClosed,
		"a session that has ended, and the next":                   testSessions,
		"an earlier line goes on":                                  testEarlier,
		"a line to itself":                                         testSelf,
		"names of any bytes":                                       testNames,
		"what a receiver sends":                                    testAnswers,
		"a context that has ended":                                 testContext,
		"opened and closed at any time":                            testStress,
	})
}

// runEach runs each test on a network of its own.
func (o Options) runEach(t *testing.T, tests map[string]func(n *network)) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if !o.Bubble {
				test(&network{t, o, o.New(t)})
				return
			}
			synctest.Test(t, func(t *testing.T) { test(&network{t, o, o.New(t)}) })
		})
	}
}

type network struct {
	*testing.T
	o   Options
	net func(node string) grid.Net
}

// peer is a line with its receiver.
type peer struct {
	*network
	grid.Line
	is grid.Peer

	calls  atomic.Int32
	closed atomic.Bool

	mu     sync.Mutex
	frames map[string][][]byte // by who has sent them
	lost   map[grid.Peer][]uint64
	heard  func(from string, frame []byte) // is called for each frame; nil: it is only noted
}

// open opens a line of a node that has joined.
func (n *network) open(node string, session uint64) *peer {
	n.Helper()
	return n.openBy(n.net(node), node, session)
}

func (n *network) openBy(by grid.Net, node string, session uint64) *peer {
	n.Helper()
	p := &peer{network: n, is: grid.Peer{Node: node, Session: session}, frames: map[string][][]byte{}, lost: map[grid.Peer][]uint64{}}
	p.reopen(by)
	return p
}

func (p *peer) reopen(by grid.Net) {
	p.Helper()
	l, err := by.Open(p.Context(), p.is, p)
	if err != nil {
		p.Fatalf("open the line of %q: %v", p.is.Node, err)
	}
	p.Line = l
	p.Cleanup(func() {
		if err := l.Close(); err != nil {
			p.Errorf("close a line, perhaps again: %v", err)
		}
	})
}

func (p *peer) called() (done func()) {
	if p.calls.Add(1) != 1 {
		p.Error("a receiver is called twice at a time")
	}
	if p.closed.Load() {
		p.Error("a receiver is called after the Close of its line")
	}
	return func() { p.calls.Add(-1) }
}

func (p *peer) Received(from string, frame []byte) {
	defer p.called()()
	p.mu.Lock()
	p.frames[from] = append(p.frames[from], frame)
	heard := p.heard
	p.mu.Unlock()
	if heard != nil {
		heard(from, frame)
	}
}

func (p *peer) Undelivered(to grid.Peer, tag uint64) {
	defer p.called()()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost[to] = append(p.lost[to], tag)
}

func (p *peer) Gone(string) { p.called()() }
func (p *peer) Missed()     { p.called()() }

func (p *peer) whenHeard(f func(from string, frame []byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = f
}

func (p *peer) from(node string) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.frames[node]
}

func (p *peer) undelivered(to grid.Peer) []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost[to]
}

func (p *peer) eventually(what string, cond func() bool) {
	p.Helper()
	actortest.Eventually(p.T, what, cond)
}

const hello = "hello"

// meets sends hellos until one has come: what a node hears of another is not known everywhere at once.
func (p *peer) meets(other *peer) {
	p.Helper()
	there := func() int { return len(other.from(p.is.Node)) }
	for before := there(); there() == before; {
		lost := len(p.undelivered(other.is))
		p.send(other.is, 0, []byte(hello))
		p.eventually("a hello to come, or not to be delivered", func() bool {
			return there() > before || len(p.undelivered(other.is)) > lost
		})
	}
	other.mu.Lock()
	other.frames[p.is.Node] = nil
	other.mu.Unlock()
	p.mu.Lock()
	delete(p.lost, other.is)
	p.mu.Unlock()
}

// send sends, again if too much waits to be sent.
func (p *peer) send(to grid.Peer, tag uint64, frame []byte) {
	p.Helper()
	var err error
	p.eventually("a frame to be taken", func() bool {
		err = p.Line.Send(to, tag, frame)
		return err == nil
	})
}

func (p *peer) hears(from string, want ...string) {
	p.Helper()
	p.eventually(fmt.Sprintf("%d frames from %q", len(want), from), func() bool { return len(p.from(from)) >= len(want) })
	for i, got := range p.from(from) {
		if i >= len(want) || string(got) != want[i] {
			p.Fatalf("frame %d from %q is %.40q, want %.80q", i, from, got, want)
		}
	}
}

func numbered(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint("frame ", i))
	}
	return all
}

func testOrder(n *network) {
	a, b := n.open("a", 1), n.open("b", 2)
	a.meets(b)
	want := numbered(2000)
	for i, s := range want {
		a.send(b.is, uint64(i), []byte(s))
	}
	b.hears("a", want...)
}

func testMany(n *network) {
	to := n.open("to", 1)
	want := numbered(200)
	var wg sync.WaitGroup
	var all []*peer
	for i := range 10 {
		p := n.open(fmt.Sprint("node-", i), uint64(i+2))
		p.meets(to)
		all = append(all, p)
	}
	for _, p := range all {
		wg.Go(func() {
			for i, s := range want {
				p.send(to.is, uint64(i), []byte(s))
			}
		})
	}
	wg.Wait()
	for _, p := range all {
		to.hears(p.is.Node, want...)
	}
}

// testGoroutines: what each goroutine sends comes in its order, and all of it once.
func testGoroutines(n *network) {
	a, b := n.open("a", 1), n.open("b", 2)
	a.meets(b)
	const goroutines, each = 8, 200
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				a.send(b.is, uint64(i), []byte{byte(g), byte(i)})
			}
		})
	}
	wg.Wait()
	b.eventually("all frames", func() bool { return len(b.from("a")) >= goroutines*each })
	var next [goroutines]byte
	for _, f := range b.from("a") {
		if f[1] != next[f[0]] {
			n.Fatalf("of goroutine %d frame %d comes behind %d", f[0], f[1], int(next[f[0]])-1)
		}
		next[f[0]]++
	}
}

func testOwn(n *network) {
	a, b := n.open("a", 1), n.open("b", 2)
	a.meets(b)
	b.whenHeard(func(_ string, f []byte) { _ = append(f, "what the receiver adds"...) }) // no other frame has it
	frame := []byte("frame ?")
	var want []string
	for i := range 100 {
		frame[6] = byte('0' + i%10)
		want = append(want, string(frame))
		a.send(b.is, 1, frame)
		frame[6] = '!'
	}
	b.hears("a", want...)
	for _, f := range b.from("a") {
		clear(f)
	}
	b.mu.Lock()
	b.frames["a"] = nil
	b.mu.Unlock()
	a.send(b.is, 1, []byte("another"))
	b.hears("a", "another")
}

func testSizes(n *network) {
	a, b := n.open("a", 1), n.open("b", 2)
	a.meets(b)
	longest := a.MaxFrame()
	if longest < 1<<10 {
		n.Errorf("MaxFrame is %d", longest)
	}
	a.send(b.is, 1, nil)
	big := bytes.Repeat([]byte("x"), longest+1)
	if err := a.Send(b.is, 2, big); err == nil {
		n.Error("a frame longer than MaxFrame was taken")
	}
	big[longest-1] = 'e'
	a.send(b.is, 3, big[:longest])
	a.send(b.is, 4, []byte("last"))
	b.hears("a", "", string(big[:longest]), "last")
}

func testNobody(n *network) {
	a, b := n.open("a", 1), n.open("b", 2)
	a.meets(b)
	for i, to := range []grid.Peer{{Node: "nobody", Session: 3}, {Node: "b", Session: 1}, {Node: "b", Session: 20}, {Node: "a", Session: 2}} {
		tags := []uint64{0, uint64(i + 1), math.MaxUint64}
		for _, tag := range tags {
			a.send(to, tag, []byte("x"))
		}
		a.eventually("all tags", func() bool { return len(a.undelivered(to)) >= len(tags) })
		if got := slices.Sorted(slices.Values(a.undelivered(to))); !slices.Equal(got, tags) {
			n.Errorf("undelivered to %v: %v", to, got)
		}
	}
	a.send(b.is, 1, []byte("after"))
	b.hears("a", "after")
	if got := a.undelivered(b.is); len(got) > 0 {
		n.Errorf("undelivered, but it was: %v", got)
	}
}

func testDelivered(n *network) {
	a, b := n.open("a", 1), n.open("b", 2)
	a.meets(b)
	nobody := grid.Peer{Node: "nobody", Session: 3}
	for i := range 100 {
		a.send(b.is, uint64(i), []byte("x"))
		a.send(nobody, uint64(i), []byte("x"))
	}
	a.eventually("the notices", func() bool { return len(a.undelivered(nobody)) >= 100 })
	b.eventually("the frames", func() bool { return len(b.from("a")) >= 100 })
	if a, b := len(a.undelivered(b.is)), len(b.from("a")); a != 0 || b != 100 {
		n.Errorf("of 100 that were delivered %d are told not to be, and %d have come", a, b)
	}
}

func testClosed(n *network) {
	a, b := n.open("a", 1), n.open("b", 2)
	a.meets(b)
	// It is closed while frames come.
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for tag := uint64(1); ; tag++ {
			select {
			case <-stop:
				return
			default:
				a.send(b.is, tag, []byte("x"))
				time.Sleep(50 * time.Microsecond)
			}
		}
	})
	b.eventually("frames", func() bool { return len(b.from("a")) > 100 })
	if err := b.Line.Close(); err != nil {
		n.Error(err)
	}
	b.closed.Store(true)
	a.eventually("a frame that nobody has got", func() bool { return len(a.undelivered(b.is)) > 0 })
	close(stop)
	wg.Wait()
	if err := b.Send(a.is, 1, []byte("x")); err == nil {
		n.Error("a line that was closed takes a frame")
	}
}

func testSessions(n *network) {
	a, old := n.open("a", 1), n.open("b", 2)
	a.meets(old)
	old.meets(a)
	_ = old.Line.Close()
	old.closed.Store(true)
	b := n.open("b", 3)
	a.meets(b)
	b.meets(a)
	a.send(old.is, 7, []byte("to the old"))
	a.send(b.is, 8, []byte("to the new"))
	b.hears("a", "to the new")
	a.eventually("the notice", func() bool { return len(a.undelivered(old.is)) > 0 })
	if got := a.undelivered(old.is); len(got) != 1 || got[0] != 7 {
		n.Errorf("undelivered: %v", got)
	}
}

func testEarlier(n *network) {
	a, by := n.open("a", 1), n.net("b")
	old := n.openBy(by, "b", 2)
	a.meets(old)
	b := n.openBy(by, "b", 3)
	a.meets(b)
	for i := range 10 {
		a.send(old.is, 1, fmt.Append(nil, "old ", i))
		a.send(b.is, 1, fmt.Append(nil, "new ", i))
		old.send(a.is, 1, fmt.Append(nil, i))
		b.send(a.is, 1, fmt.Append(nil, i))
	}
	for _, p := range []*peer{old, b} {
		p.eventually("its frames", func() bool { return len(p.from("a")) >= 10 })
	}
	a.eventually("frames of both", func() bool { return len(a.from("b")) >= 20 })
	if got := string(old.from("a")[9]) + ", " + string(b.from("a")[9]); got != "old 9, new 9" {
		n.Error(got)
	}
	_ = old.Line.Close()
	old.closed.Store(true)
	a.send(b.is, 1, []byte("still there"))
	b.eventually("a frame", func() bool { return len(b.from("a")) > 10 })
}

func testSelf(n *network) {
	a := n.open("a", 1)
	a.meets(a)
	want := numbered(100)
	for _, s := range want {
		a.send(a.is, 1, []byte(s))
	}
	a.hears("a", want...)
}

func testNames(n *network) {
	to := n.open("a.b *>", 1)
	for i, name := range []string{"gone", "here", "-", "*", ">", "a.*", "a b", "%2A", "é", "\x00\xff\r\n", "A", "$SYS", "a.b *"} {
		p := n.open(name, uint64(i+2))
		p.meets(to)
		to.meets(p)
		p.send(to.is, 1, []byte("from "+name))
		to.hears(name, "from "+name)
		to.send(p.is, 1, []byte("to "+name))
		p.hears(to.is.Node, "to "+name)
	}
}

// testAnswers: a receiver may send, and the answers come in the order of what they answer.
func testAnswers(n *network) {
	a, b := n.open("a", 1), n.open("b", 2)
	a.meets(b)
	b.meets(a)
	var failed atomic.Pointer[error]
	b.whenHeard(func(_ string, frame []byte) {
		if err := b.Send(a.is, 1, append([]byte("re: "), frame...)); err != nil {
			failed.Store(&err)
		}
	})
	var want []string
	for i, s := range numbered(300) {
		a.send(b.is, uint64(i), []byte(s))
		want = append(want, "re: "+s)
	}
	a.hears("b", want...)
	if err := failed.Load(); err != nil {
		n.Error(*err)
	}
}

func testContext(n *network) {
	ctx, cancel := context.WithCancel(n.Context())
	cancel()
	p := &peer{network: n, is: grid.Peer{Node: "a", Session: 1}}
	if l, err := n.net("a").Open(ctx, p.is, p); err == nil {
		_ = l.Close()
		n.Error("a line was opened by a context that has ended")
	} else if !errors.Is(err, context.Canceled) {
		n.Errorf("open by a context that has ended: %v", err)
	}
}

// testStress opens and closes lines while others send to them.
func testStress(n *network) {
	a, by := n.open("a", 1), n.net("b")
	var session atomic.Uint64
	session.Store(2)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				a.send(grid.Peer{Node: "b", Session: session.Load()}, 1, []byte("x"))
				time.Sleep(50 * time.Microsecond)
			}
		}
	})
	for range 20 {
		b := n.openBy(by, "b", session.Load())
		b.eventually("a frame", func() bool { return len(b.from("a")) > 0 })
		b.send(a.is, 1, []byte("x"))
		if err := b.Line.Close(); err != nil {
			n.Error(err)
		}
		b.closed.Store(true)
		session.Add(1)
	}
	close(stop)
	wg.Wait()
	a.eventually("frames of b", func() bool { return len(a.from("b")) > 0 })
}
