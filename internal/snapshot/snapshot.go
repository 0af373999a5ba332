// SPDX-License-Identifier: Apache-2.0

// Package snapshot is what package inspect gets of the workers of package actors: plain
// values. The documentation of the fields is in inspect.
//
// Inspect declares the same fields again. It imports package actors, whose Counts it shows, so
// actors cannot fill in inspect's types; and if inspect's were aliases of these, its documentation
// would show no field. A test of inspect fails where the two differ.
package snapshot

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/persystem"
	"github.com/protoloop/protoloop/internal/supervision"
)

// Source looks at the workers of an actor system.
type Source interface {
	// Look shows each worker, or each that a turn holds up. n is how many there are,
	// and i, from 0 on, the place of this one in the order of their PIDs. What w points
	// to is lent until show returns. A worker may be shown again, with more to see.
	Look(blocked bool, show func(i, n int, w *Worker))
}

// Worker is an inspect.Worker.
type Worker struct {
	PID                       *actor.PID
	State                     string
	Incarnation               uint64
	Queued                    int64
	OldestWait                time.Duration
	Tasks                     []Task // lent, too
	Exclusive                 string
	BlockedTurns              int64
	Offloads, OffloadsWaiting int
	Delayed                   int
	NextDelayed               time.Time
	Blocked                   *Turn
	Counts                    supervision.Counts
}

// Task is an inspect.Task.
type Task struct {
	Name   string
	State  string
	Awaits string
	On     *actor.PID
	Age    time.Duration
	Budget time.Duration
}

// Turn is an inspect.Turn.
type Turn struct {
	Task  string
	Since time.Time
	Stack []byte
}

// Register makes s the source of an actor system.
func Register(sys *actor.ActorSystem, s Source) { persystem.Of[registered](sys).Store(&s) }

// SourceOf is the source of an actor system; nil: it has had no worker yet.
func SourceOf(sys *actor.ActorSystem) Source {
	if s := persystem.Of[registered](sys).Load(); s != nil {
		return *s
	}
	return nil
}

type registered struct{ atomic.Pointer[Source] }
