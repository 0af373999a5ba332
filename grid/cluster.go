// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/keyed"
	"github.com/protoloop/protoloop/internal/ownership"
	"github.com/protoloop/protoloop/internal/persystem"
)

// cluster tracks the shards that this node owns, with the keys of each that have a worker. It is the
// host of a member, and lets no worker of a key begin whose shard is another's.
type cluster struct {
	g      *Grid
	o      Options
	clock  ownership.Clock
	member atomic.Pointer[member]
	parts  []part   // by shard
	net    *network // nil: there is no Net
}

// part is a shard as the node has it.
type part struct {
	always []*alwaysOn // keys of the shard that always have a worker; constant
	mu     sync.Mutex
	rev    uint64            // of the token; 0: it is not ours
	keys   map[string]uint64 // that have a worker, each with the token under which that has begun, 0: it waits for its turn
	ending bool
	ended  func() // what the end of the last of keys is told to, once it is ending
}

var _ host = (*cluster)(nil)

func newCluster(g *Grid, o Options) *cluster {
	c := &cluster{g: g, o: o, clock: ownership.NewSystemClock(), parts: make([]part, o.Shards)}
	if of, is := o.Store.(interface{ Clock() ownership.Clock }); is { // one of gridtest
		c.clock = of.Clock()
	}
	if o.Net != nil {
		c.net = newNetwork(c)
	}
	for _, k := range g.kinds {
		for id, a := range k.always {
			p := &c.parts[c.shardOf(id)]
			p.always = append(p.always, a)
		}
	}
	return c
}

// join makes the node a member, which has happened when its joinedBy returns.
func (c *cluster) join() *member {
	node := Node{Name: c.o.Node, Shards: c.o.Shards}
	for _, k := range c.g.kinds {
		if k.Setup != nil {
			node.Kinds = append(node.Kinds, k.Name)
		}
	}
	m := newMember(memberOptions{store: c.o.Store, node: node, ttl: c.o.Lease, settle: c.o.Settle, clock: c.clock, host: c, log: c.g.log})
	c.member.Store(m)
	return m
}

// begin is host's.
func (c *cluster) begin(t Token) {
	p := &c.parts[t.Shard]
	p.mu.Lock()
	p.rev, p.ending, p.ended = t.Rev, false, nil
	p.mu.Unlock()
	c.g.tell(Event{Kind: ShardGained, Node: c.o.Node, Shard: t.Shard, Token: t})
	if c.net != nil {
		c.net.asking.began(t.Shard)
	}
	c.keepUpShard(t.Shard)
}

// open is host's.
func (c *cluster) open(ctx context.Context, self Node) error {
	if c.net == nil {
		return nil
	}
	return c.net.open(ctx, Peer{self.Name, self.Session})
}

// connected is host's.
func (c *cluster) connected() bool {
	if c.net == nil {
		return true
	}
	l := c.net.link.Load()
	if l == nil {
		return true
	}
	line, knows := l.line.(ConnectedLine)
	return !knows || line.Connected()
}

// seen is host's.
func (c *cluster) seen(before, after []Node) {
	gone := map[Peer]bool{}
	eachChange(before, after, func(was, is *Node) {
		switch {
		case was != nil && is != nil && is.CutOff != was.CutOff:
			kind := Reached
			if is.CutOff {
				kind = CutOff
			}
			c.g.tell(Event{Kind: kind, Node: is.Name, Session: is.Session})
		case was == nil:
			c.g.tell(Event{Kind: Joined, Node: is.Name, Session: is.Session})
		case is == nil && was.Draining:
			gone[Peer{was.Name, was.Session}] = true
			c.g.tell(Event{Kind: Left, Node: was.Name, Session: was.Session})
		case is == nil:
			gone[Peer{was.Name, was.Session}] = true
			c.g.tell(Event{Kind: Lost, Node: was.Name, Session: was.Session})
		}
	})
	if c.net == nil {
		return
	}
	c.net.asking.seen(after)
	if len(gone) > 0 {
		c.net.answering.left(func(p Peer) bool { return gone[p] })
	}
}

// end is host's: the workers of the shard take nothing more, and have their StopGrace for what they have.
func (c *cluster) end(shard int, ended func()) {
	p := &c.parts[shard]
	p.mu.Lock()
	p.ending, p.ended = true, ended
	rev, keys := p.rev, p.keysHeld()
	p.tellIfEndedHeld()
	p.mu.Unlock()
	c.g.tell(Event{Kind: ShardGivenUp, Node: c.member.Load().ownerPeer(shard).Node, Shard: shard, Token: Token{shard, rev}})
	for _, id := range keys {
		c.g.stopKey(id, keyed.Worker.StopGrace)
	}
}

// quiesce is host's: what this node has asked others has the longest StopGrace.
func (c *cluster) quiesce(left func()) {
	if c.net == nil {
		left()
		return
	}
	grace := time.Duration(0)
	for _, k := range c.g.kinds {
		grace = max(grace, k.grace())
	}
	c.net.asking.quiesce(grace, left)
}

// grace is the StopGrace of the kind's workers.
func (k *kind) grace() time.Duration {
	switch g := time.Duration(k.Options.StopGrace); {
	case g == 0:
		return defaultGrace
	default:
		return max(g, 0)
	}
}

// fenced is host's: others may own the shards by now, so nothing goes on.
func (c *cluster) fenced() {
	if c.net != nil {
		c.net.over()
	}
	c.g.tell(Event{Kind: Fenced, Node: c.o.Node})
	for shard := range c.parts {
		p := &c.parts[shard]
		p.mu.Lock()
		p.rev, p.ending, p.ended = 0, false, nil
		keys := p.keysHeld()
		p.mu.Unlock()
		for _, id := range keys {
			c.g.stopKey(id, func(keyed.Worker) time.Duration { return time.Duration(actors.NoGrace) })
		}
	}
}

func (p *part) keysHeld() []string {
	keys := make([]string, 0, len(p.keys))
	for id := range p.keys {
		keys = append(keys, id)
	}
	return keys
}

func (p *part) tellIfEndedHeld() {
	if p.ending && len(p.keys) == 0 && p.ended != nil {
		p.ended() // it only notes that
		p.rev, p.ended = 0, nil
	}
}

// shardOf is that of a key, by the id of its PID.
func (c *cluster) shardOf(id string) int { return ownership.ShardOf(id, len(c.parts)) }

// isOwned reports whether the key's shard is this node's at this moment.
func (c *cluster) isOwned(id string) bool { return c.isOwnedShard(c.shardOf(id)) }

func (c *cluster) isOwnedShard(shard int) bool {
	_, is := c.member.Load().tokenOf(shard)
	return is
}

var _ keyed.Leased = (*kind)(nil)

// Lease is keyed.Leased's.
func (k *kind) Lease() keyed.Lease {
	if k.grid.cluster == nil {
		return nil
	}
	return (*kindLease)(k)
}

type kindLease kind

// Holds is keyed.Lease's. One that finds the lease over ends it, and with that all workers: a timer may be late.
func (k *kindLease) Holds() bool {
	l := k.grid.cluster.member.Load().lease.Load()
	if l == nil || l.Holds() {
		return l != nil
	}
	go l.Look()
	return false
}

// Shares is keyed.Lease's.
func (k *kindLease) Shares() bool { return k.Share }

// errNotOwner is why a key is not asked here.
func (c *cluster) errNotOwner(id string) error {
	shard := c.shardOf(id)
	m := c.member.Load()
	owner := m.ownerPeer(shard).Node
	switch {
	case owner == "":
		return fmt.Errorf("%w: no node of the cluster owns shard %d, that of %s", actors.ErrUnavailable, shard, id)
	case owner == c.o.Node:
		return fmt.Errorf("%w: this node does not own shard %d, that of %s, yet or any more", actors.ErrUnavailable, shard, id)
	}
	return fmt.Errorf("%w: shard %d, that of %s, is that of the node %s", actors.ErrUnavailable, shard, id, owner)
}

// addKey notes that a key is about to get a worker. It reports false if that must not be.
func (c *cluster) addKey(id string) bool {
	p := &c.parts[c.shardOf(id)]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rev == 0 || p.ending {
		return false
	}
	if _, is := p.keys[id]; !is { // else the worker before has not ended
		if p.keys == nil {
			p.keys = map[string]uint64{}
		}
		p.keys[id] = 0
	}
	return true
}

// beginKey notes under which token the worker of a key begins.
func (c *cluster) beginKey(id string) {
	p := &c.parts[c.shardOf(id)]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys[id] = p.rev
}

// removeKey notes that the last worker of a key has ended.
func (c *cluster) removeKey(id string) {
	p := &c.parts[c.shardOf(id)]
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.keys, id)
	p.tellIfEndedHeld()
}

// TokenOf is the token of the shard of the key whose worker t is a task of: what t saves with it is refused once
// the shard has another owner. It fails with [actors.ErrFenced] when the lease is over under which the worker has
// begun, and for a task of any other worker, or of a grid without a Store.
func TokenOf(t *actors.Task) (Token, error) {
	id, is := keyOfWorker(t.Self())
	if g := persystem.Of[hub](t.ActorSystem()).grid.Load(); is && g != nil && g.cluster != nil {
		c := g.cluster
		shard := c.shardOf(id)
		p := &c.parts[shard]
		p.mu.Lock()
		rev, now := p.keys[id], p.rev
		p.mu.Unlock()
		if rev != 0 && rev == now && c.isOwned(id) {
			return Token{shard, rev}, nil
		}
	}
	return Token{}, fmt.Errorf("%w: a task of %s has no token", actors.ErrFenced, id)
}

// startCluster joins, if there is a Store.
func (g *Grid) startCluster(ctx context.Context) error {
	if g.cluster == nil {
		return nil
	}
	m := g.cluster.join()
	if err := m.joinedBy(ctx); err != nil {
		m.quit()
		if g.cluster.net != nil {
			g.cluster.net.close()
		}
		return fmt.Errorf("grid: not started: could not join the cluster: %w", err)
	}
	return nil
}
