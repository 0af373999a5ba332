// SPDX-License-Identifier: Apache-2.0

package otelloop

import (
	"maps"
	"slices"
	"weak"

	"github.com/protoloop/protoloop/grid"
)

// gridSums tracks the counts of the last grid, and of those before it: no sum shrinks.
type gridSums struct {
	of     weak.Pointer[grid.Grid]
	last   gridCounts
	before gridCounts
	kinds  names
}

// gridCounts is what grows of a [grid.Info].
type gridCounts struct {
	unknown, frames int64
	topics          grid.TopicCounts
}

func countsOfGrid(i grid.Info) gridCounts { return gridCounts{i.Unknown, i.Frames, i.Topics} }

func (c gridCounts) plus(o gridCounts) gridCounts {
	t, u := c.topics, o.topics
	return gridCounts{c.unknown + o.unknown, c.frames + o.frames, grid.TopicCounts{
		Published: t.Published + u.Published, Received: t.Received + u.Received, Delivered: t.Delivered + u.Delivered, Full: t.Full + u.Full, Refused: t.Refused + u.Refused,
	}}
}

// addGrid adds what there is of the grid of the actor system.
func (p *producer) addGrid(b *builder) {
	s := &p.grid
	s.kinds.most = p.kinds.most
	g, last := grid.Of(p.sys), s.of.Value()
	if last != nil && last != g { // its drain may have counted more
		s.last = countsOfGrid(last.Info())
	}
	var i grid.Info
	if g != nil {
		i = g.Info()
		if g != last {
			s.before, s.of = s.before.plus(s.last), weak.Make(g)
		}
		s.last = countsOfGrid(i)
	}
	sum := s.before.plus(s.last)
	if g == nil && sum == (gridCounts{}) {
		return
	}
	if g != nil {
		const nodes, shards, asks = "Nodes of the grid, as this one sees it.", "Shards of the grid that this node owns.", "Asks between nodes that have no answer yet."
		b.upDown("protoloop.grid.node", "{node}", nodes, int64(i.Nodes))
		b.upDown("protoloop.grid.shard", "{shard}", shards, int64(i.Shards))
		b.upDown("protoloop.grid.ask", "{message}", asks, int64(i.Asking), directionKey.String("transmit"))
		b.upDown("protoloop.grid.ask", "{message}", asks, int64(i.Answering), directionKey.String("receive"))
		failing := map[string]int{}
		for kind, n := range i.Failing {
			failing[s.kinds.label(kind)] += n
		}
		for _, kind := range slices.Sorted(maps.Keys(failing)) {
			b.upDown("protoloop.grid.failing", "{key}", "Keys that wait to be started again after failures.", int64(failing[kind]), gridKindKey.String(kind))
		}
	}
	b.count("protoloop.grid.unknown", "{message}", "Messages to kinds of keys that there are not.", sum.unknown)
	b.count("protoloop.grid.frame.refused", "{frame}", "Frames of other nodes that no node sends.", sum.frames)
	for _, has := range []struct {
		become string
		n      int64
	}{
		{"published", sum.topics.Published}, {"received", sum.topics.Received}, {"delivered", sum.topics.Delivered}, {"full", sum.topics.Full}, {"refused", sum.topics.Refused},
	} {
		b.count("protoloop.grid.topic", "{message}", "What was published in topics, and what has become of it.", has.n, topicStepKey.String(has.become))
	}
}
