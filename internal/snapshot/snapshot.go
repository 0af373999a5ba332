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
	// Look shows each worker that o asks for. n is how many there are,
	// and i, from 0 on, the place of this one in the order of their PIDs. What w points
	// to is lent until show returns. A worker may be shown again, with more to see.
	Look(o Options, show func(i, n int, w *Worker)) (groups []Group, roots []Root)
	// CancelTask cancels a task, and reports whether that ended it.
	CancelTask(ref TaskRef, cause error) bool
	// Size is what the workers share.
	Size() Size
	// Kinds are the kinds of workers that there are, or have been, by name.
	Kinds() []Kind
	// EachRunning calls f with each task whose turn it is.
	EachRunning(f func(kind string, worker *actor.PID, task string))
}

// Options are inspect.Options, with whether only workers are looked at that a turn holds up.
type Options struct {
	Worker  *actor.PID
	Tasks   int // no default: 0 is none
	After   uint64
	Like    *Group
	Groups  bool
	Lines   bool
	Roots   bool
	Blocked bool
}

// TaskRef is an inspect.TaskRef.
type TaskRef struct {
	Worker      *actor.PID
	Incarnation uint64
	ID          uint64
}

// Worker is an inspect.Worker.
type Worker struct {
	PID                       *actor.PID
	Kind                      string
	State                     string
	Incarnation               uint64
	ToldToEnd                 time.Time
	Queued, MailboxSize       int64
	OldestWait                time.Duration
	Live                      int
	Tasks                     []Task // lent, too
	Exclusive                 string
	BlockedTurns              int64
	Offloads, OffloadsWaiting int
	Timers                    int
	Delayed                   int
	NextDelayed               time.Time
	Blocked                   *Turn
	Counts                    supervision.Counts
}

// Task is an inspect.Task.
type Task struct {
	Ref           TaskRef
	Name          string
	State         string
	Awaits        string
	On            *actor.PID
	Creator       string
	CreatorWorker *actor.PID
	Age           time.Duration
	Budget        time.Duration
	ToldToEnd     time.Time
}

// Turn is an inspect.Turn.
type Turn struct {
	Task  string
	Since time.Time
	Stack []byte
}

// Group is an inspect.Group.
type Group struct {
	Kind       string
	Task       string
	State      string
	Awaits     string
	Of         string
	Line       string
	Tasks      int
	Workers    int
	Oldest     time.Duration
	Example    TaskRef
	ToldToEnd  int
	OverBudget int
	FirstTold  time.Time
	Told       TaskRef
}

// Root is an inspect.Root.
type Root struct {
	Is      string
	Worker  *actor.PID
	Kind    string
	Name    string
	Ref     TaskRef
	Age     time.Duration
	Blocked *Turn
	Tasks   int
	Workers int
	Queued  int64
	N       int
	Ring    []RingMember
}

// RingMember is an inspect.RingMember.
type RingMember struct {
	Ref  TaskRef
	Kind string
	Task string
}

// Size is an inspect.Shared.
type Size struct {
	Workers, Waiting               int
	Runners, RunnersIdle, LongTurn int
	CoroutinesIdle                 int
	Deadlines                      int
	Offloads, OffloadsWaiting      int
	UnansweredRequests             int
}

// Buckets is how many a histogram has.
const Buckets = 40

// Histogram is an inspect.Histogram.
type Histogram struct {
	Counts [Buckets]int64
	Sum    time.Duration
}

// Kind is an inspect.Kind.
type Kind struct {
	Name                      string
	Workers, Stopping         int
	Counts                    supervision.Counts
	Queued                    int64
	OldestWait                time.Duration
	Blocked                   int
	BlockedTurns              int64
	Restarts, Failed          int64
	Offloads, OffloadsWaiting int
	QueueWait, TurnTime       Histogram
	Failures                  []PastFailure
}

// PastFailure is an inspect.PastFailure.
type PastFailure struct {
	At     time.Time
	Worker *actor.PID
	Task   string
	Kind   string
	Err    string
	Stack  []byte
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
