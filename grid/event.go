// SPDX-License-Identifier: Apache-2.0

package grid

import "github.com/asynkron/protoactor-go/actor"

// Event is something that has happened in a cluster, as this node has seen it, or to what was published.
type Event struct {
	Kind EventKind
	// Node is whom it is about: of ShardGivenUp the node that the shard belongs to now, "" if there is none.
	Node string
	// Session is that of the node, of Joined, Left, Suspected, Lost, CutOff and Reached.
	Session uint64
	// Shard and Token are those of ShardGained and ShardGivenUp.
	Shard int
	Token Token
	// Topic, Worker and Count are those of Missed: Worker is nil if it is all workers of this node, and Count 0 if nobody
	// knows how many there were.
	Topic  string
	Worker *actor.PID
	Count  int
	// Dropped is how many events came between this one and the last, and were dropped.
	Dropped int
}

// EventKind is what has happened.
type EventKind int

// The kinds of events.
const (
	Joined       EventKind = iota + 1 // the node is in the cluster
	Left                              // it has drained, and is there no more
	Suspected                         // the network has lost it; it may live
	Lost                              // its session is over
	ShardGained                       // this node owns the shard
	ShardGivenUp                      // it hands the shard over
	Fenced                            // the session of this node is over, and with it its right to all shards
	Missed                            // a worker, or all of this node, may not have got what was published to a topic; see [Topic]
	CutOff                            // the network has not reached the node for long, which lives: its shards go to others
	Reached                           // the network reaches that again
)

// String is the name of the kind.
func (k EventKind) String() string {
	names := [...]string{"none", "joined", "left", "suspected", "lost", "shard gained", "shard given up", "fenced", "missed", "cut off", "reached"}
	if k < 0 || int(k) >= len(names) {
		k = 0
	}
	return names[k]
}

// maxEvents is how many wait for OnEvent.
const maxEvents = 1024

// listen lets OnEvent hear of events.
func (g *Grid) listen(on func(Event)) {
	if on != nil {
		g.events.Add(g.log, "grid: OnEvent", maxEvents, func(e Event, dropped int) {
			e.Dropped = dropped
			on(e)
		})
	}
}

// tell tells OnEvent, in its own time.
func (g *Grid) tell(e Event) {
	if g.events.Wanted() {
		g.events.Tell(e)
	}
}
