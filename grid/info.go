// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/persystem"
)

// Of is the grid of an actor system, or nil: none was started, or it has been drained.
func Of(sys *actor.ActorSystem) *Grid {
	if sys == nil {
		panic("grid: Of called with a nil actor system")
	}
	if g := persystem.Of[hub](sys).grid.Load(); g != nil && !g.isDrained() {
		return g
	}
	return nil
}

// Info is how a grid is at one moment, but for its keys, of which there may be many: see [Grid.Kinds].
type Info struct {
	Node      string         // its name; empty without a Store, as the next two are 0
	Nodes     int            // of the cluster, as this one sees it
	Shards    int            // that this node owns
	Asking    int            // asks of this process that are with other nodes, and have no answer yet
	Answering int            // asks of other nodes that run or wait here
	Failing   map[string]int // by kind: keys that wait for their Backoff, without a worker
	Unknown   int64          // messages that went to kinds that there are not
	Frames    int64          // of other nodes that were refused: see [Report]
	Topics    TopicCounts    // what has become of what was published
}

// Info looks at each shard, at each key that has failed, and at no other.
func (g *Grid) Info() Info {
	i := Info{Failing: make(map[string]int, len(g.kinds)), Unknown: g.unknown.Load(), Topics: g.topicCounts.counts()}
	for _, k := range g.kinds {
		i.Failing[k.Name] = 0
	}
	now := time.Now()
	for s := range g.stripes {
		g.stripes[s].eachFailing(now, func(id string) { i.Failing[g.kindOf(id).Name]++ })
	}
	if c := g.cluster; c != nil {
		i.Node, i.Nodes = c.o.Node, len(g.Nodes())
		for p := range c.parts {
			if c.parts[p].isOwned() {
				i.Shards++
			}
		}
	}
	if n := g.network(); n != nil {
		i.Frames = n.bad.Load()
		i.Asking, i.Answering = n.asking.countWaiting(), n.countRunning()
	}
	return i
}

func (p *part) isOwned() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rev != 0
}

func (q *asking) countWaiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting
}

// countRunning is how many asks of other nodes have no answer yet.
func (n *network) countRunning() (running int) {
	if l := n.link.Load(); l != nil {
		for _, p := range l.allPeers() {
			running += int(p.running.Load())
		}
	}
	return running
}
