// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/snapshot"
)

// WorkerKind is the workers of one kind together, those that are gone included. All that is counted only grows, but for Counts.Pending and what is said to be of now.
type WorkerKind struct {
	Name string // see actors.Options.Kind; "_OTHER" is all beyond a thousand

	Workers    int           // now
	Stopping   int           // now: of these, those whose stop event is set
	Queued     int64         // now: messages and submissions that have not started
	OldestWait time.Duration // now: the longest of a Worker
	Blocked    int           // now: workers that a turn holds up
	// Offloads is how many functions run now outside of the workers, and OffloadsWaiting how many wait for a place.
	Offloads, OffloadsWaiting int

	Counts       actors.Counts
	BlockedTurns int64
	Restarts     int64
	// Failed is how many failures there have been that OnFailure tells of, but for dead letters
	// and restarts.
	Failed int64

	// QueueWait is how long messages and submissions have waited for their turn, and TurnTime how long turns have
	// taken, of one in 64 of them.
	QueueWait, TurnTime Histogram

	// Failures are the last eight, the last one first.
	Failures []PastFailure
}

// PastFailure is a failure that is over, as text.
type PastFailure struct {
	At     time.Time
	Worker *actor.PID
	Task   string
	Kind   Kind
	Err    string // 2 KiB at most
	Stack  []byte // 16 KiB at most; nil: it has none
}

// Histogram counts durations by powers of two. One in 64 was measured.
type Histogram struct {
	// Counts[i] is how many were less than 1<<i nanoseconds and no less than half of that; the last one has all that are longer.
	Counts [snapshot.Buckets]int64
	Sum    time.Duration
}

// N is how many were measured.
func (h *Histogram) N() (n int64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Bound is what the durations that Counts[i] counts were less than.
func (h *Histogram) Bound(i int) time.Duration { return 1 << i }

// Quantile is what a part of them, such as 0.99, were less than: a bound, and so up to twice as long. 0: there is none.
func (h *Histogram) Quantile(q float64) time.Duration {
	n := h.N()
	if n == 0 {
		return 0
	}
	want := int64(q*float64(n-1)) + 1
	for i, c := range h.Counts {
		if want -= c; want <= 0 {
			return h.Bound(i)
		}
	}
	return h.Bound(len(h.Counts) - 1)
}

// Since is what was measured after an earlier reading.
func (h *Histogram) Since(before *Histogram) (out Histogram) {
	out.Sum = h.Sum - before.Sum
	for i := range h.Counts {
		out.Counts[i] = h.Counts[i] - before.Counts[i]
	}
	return out
}

// Kinds are the kinds of workers that an actor system has, or has had, by name. It looks at no task and keeps nobody waiting:
// counters are read, for a metric.
func Kinds(sys *actor.ActorSystem) []WorkerKind {
	source := snapshot.SourceOf(systemOf(sys, "Kinds"))
	if source == nil {
		return nil
	}
	var all []WorkerKind
	for _, k := range source.Kinds() {
		out := WorkerKind{
			Name: k.Name, Workers: k.Workers, Stopping: k.Stopping, Queued: k.Queued, OldestWait: k.OldestWait, Blocked: k.Blocked,
			Offloads: k.Offloads, OffloadsWaiting: k.OffloadsWaiting,
			Counts: actors.Counts(k.Counts), BlockedTurns: k.BlockedTurns, Restarts: k.Restarts, Failed: k.Failed,
			QueueWait: Histogram(k.QueueWait), TurnTime: Histogram(k.TurnTime),
		}
		for _, f := range k.Failures {
			out.Failures = append(out.Failures, PastFailure{f.At, f.Worker, f.Task, Kind(f.Kind), f.Err, f.Stack})
		}
		all = append(all, out)
	}
	slices.SortFunc(all, func(a, b WorkerKind) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Shared is what the workers of an actor system share.
type Shared struct {
	Workers int // on event loops
	Waiting int // … of them, that have something to do and wait for a runner

	Runners        int // goroutines that run workers
	RunnersIdle    int // … of them, that have nothing to do
	LongTurn       int // … that are in a turn of 0.1 ms or more, so that another one has their place
	CoroutinesIdle int // kept for tasks that will await

	Deadlines                 int // of tasks with a budget
	Offloads, OffloadsWaiting int // functions that run outside of workers, or have no place yet
	UnansweredRequests        int // to plain or remote actors
}

// SharedBy is what the workers of an actor system share, now.
func SharedBy(sys *actor.ActorSystem) Shared {
	source := snapshot.SourceOf(systemOf(sys, "SharedBy"))
	if source == nil {
		return Shared{}
	}
	return Shared(source.Size())
}

// samplePeriod is how often a Sampler looks.
const samplePeriod = 10 * time.Millisecond

// maxShares is how many tasks a Sampler tells apart between two readings.
const maxShares = 1000

// Share is how much of the time a turn of a task was under way.
type Share struct {
	Kind   string
	Worker *actor.PID // nil of "_OTHER": all beyond a thousand
	Task   string     // its name
	// Busy is the part of the looks, 100 in a second, that have found a turn of it: 1 is a worker that does
	// nothing else. A turn that blocks counts, too.
	Busy float64
}

// Sampler says which tasks the turns of an actor system are of, by looking at them 100 times a second. A look costs
// about a microsecond for each turn that is under way.
type Sampler struct {
	end  chan struct{}
	over sync.WaitGroup

	mu    sync.Mutex
	looks int
	found map[shareKey]*foundTurns
}

type shareKey struct{ kind, worker, task string }

type foundTurns struct {
	pid *actor.PID
	n   int
}

// StartSampler begins to look. It ends with [Sampler.Stop].
func StartSampler(sys *actor.ActorSystem) *Sampler {
	systemOf(sys, "StartSampler")
	s := &Sampler{end: make(chan struct{}), found: map[shareKey]*foundTurns{}}
	s.over.Go(func() {
		tick := time.NewTicker(samplePeriod)
		defer tick.Stop()
		for {
			select {
			case <-s.end:
				return
			case <-tick.C:
				s.look(sys)
			}
		}
	})
	return s
}

// look is one look.
func (s *Sampler) look(sys *actor.ActorSystem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	source := snapshot.SourceOf(sys)
	if source == nil {
		return
	}
	source.EachRunning(func(kind string, worker *actor.PID, task string) {
		key := shareKey{kind, worker.Id, task}
		f := s.found[key]
		if f == nil {
			if len(s.found) >= maxShares {
				key, worker = shareKey{"_OTHER", "", ""}, nil
				f = s.found[key]
			}
			if f == nil {
				f = &foundTurns{pid: worker}
				s.found[key] = f
			}
		}
		f.n++
	})
}

// Shares is what was found since the last call, or the start, the largest share first.
func (s *Sampler) Shares() (all []Share) {
	s.mu.Lock()
	looks, found := s.looks, s.found
	s.looks, s.found = 0, map[shareKey]*foundTurns{}
	s.mu.Unlock()
	for key, f := range found {
		all = append(all, Share{key.kind, f.pid, key.task, float64(f.n) / float64(max(1, looks))})
	}
	slices.SortFunc(all, func(a, b Share) int {
		if a.Busy != b.Busy {
			if a.Busy > b.Busy {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Worker.GetId()+a.Task, b.Worker.GetId()+b.Task)
	})
	return all
}

// Stop ends the looking.
func (s *Sampler) Stop() {
	close(s.end)
	s.over.Wait()
}
