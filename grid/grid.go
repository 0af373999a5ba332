// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/callerctx"
	"github.com/protoloop/protoloop/internal/engine"
	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/persystem"
	"github.com/protoloop/protoloop/internal/safelog"
	"github.com/protoloop/protoloop/internal/subscribers"
)

// Address is that of the PIDs of keys. No actor has it.
const Address = "grid"

// workerPrefix begins the names that the workers of keys have in the actor system.
const workerPrefix = Address + "/"

// Grid is the keys of an actor system, and their workers. Any goroutine may call its methods.
type Grid struct {
	sys   *actor.ActorSystem
	hub   *hub
	log   *slog.Logger
	kinds []*kind
	// cluster is nil if there is no Store: then all keys are this process's.
	cluster *cluster

	seed    maphash.Seed
	stripes [stripeCount]stripe

	live    atomic.Int64 // workers that have not ended
	unknown atomic.Int64 // messages to kinds that there are not
	ailing  atomic.Int64 // keys with an ailment

	events      subscribers.List[Event]
	topicCounts topicCount

	failures *failure.Hooks
	refusals refusalLog
	janitor  janitor

	mu      sync.Mutex
	begun   time.Time     // of the drain
	drained chan struct{} // closed when it is over; nil: it has not begun
	took    time.Duration

	told toldAccount
	// draining is set before the workers are stopped, and looked at with the mu of a stripe held.
	draining atomic.Bool
}

// hub is what the grids of an actor system have in common: the process of all PIDs of keys,
// which live longer than a grid.
type hub struct {
	mu      sync.Mutex
	plain   *actor.RootContext // without middleware
	process actor.Process      // nil: none was started
	grid    atomic.Pointer[Grid]
}

// Start makes the kinds known, and starts no worker. There is one grid at a time in an actor
// system. A ctx that has ended prevents it. With a Store it joins the cluster, which lasts
// until the store answers, or until ctx ends.
//
// The first Start tells the engine where the PIDs of keys lead, and the engine keeps that in a
// list without a lock. So it comes before the system sends to another address for the first
// time: it fails if the engine's remote runs already.
func Start(ctx context.Context, sys *actor.ActorSystem, o Options) (*Grid, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("grid: not started: %w", err)
	}
	g := &Grid{sys: sys, log: safelog.Contain(cmp.Or(o.Logger, sys.Logger())), seed: maphash.MakeSeed(), failures: failure.Of(sys)}
	for _, k := range o.Kinds {
		g.kinds = append(g.kinds, newKind(g, len(g.kinds), k.resolved()))
	}
	g.listen(o.OnEvent)
	if o.Store != nil {
		g.cluster = newCluster(g, o.resolved())
	}
	for i := range g.stripes {
		g.stripes[i].ended = make([]actors.Counts, len(g.kinds))
	}
	if err := g.register(persystem.Of[hub](sys)); err != nil {
		return nil, err
	}
	if err := g.startCluster(ctx); err != nil {
		<-g.beginDrain() // another may be started in its place
		return nil, err
	}
	if g.cluster == nil {
		g.keepAllUp()
	}
	return g, nil
}

// register makes g the grid of its actor system.
func (g *Grid) register(h *hub) error {
	g.hub = h
	sys := g.sys
	h.mu.Lock()
	defer h.mu.Unlock()
	if before := h.grid.Load(); before != nil && !before.isDrained() {
		return errors.New("grid: there is one in this actor system; drain it first")
	}
	if h.process == nil {
		if sys.ProcessRegistry.Address != "nonhost" {
			return errors.New("grid: the remote of the actor system runs already: start the grid before it, because the engine reads its list of addresses without a lock")
		}
		h.grid.Store(g) // before anybody finds the process
		h.plain = actor.NewRootContext(sys, nil)
		h.process = &process{hub: h, sys: sys}
		sys.ProcessRegistry.RegisterAddressResolver(func(pid *actor.PID) (actor.Process, bool) {
			return h.process, pid.Address == Address
		})
	}
	h.grid.Store(g)
	return nil
}

// PID is that of a key: whoever is sent to there is the worker of that key at that moment.
// Requests, futures and plain sends take it as any other PID; it may be kept, and sent to
// others of this process. It has no life of its own: it cannot be watched or stopped, and a
// function cannot be submitted to it.
//
// It panics for an empty kind or id. A message to a kind that there is not fails with
// [actors.ErrDeadLetter].
func (g *Grid) PID(kind, id string) *actor.PID {
	if kind == "" || id == "" || strings.Contains(kind, "/") {
		panic(fmt.Sprintf("grid: PID called with the kind %q and the id %q: neither may be empty, and a kind has no slash", kind, id))
	}
	pid := pidOf(kind + "/" + id)
	engine.KeepProcess(pid, &g.hub.process)
	return pid
}

func pidOf(id string) *actor.PID { return actor.NewPID(Address, id) }

// network is nil without a Net.
func (g *Grid) network() *network {
	if g.cluster == nil {
		return nil
	}
	return g.cluster.net
}

// Nodes is the nodes of the cluster as this one sees it, in the order of their sessions. Without a Store there are none.
func (g *Grid) Nodes() []Node {
	if g.cluster == nil {
		return nil
	}
	return g.cluster.member.Load().allNodes()
}

// Where is the node that has a key, and the token of its shard. That it has a worker there is not said, and none is
// started. Another node is asked: it fails with [actors.ErrUnavailable] if nobody has the key, and with
// [context.Cause] when ctx ends before. A moment later it may be elsewhere.
//
// Without a Net the token of another node's shard is not known: its Rev is 0. Without a Store the name is empty.
func (g *Grid) Where(ctx context.Context, kind, id string) (node string, t Token, err error) {
	key := g.PID(kind, id).Id
	c := g.cluster
	if c == nil {
		return "", Token{}, nil
	}
	if by := callerctx.Of(ctx); by != nil && by.InTask() {
		panic("grid: Where called with the context of a task: it would block the worker; call it in actors.Offload")
	}
	shard := c.shardOf(key)
	if t, is := c.member.Load().tokenOf(shard); is {
		return c.o.Node, t, nil
	}
	if c.net != nil {
		return c.net.where(ctx, key, shard)
	}
	if owner := c.member.Load().ownerPeer(shard); owner.Session != 0 && owner.Node != c.o.Node {
		return owner.Node, Token{Shard: shard}, nil
	}
	return "", Token{}, c.errNotOwner(key)
}

// kindOf is that of a key, by the id of its PID, or nil. A key without an id is none: not everybody asks by way of [Grid.PID].
func (g *Grid) kindOf(id string) *kind {
	for _, k := range g.kinds {
		if len(id) > len(k.prefix) && strings.HasPrefix(id, k.prefix) {
			return k
		}
	}
	return nil
}

// KindInfo is how the keys of a kind are at one moment.
type KindInfo struct {
	Name     string
	Active   int // keys whose worker is up, or restarts
	Starting int // … has not come up yet
	Stopping int // … takes nothing new; of such a key the next may be waiting, which is Starting
	Failing  int // keys that wait for their Backoff, without a worker
	// Counts is the account of all workers of the kind, with those that have ended, and of what
	// was refused before it came to one.
	Counts actors.Counts
}

// Kinds is all kinds, in the order in which they were given. It looks at each key.
func (g *Grid) Kinds() []KindInfo {
	all := make([]KindInfo, len(g.kinds))
	for i, k := range g.kinds {
		all[i].Name = k.Name
		n := k.refused.Load()
		all[i].Counts = actors.Counts{Offered: n, Refused: n}
	}
	now := time.Now()
	for i := range g.stripes {
		g.stripes[i].addTo(all, g, now)
	}
	return all
}
