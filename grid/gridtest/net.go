// SPDX-License-Identifier: Apache-2.0

package gridtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/protoloop/protoloop/grid"
)

// How long it takes until the network has noticed that a node is not there, and until it says so: see
// [grid.Receiver]. They are what a server of NATS needs that pings each 500 ms.
const (
	crashNoticed   = 15 * time.Millisecond
	silenceNoticed = 1100 * time.Millisecond
	goneAfter      = 250 * time.Millisecond
)

// connection is a node's to the network. With mu of the Cluster held.
type connection struct {
	silent  bool // nothing comes from it
	lost    bool // … which the network has noticed
	epoch   int  // grows when all is lost that is on its way from and to the node
	silence int  // grows when it falls silent, and when it is heard of again
	lines   []*line
}

// line is [grid.Line].
type line struct {
	node *Node
	self grid.Peer
	to   grid.Receiver
	// The next three are written with mu of the Cluster held.
	closed    bool
	waiting   int  // bytes that the process has not taken
	missed    bool // something was lost for want of room
	topics    map[string][]*subscription
	published []publication // the process is paused

	calls sync.Mutex // held while the receiver is called
	mu    sync.Mutex
	in    []func(grid.Receiver)
}

// pairKey and pair are what one line sends to one peer.
type pairKey struct {
	from *line
	to   grid.Peer
}

type pair struct {
	waiting []frame // the process is paused
	onWay   []frame
	arrives time.Time // the last of onWay
}

type frame struct {
	topic     string // "": it is not published
	tag       uint64
	bytes     []byte
	lost      bool
	from, of  int   // epochs of both sides as it was sent
	addressee *Node // nil: nobody was there
}

var (
	_ grid.Net           = (*Node)(nil)
	_ grid.TopicLine     = (*line)(nil)
	_ grid.ConnectedLine = (*line)(nil)
)

var errNotSent = errors.New("gridtest: not sent")

// Open is [grid.Net]'s.
func (n *Node) Open(ctx context.Context, self grid.Peer, to grid.Receiver) (grid.Line, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	l := &line{node: n, self: self, to: to, topics: map[string][]*subscription{}}
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	n.net.lines = append(n.net.lines, l)
	if !n.net.lost {
		n.c.lines[self] = l
	}
	return l, nil
}

// Connected is [grid.ConnectedLine]'s. The node finds out when the network does.
func (l *line) Connected() bool {
	l.node.c.mu.Lock()
	defer l.node.c.mu.Unlock()
	return !l.node.net.lost
}

// MaxFrame is [grid.Line]'s.
func (l *line) MaxFrame() int { return l.node.c.o.MaxFrame }

// Close is [grid.Line]'s.
func (l *line) Close() error {
	c := l.node.c
	c.mu.Lock()
	l.closed = true
	if c.lines[l.self] == l {
		delete(c.lines, l.self)
	}
	l.node.net.lines = slices.DeleteFunc(l.node.net.lines, func(o *line) bool { return o == l })
	for key := range c.pairs {
		if key.from == l {
			delete(c.pairs, key)
		}
	}
	c.mu.Unlock()
	l.calls.Lock() // until the call under way is over
	defer l.calls.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.in = nil
	return nil
}

// Send is [grid.Line]'s.
func (l *line) Send(to grid.Peer, tag uint64, bytes []byte) error {
	n, c := l.node, l.node.c
	c.mu.Lock()
	if err := l.whyNotSent(bytes); err != nil {
		c.mu.Unlock()
		return err
	}
	p := l.pair(to)
	p.waiting = append(p.waiting, frame{tag: tag, bytes: slices.Clone(bytes)})
	c.mu.Unlock()
	n.run(func() { l.depart(p, to) })
	return nil
}

// whyNotSent is why a frame is not taken, or nil. With mu of the Cluster held.
func (l *line) whyNotSent(bytes []byte) error {
	switch most := l.node.c.o.MaxFrame; {
	case len(bytes) > most:
		return fmt.Errorf("%w: a frame of %d bytes, and %d is the most", errNotSent, len(bytes), most)
	case l.closed:
		return fmt.Errorf("%w: the line is closed", errNotSent)
	case l.node.net.lost:
		return fmt.Errorf("%w: no connection", errNotSent)
	}
	return nil
}

// pair is what goes to a peer. With mu of the Cluster held.
func (l *line) pair(to grid.Peer) *pair {
	key := pairKey{l, to}
	p := l.node.c.pairs[key]
	if p == nil {
		p = &pair{}
		l.node.c.pairs[key] = p
	}
	return p
}

// depart lets the first of the frames that wait go.
func (l *line) depart(p *pair, to grid.Peer) {
	l.node.c.mu.Lock()
	defer l.node.c.mu.Unlock()
	f := p.waiting[0]
	p.waiting = p.waiting[1:]
	l.departHeld(p, to, f)
}

func (l *line) departHeld(p *pair, to grid.Peer, f frame) {
	n, c := l.node, l.node.c
	f.from = n.net.epoch
	f.lost = n.isCut(FramesOut) || n.net.lost || c.dice.Float64() < c.o.FrameLoss
	takes := c.between(c.o.FrameLatency/10, c.o.FrameLatency) + n.slower(3)
	if at := c.lines[to]; at != nil {
		f.addressee, f.of = at.node, at.node.net.epoch
		takes += at.node.slower(4)
	}
	now := time.Now()
	p.arrives = later(p.arrives, now.Add(takes))
	p.onWay = append(p.onWay, f)
	time.AfterFunc(max(p.arrives.Sub(now), 1), func() { l.arrive(p, to) })
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// arrive lets the first of the frames that are on their way arrive.
func (l *line) arrive(p *pair, to grid.Peer) {
	c := l.node.c
	c.mu.Lock()
	defer c.mu.Unlock()
	f := p.onWay[0]
	p.onWay = p.onWay[1:]
	if f.lost || f.from != l.node.net.epoch || f.addressee != nil && f.of != f.addressee.net.epoch {
		return
	}
	at := c.lines[to]
	switch {
	case at == nil && f.topic != "":
	case at == nil:
		if !l.node.isCut(FramesIn) && !l.node.net.lost && !l.closed {
			l.push(c.between(c.o.FrameLatency/10, c.o.FrameLatency), func(r grid.Receiver) { r.Undelivered(to, f.tag) })
		}
	case at.node.isCut(FramesIn):
	case at.waiting+len(f.bytes) > c.o.Room:
		if !at.missed {
			at.missed = true
			at.push(1, func(r grid.Receiver) {
				c.mu.Lock()
				at.missed = false
				c.mu.Unlock()
				r.Missed()
			})
			at.missedTopics()
		}
	case f.topic != "":
		at.pushPublished(f, l.self.Node)
	default:
		at.waiting += len(f.bytes)
		at.push(1, func(r grid.Receiver) {
			c.mu.Lock()
			at.waiting -= len(f.bytes)
			c.mu.Unlock()
			r.Received(l.self.Node, f.bytes)
		})
	}
}

// push has the receiver told something soon, in the order of the pushes.
func (l *line) push(after time.Duration, tell func(grid.Receiver)) {
	if after <= 1 {
		l.queue(tell)
		time.AfterFunc(1, func() { l.node.run(l.tell) })
		return
	}
	time.AfterFunc(after, func() {
		l.queue(tell)
		l.node.run(l.tell)
	})
}

func (l *line) queue(tell func(grid.Receiver)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.in = append(l.in, tell)
}

// tell tells the receiver the first of what there is.
func (l *line) tell() {
	l.calls.Lock()
	defer l.calls.Unlock()
	l.mu.Lock()
	if len(l.in) == 0 { // it is closed
		l.mu.Unlock()
		return
	}
	first := l.in[0]
	l.in = l.in[1:]
	l.mu.Unlock()
	first(l.to)
}

// netChanged is called when the node may have fallen silent, or may be heard of again.
func (n *Node) netChanged() {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	n.mu.Lock()
	silent, crashed := n.paused || n.cut&Frames != 0, n.crashed
	n.mu.Unlock()
	switch {
	case crashed:
	case silent && !n.net.silent:
		n.silence(silenceNoticed)
	case !silent && n.net.silent:
		n.heard()
	}
}

// silence: nothing comes from the node any more, which is noticed after a while. With mu of the Cluster held.
func (n *Node) silence(noticed time.Duration) {
	if n.net.lost {
		return
	}
	n.net.silent = true
	n.net.silence++
	since := n.net.silence
	time.AfterFunc(noticed, func() {
		n.c.mu.Lock()
		defer n.c.mu.Unlock()
		if n.net.silence == since {
			n.disconnect()
			time.AfterFunc(goneAfter, func() { n.gone(since) })
		}
	})
}

// disconnect: frames do not reach the node any more. With mu of the Cluster held.
func (n *Node) disconnect() {
	n.net.lost = true
	n.net.epoch++
	for _, l := range n.net.lines {
		if n.c.lines[l.self] == l {
			delete(n.c.lines, l.self)
		}
	}
}

// gone tells the others, unless the node has come back, in whatever session.
func (n *Node) gone(since int) {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	if n.net.silence != since {
		return
	}
	for peer := range n.c.lines {
		if peer.Node == n.name {
			return
		}
	}
	for _, l := range n.c.linesInOrder() {
		if l.node != n && !l.node.isCut(FramesIn) && (n.c.o.GoneLoss == 0 || n.c.dice.Float64() >= n.c.o.GoneLoss) {
			l.push(n.c.between(n.c.o.FrameLatency/10, n.c.o.FrameLatency), func(r grid.Receiver) { r.Gone(n.name) })
		}
	}
}

// linesInOrder is all lines, in an order that is the same with the same seed.
func (c *Cluster) linesInOrder() (all []*line) {
	for _, l := range c.lines {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *line) int { return int(a.self.Session) - int(b.self.Session) })
	return all
}

// heard: the node is there again. With mu of the Cluster held.
func (n *Node) heard() {
	n.net.silence++
	n.net.silent, n.net.lost = false, false
	for _, l := range n.net.lines {
		n.c.lines[l.self] = l
		l.push(1, func(r grid.Receiver) { r.Missed() })
		l.missedTopics()
	}
}

// Reconnect ends the node's connection, as the death of its server does: what is on its way from and to it is lost. It has
// one again after a while.
func (n *Node) Reconnect(after time.Duration) {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	if n.net.lost {
		return
	}
	n.net.silent = true
	n.net.silence++
	since := n.net.silence
	n.disconnect()
	time.AfterFunc(goneAfter, func() { n.gone(since) })
	time.AfterFunc(max(after, 1), n.netChanged)
}
