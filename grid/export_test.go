// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"context"
	"log/slog"
	"time"

	"github.com/protoloop/protoloop/internal/ownership"
)

// Host is what a Member tells what it owns.
type Host struct {
	Begin  func(Token)
	End    func(shard int, ended func())
	Fenced func()
}

type testHost struct{ Host }

func (testHost) open(context.Context, Node) error { return nil }
func (testHost) quiesce(left func())              { left() }
func (testHost) seen(before, after []Node)        {}
func (h testHost) begin(t Token)                  { h.Begin(t) }
func (h testHost) end(shard int, ended func())    { h.End(shard, ended) }
func (testHost) connected() bool                  { return true }
func (h testHost) fenced()                        { h.Fenced() }

// Mutation is a mistake that the protocol must not make.
type Mutation int

// The mutations.
const (
	None       Mutation = iota
	FromAnswer          // the lease is counted from the answer of a renewal, without a margin
	InLoop              // the loop that renews the lease is what looks whether it is over, between two calls
)

// Member is the part of a Grid that owns shards, without workers.
type Member struct{ m *member }

// NewMember joins.
func NewMember(store Store, node Node, ttl, settle time.Duration, clock ownership.Clock, h Host, mutation Mutation) Member {
	o := memberOptions{store: store, node: node, ttl: ttl, settle: settle, clock: clock, host: testHost{h}, log: slog.New(slog.DiscardHandler)}
	switch mutation {
	case FromAnswer:
		o.validUntil = func(_, answered, ttl time.Duration) time.Duration { return answered + ttl }
	case InLoop:
		calls := &callsUnderWay{Store: store}
		o.store = calls
		o.clock = heldUpClock{clock, calls}
	}
	return Member{newMember(o)}
}

// Drain hands all over. The channel is closed when the node has left.
func (m Member) Drain() <-chan struct{} { return m.m.drain() }

// Kill ends its goroutines, and tells nobody.
func (m Member) Kill() { m.m.quit() }

// TokenOf is the token of a shard, if it is owned.
func (m Member) TokenOf(shard int) (Token, bool) { return m.m.tokenOf(shard) }

// Kill ends the goroutines of a node that has crashed.
func (g *Grid) Kill() { g.cluster.member.Load().quit() }

// Report is the account so far.
func (g *Grid) Report() Report { return g.report() }

// BadFrames is how many were refused.
func (g *Grid) BadFrames() int64 { return g.report().Frames }

// Canceled is how many cancels are remembered, that may not have come.
func (g *Grid) Canceled() int {
	q := &g.cluster.net.asking
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.canceled)
}

// MaxKept is how many bytes of answers are kept at most.
const MaxKept = maxKept

// Kept is how many answers are kept, with those of which nothing but that is, and their bytes.
func (g *Grid) Kept() (answers, bytes int) {
	v := &g.cluster.net.answering
	v.mu.Lock()
	defer v.mu.Unlock()
	for s := v.kept.first; s != nil; s = s.next {
		answers++
	}
	return answers, v.bytes
}

// Tables is how many asks there are in the tables of both sides, and answers that are kept.
func (g *Grid) Tables() (asking, answering int) {
	n := g.cluster.net
	n.asking.mu.Lock()
	asking = len(n.asking.asks) + len(n.asking.byReply)
	n.asking.mu.Unlock()
	n.answering.mu.Lock()
	defer n.answering.mu.Unlock()
	return asking, len(n.answering.asks) + len(n.answering.byNumber)
}

// Origin is what other nodes know the asks of this process by.
func (g *Grid) Origin() uint64 { return g.cluster.net.origin }

// Missed tells the link of this node that frames may have been lost.
func (g *Grid) Missed() { g.cluster.net.link.Load().Missed() }

// LastFrame is the number of the last frame or audit of this node.
func (g *Grid) LastFrame() uint64 { return g.cluster.net.link.Load().frame.Load() }

// Peers is how many sessions of nodes the link of this node remembers.
func (g *Grid) Peers() int { return len(g.cluster.net.link.Load().allPeers()) }

// OpenLine opens a line as a session does, and returns how many there are then.
func (g *Grid) OpenLine(ctx context.Context, self Peer) (lines int, err error) {
	n := g.cluster.net
	err = n.open(ctx, self)
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.links), err
}
