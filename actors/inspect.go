// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/loop"
)

// Snapshot is all workers of an actor system at about one moment: values only.
type Snapshot struct {
	At      time.Time
	Workers []WorkerInfo // by PID
}

// WorkerInfo is a worker, or a plain actor on an EventLoop.
type WorkerInfo struct {
	PID *actor.PID
	// State is "starting", "setup", "running", "stopping" (the stop event is
	// set and work goes on), "unwinding", "stop hooks" or "released"; "busy" if
	// the loop was between two turns at each look: then Tasks is empty and
	// Incarnation 0.
	State       string
	Incarnation uint64 // 1 is the first
	Queued      int64  // messages and submissions that have not started
	// OldestWait is how long the first of them has been seen to wait: it is
	// looked for while the worker works, every half BlockedTurn.
	OldestWait   time.Duration
	Tasks        []TaskInfo // that have started and not ended: the running one first
	Exclusive    string     // name of the Exclusive task that holds all others back
	BlockedTurns int64      // so far
	// Offloads is how many functions run for the worker outside of it, and
	// OffloadsWaiting how many have no place yet: of its MaxOffloads, or of a
	// Limiter.
	Offloads, OffloadsWaiting int
	Blocked                   *BlockedInfo
	Counts                    Counts
}

// TaskInfo is a task that has started and not ended.
type TaskInfo struct {
	Name string // as in logs and reports
	// State is "running", "awaiting" or "ready": what it awaits is there, and
	// its turn will come.
	State string
	// Awaits is the name of the future that it awaits: of its task, or
	// "promise", "combination"; empty if it sleeps, or awaits nothing.
	Awaits string
	// On is the worker that owes the awaited future; nil if none does.
	On *actor.PID
	// Age is how long ago it has first awaited something, to half a
	// BlockedTurn; 0: it has not, or BlockedTurn is off.
	Age    time.Duration
	Budget time.Duration // that is left; 0: no end
}

// BlockedInfo is a turn that lasts longer than BlockedTurn.
type BlockedInfo struct {
	Task  string
	Since time.Time // when the turn was first seen: it began at most half a BlockedTurn before
	Stack []byte    // nil if the turn ended before it was looked at
}

// Inspect shows what the workers of an actor system are doing. It waits for
// none of them, also not for one that is blocked for good, and takes no turn
// of theirs: one that ends while its worker is looked at waits for 50 µs at most.
// Print the snapshot to read it: see [Snapshot.String].
func Inspect(sys *actor.ActorSystem) Snapshot {
	return systemOf(sys).inspect(func(*mailbox) bool { return true })
}

// InspectBlocked is [Inspect] of those workers alone that a turn holds up for longer
// than BlockedTurn now. It costs next to nothing if there is none, so that a health
// probe may ask as often as it likes.
func InspectBlocked(sys *actor.ActorSystem) Snapshot {
	return systemOf(sys).inspect(func(mb *mailbox) bool {
		b := mb.blocked.Load()
		if b == nil {
			return false
		}
		lt := b.task.Value()
		return lt != nil && lt.Running()
	})
}

// inspectPatience is how often, at peekAgain from each other, a snapshot looks
// again at loops that were between two turns: in all, not for each.
const inspectPatience = 5

// inspect looks at the workers that are wanted.
func (s *system) inspect(wanted func(*mailbox) bool) Snapshot {
	snap := Snapshot{At: time.Now()}
	s.mu.RLock()
	var all []*mailbox
	for _, mb := range s.workers {
		if wanted(mb) {
			all = append(all, mb)
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(all, func(a, b *mailbox) int { return cmp.Compare(a.pid.Id, b.pid.Id) })
	snap.Workers = make([]WorkerInfo, len(all))
	missed := make([]int, len(all))
	for i := range missed {
		missed[i] = i
	}
	var in inspection
	for {
		again := missed[:0]
		for _, i := range missed {
			if !in.worker(all[i], &snap.Workers[i]) {
				again = append(again, i)
			}
		}
		if missed = again; len(missed) == 0 || in.waits >= inspectPatience {
			return snap
		}
		in.wait()
	}
}

// inspection is one look at many workers.
type inspection struct {
	waits int        // so often it has waited for loops
	seen  []seenTask // space for those of one worker
}

func (in *inspection) wait() {
	in.waits++
	time.Sleep(peekAgain)
}

// worker looks at one worker. What the loop owns is copied while it stands still,
// and read afterwards as far as it is constant or published. It reports false if
// the loop was between two turns.
func (in *inspection) worker(mb *mailbox, w *WorkerInfo) bool {
	*w = WorkerInfo{PID: mb.pid, State: "busy"}
	var running, exclusive *Task
	var age time.Duration // of running
	seen := in.seen[:0]
	begun, done := false, false
	walk := mb.loop.Suspended()
	look := func(cur *loop.Task) {
		if !begun {
			begun = true
			w.State, w.Incarnation = mb.state(), mb.life.incarnation
			if cur != nil {
				running = taskOfLoop(cur)
			}
			if x := mb.loop.Exclusive(); x != nil {
				exclusive = taskOfLoop(x)
			}
		}
		done = walk.Next(func(lt *loop.Task) {
			switch t := taskOfLoop(lt); {
			case t == nil:
			case t == running:
				age = mb.loop.Age(lt)
			default:
				seen = append(seen, seenTask{t, mb.loop.Age(lt)})
			}
		})
	}
	for !done {
		seen = slices.Grow(seen, loop.StretchTasks) // not while the loop waits
		stood, held := mb.loop.Peek(look)
		switch {
		case held:
			runtime.Gosched() // a turn has waited for us
		case stood:
		case begun && in.waits < inspectPatience:
			in.wait()
		case begun: // it has to do without the rest
			mb.leaveWalk(walk)
			done = true
		default:
			done = true
		}
	}
	in.seen = seen
	w.Queued, w.OldestWait = mb.queued(), mb.loop.OldestWait()
	w.Counts = mb.readCounts()
	w.BlockedTurns = mb.blockedTurns.Load()
	w.OffloadsWaiting = int(mb.offloadsWaiting.Load())
	w.Offloads = max(0, mb.offloaded.n()-w.OffloadsWaiting)
	if !begun {
		return false
	}
	w.Tasks = make([]TaskInfo, 0, len(seen)+1)
	if running != nil {
		w.Tasks = append(w.Tasks, TaskInfo{Name: running.name(), State: "running", Age: age, Budget: running.left()})
		if b := mb.blocked.Load(); b != nil && b.task.Value() == &running.lt && running.lt.Running() {
			w.Blocked = &BlockedInfo{running.name(), b.since, b.stack}
		}
	}
	for _, t := range seen {
		w.Tasks = append(w.Tasks, t.info(t.age))
	}
	if exclusive != nil {
		w.Exclusive = exclusive.name()
	}
	clear(seen)
	return true
}

// leaveWalk lets the loop take the place of a walk out of its list.
func (mb *mailbox) leaveWalk(walk *loop.Suspended) { mb.loop.PostControl(leaveWalk{walk}) }

type seenTask struct {
	*Task
	age time.Duration
}

// state is the worker's, as a word. In Peek or on the loop.
func (mb *mailbox) state() string {
	if mb.gate.Load() == gateStopping && mb.life.Phase() == life.PhaseRunning {
		return "stopping"
	}
	return mb.life.Phase().State()
}

func taskOfLoop(lt *loop.Task) *Task {
	if b, ok := lt.Body.(body); ok {
		return b.task()
	}
	return nil
}

// info is a suspended task.
func (t *Task) info(age time.Duration) TaskInfo {
	i := TaskInfo{Name: t.name(), State: "awaiting", Age: age, Budget: t.left()}
	if !t.lt.Asleep() {
		i.State = "ready"
	}
	if c := t.awaits.Load(); c != nil && !c.done.Load() {
		i.Awaits, i.On = c.describe()
	}
	return i
}

// left is what is left of the task's budget.
func (t *Task) left() time.Duration {
	if s := t.ext.Load(); s != nil && t.system() != nil && s.deadline > 0 {
		return max(1, s.deadline-t.system().pool.Now())
	}
	return 0
}

// describe names a future for whoever looks at somebody that awaits it.
func (c *core) describe() (name string, on *actor.PID) {
	switch o := c.owner.Load(); {
	case o != nil && o.lifetime == carrier:
		return fmt.Sprintf("answer to %s", o.name()), nil
	case o != nil && o.lifetime == aside:
		if b, ok := o.lt.Body.(interface{ waitsForPlace() bool }); ok && b.waitsForPlace() {
			return o.name() + ", which waits for a place", o.mb.pid
		}
		return o.name(), o.mb.pid
	case o != nil && o.attached != nil:
		return o.name(), o.mb.pid
	case o != nil:
		return o.name(), nil
	case c.deps() != nil:
		return "combination", nil
	}
	return "promise", nil
}
