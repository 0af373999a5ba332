// SPDX-License-Identifier: Apache-2.0

// Package inspect looks into an actor system from outside: what its workers are doing at
// a moment, and what goes wrong in it.
//
// [System] is a snapshot of all workers, their tasks, and what each awaits of whom; printed,
// it is a table for somebody in an incident (asyncio.all_tasks, Erlang's observer).
// [Look] is the same of a part, or with more: tasks in groups, and what they wait for in the
// end. [Blocked] is the same of those workers that a turn holds up, for health probes.
// [CancelTask] ends a task that a snapshot has shown.
//
// [Kinds] are counters and histograms for metrics, [Sampler] says where the time goes, and
// [SharedBy] is what the workers share. [Observe] has functions of yours told of work, for traces, and
// [LabelTasks] names tasks in CPU profiles.
// [OnFailure] tells a function of yours what otherwise is only logged, for an alarm or a
// metric.
//
// Nothing here takes a turn of a worker, or waits for one.
package inspect

import (
	"math"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/snapshot"
)

// Snapshot is workers of an actor system at about one moment: values only.
type Snapshot struct {
	At      time.Time
	Workers []Worker // by PID
	// Groups are the tasks of these workers by what they do, the largest group first, 1,000 at most;
	// nil unless [Options].Groups.
	Groups []Group
	// Roots are who or what tasks wait for in the end, that for which most do first, 200 at most;
	// nil unless [Options].Roots.
	Roots []Root
}

// Worker is a worker, or a plain actor on an EventLoop.
type Worker struct {
	PID  *actor.PID
	Kind string // see actors.Options
	// State is "starting", "setup", "running", "stopping" (the stop event is
	// set and work goes on), "unwinding", "stop hooks", "quiesced" (it has ended,
	// and waits for its supervisor to restart it) or "released"; "busy" if
	// the loop was between two turns at each look: then Tasks is empty and
	// Incarnation 0.
	State       string
	Incarnation uint64 // 1 is the first
	// ToldToEnd is since when the worker stops, or restarts; zero: it does not.
	ToldToEnd time.Time
	Queued    int64 // messages and submissions that have not started
	// MailboxSize is the bound of Queued: what comes beyond it is refused. 0: there is none.
	MailboxSize int64
	// OldestWait is how long the first of them has been seen to wait: it is
	// looked for while the worker works, every half BlockedTurn.
	OldestWait   time.Duration
	Live         int    // tasks that have started and not ended
	Tasks        []Task // of these: the running one first, and then those that have awaited, the oldest first
	Exclusive    string // name of the Exclusive task that holds all others back
	BlockedTurns int64  // so far
	// Offloads is how many functions run for the worker outside of it, and
	// OffloadsWaiting how many have no place yet: of its MaxOffloads, or of a
	// Limiter.
	Offloads, OffloadsWaiting int
	Timers                    int // that its tasks have set, by Sleep or the like
	// Delayed is how many functions of Task.After wait until they are due, and
	// NextDelayed when the next of them is; zero: none waits.
	Delayed     int
	NextDelayed time.Time
	Blocked     *Turn // that holds the worker up now; nil: none does
	Counts      actors.Counts
}

// TaskRef names a task that has started: no other task of any worker of that name ever has the same. An
// ID is larger than those of the tasks that began before.
type TaskRef struct {
	Worker      *actor.PID
	Incarnation uint64
	ID          uint64
}

// Task is a task that has started and not ended.
type Task struct {
	Ref  TaskRef
	Name string // as in logs and reports
	// State is "running", "awaiting" or "ready": what it awaits is there, and
	// its turn will come.
	State string
	// Awaits is the name of the future that it awaits: of its task, or
	// "promise", "futures.All"; empty if it sleeps, or awaits nothing.
	Awaits string
	// On is who owes the awaited future: a worker, or a plain or remote actor that was
	// asked; nil if it is none of these.
	On *actor.PID
	// Creator is the name of the task that has created it, and CreatorWorker of which worker;
	// empty if none has, or that has ended.
	Creator       string
	CreatorWorker *actor.PID
	// Age is how long ago it has first awaited something, to half a
	// BlockedTurn; 0: it has not, or BlockedTurn is off.
	Age    time.Duration
	Budget time.Duration // that is left; 0: no end
	// ToldToEnd is when the task was ended, by a cancel or its budget, and not with its worker; zero: it
	// was not. That it is still here says that it does not await, or cleans up.
	ToldToEnd time.Time
}

// Turn is a turn that lasts longer than BlockedTurn.
type Turn struct {
	Task  string    // its name
	Since time.Time // when the turn was first seen: it began at most half a BlockedTurn before
	Stack []byte    // nil if the turn ended before it was looked at
}

// Group is tasks that do the same: of workers of one kind, with one name, in one state, awaiting the same of
// the same kind of worker. Where there are more than 200 groups, names that differ in their digits alone are one, with a # for them:
// "load user #".
type Group struct {
	Kind   string // of the workers
	Task   string // the name of each
	State  string
	Awaits string // as in Task
	// Of is the kind of the workers that owe what is awaited, or the id of a plain actor, with the address before it
	// if it is on another machine.
	Of string
	// Line is where they await, as "shop/order.go:31", if [Options].Lines asks for that. If there are several such
	// lines it is that of most of the tasks that were looked at.
	Line    string
	Tasks   int           // how many
	Workers int           // of so many workers
	Oldest  time.Duration // as Task.Age
	Example TaskRef       // the oldest
	// ToldToEnd is how many of them were told to end and are still here, as Task.ToldToEnd, OverBudget how
	// many of these because their budget is used up, FirstTold when the first of them was, and Told which that is.
	ToldToEnd, OverBudget int
	FirstTold             time.Time
	Told                  TaskRef
}

// Root is who or what tasks wait for in the end: by whatever chain of asks, awaits, queues and
// places, over however many workers.
type Root struct {
	// Is says what it is:
	//
	//	"turn"     a task that runs, and holds up all others of its worker
	//	"sleep"    a task that sleeps
	//	"offload"  a function that was given to Offload
	//	"actor"    a plain or remote actor that was asked, or another machine's
	//	"promise"  a future that anybody may complete: of a Promise, a Queue, an Event
	//	"answer"   an answer that somebody else is to give, since the handler has returned
	//	"queue"    a worker that is about to go on, or has no turn for the tasks in its queue
	//	"ring"     tasks that wait for each other: none will ever go on
	Is string
	// Worker is whose it is, or the actor; nil of a promise and a ring.
	Worker *actor.PID
	Kind   string        // of that worker
	Name   string        // of the task, of the function or of the future; of the message to an actor
	Ref    TaskRef       // of the task, if it is one that a look can see
	Age    time.Duration // of the task
	// Blocked is the turn if it lasts longer than BlockedTurn, with its stack.
	Blocked *Turn
	// Tasks is how many suspended tasks wait for it in the end, and Workers of how many workers they
	// are. A task that waits for several, as by futures.All, is counted for each, up to 32.
	Tasks, Workers int
	// Queued is how many messages and submissions have not started because of it: of a turn and a queue.
	Queued int64
	// N is how many things it stands for. Where there are more than 200 roots, those of one kind and name, but for digits, are one, which has
	// the Worker and Ref of one of them. Offloaded functions of one worker and name always are one, and those that wait for a place wait
	// for them; N is 1 then.
	N int
	// Ring is its members, each of which waits for the next one and the last for the first; 100 at most. Nil: it is no ring.
	Ring []RingMember
}

// RingMember is a task of a ring.
type RingMember struct {
	Ref  TaskRef // the ID is 0 if it has not started
	Kind string  // of its worker
	Task string  // its name
}

// All is all tasks, as [Options].Tasks.
const All = math.MaxInt

// defaultTasks is Options.Tasks if that is 0.
const defaultTasks = 200

// Options say what to look at. The zero value is all workers, with 200 tasks of each.
type Options struct {
	// Worker is the one to show; nil: all.
	Worker *actor.PID
	// Tasks is how many single tasks of each worker are shown at most: the one whose turn it is,
	// and then the oldest. 0: 200; negative: none; [All]: all.
	Tasks int
	// After shows those alone with a larger TaskRef.ID: the last one that was shown, to go on from there. 0: from the first one on.
	After uint64
	// Like shows single tasks of that group alone; nil: of all.
	Like *Group
	// Groups asks for Snapshot.Groups.
	Groups bool
	// Lines asks for the lines of code where the groups await. It costs some microseconds of a processor for each
	// goroutine of the process (BenchmarkStacks in internal/loop), and stops the world for a moment.
	Lines bool
	// Roots asks for Snapshot.Roots. It looks at all workers, also where Worker is only one.
	Roots bool
}

// System shows what the workers of an actor system are doing, with all their tasks: [Look] with that alone.
// Print the snapshot to read it: see [Snapshot.String].
func System(sys *actor.ActorSystem) Snapshot {
	return look(sys, "System", snapshot.Options{Tasks: All})
}

// Look shows what the workers of an actor system are doing. It waits for
// none of them, also not for one that is blocked for good, and takes no turn
// of theirs. A turn that ends while its worker is looked at waits until that look has met
// a thousand tasks at most, or for 50 µs (BenchmarkStretch in internal/loop), however many there are.
//
// What is shown of a worker with more tasks is not of one moment: each task that was there when the look
// at this worker began and still is when it ends is in it, once. Counts add up.
func Look(sys *actor.ActorSystem, o Options) Snapshot {
	in := snapshot.Options{Worker: o.Worker, Tasks: o.Tasks, After: o.After, Groups: o.Groups, Lines: o.Lines, Roots: o.Roots}
	switch {
	case o.Tasks == 0:
		in.Tasks = defaultTasks
	case o.Tasks < 0:
		in.Tasks = 0
	}
	if o.Like != nil {
		like := groupIn(*o.Like)
		in.Like = &like
	}
	return look(sys, "Look", in)
}

// Blocked is [System] of those workers alone that a turn holds up for longer
// than BlockedTurn now, without their tasks: Worker.Blocked says which turn it is. It costs
// next to nothing, however many tasks wait behind that turn, so that a health probe may ask as
// often as it likes.
func Blocked(sys *actor.ActorSystem) Snapshot {
	return look(sys, "Blocked", snapshot.Options{Blocked: true})
}

func look(sys *actor.ActorSystem, what string, o snapshot.Options) Snapshot {
	s := Snapshot{At: time.Now()}
	source := snapshot.SourceOf(systemOf(sys, what))
	if source == nil {
		return s
	}
	var workers []Worker
	groups, roots := source.Look(o, func(i, n int, w *snapshot.Worker) {
		if workers == nil {
			workers = make([]Worker, n)
		}
		workers[i] = workerOf(w)
	})
	// Those without a PID were looked at for the roots alone.
	if workers = slices.DeleteFunc(workers, func(w Worker) bool { return w.PID == nil }); len(workers) > 0 {
		s.Workers = workers
	}
	for _, g := range groups {
		s.Groups = append(s.Groups, groupOf(g))
	}
	for _, r := range roots {
		s.Roots = append(s.Roots, rootOf(r))
	}
	return s
}

// systemOf is sys, which must not be nil.
func systemOf(sys *actor.ActorSystem, what string) *actor.ActorSystem {
	if sys == nil {
		panic("inspect: " + what + " called with a nil actor system")
	}
	return sys
}

// CancelTask ends a task, as [actors.Future.CancelCause] does: its future fails with ErrCanceled and cause, its
// awaits and its context end, and so does the work that it has created. It reports whether it has: false if
// there is no such task any more, the worker has another incarnation by now, or the task had been told to end before. A turn that
// blocks goes on until it looks at its context.
func CancelTask(sys *actor.ActorSystem, ref TaskRef, cause error) bool {
	source := snapshot.SourceOf(systemOf(sys, "CancelTask"))
	return source != nil && source.CancelTask(snapshot.TaskRef(ref), cause)
}

// workerOf is a copy of what the source lends. TestWorkerHasAllFields keeps it whole.
func workerOf(w *snapshot.Worker) Worker {
	out := Worker{
		PID: w.PID, Kind: w.Kind, State: w.State, Incarnation: w.Incarnation, ToldToEnd: w.ToldToEnd,
		Queued: w.Queued, MailboxSize: w.MailboxSize, OldestWait: w.OldestWait, Live: w.Live,
		Exclusive: w.Exclusive, BlockedTurns: w.BlockedTurns,
		Offloads: w.Offloads, OffloadsWaiting: w.OffloadsWaiting, Timers: w.Timers,
		Delayed: w.Delayed, NextDelayed: w.NextDelayed,
		Blocked: turnOf(w.Blocked), Counts: actors.Counts(w.Counts),
	}
	if len(w.Tasks) > 0 {
		out.Tasks = make([]Task, len(w.Tasks))
		for i := range w.Tasks {
			out.Tasks[i] = taskOf(&w.Tasks[i])
		}
	}
	return out
}

func turnOf(t *snapshot.Turn) *Turn {
	if t == nil {
		return nil
	}
	out := Turn(*t)
	return &out
}

func taskOf(t *snapshot.Task) Task {
	return Task{
		Ref: TaskRef(t.Ref), Name: t.Name, State: t.State, Awaits: t.Awaits, On: t.On,
		Creator: t.Creator, CreatorWorker: t.CreatorWorker, Age: t.Age, Budget: t.Budget, ToldToEnd: t.ToldToEnd,
	}
}

func groupOf(g snapshot.Group) Group {
	return Group{
		Kind: g.Kind, Task: g.Task, State: g.State, Awaits: g.Awaits, Of: g.Of, Line: g.Line,
		Tasks: g.Tasks, Workers: g.Workers, Oldest: g.Oldest, Example: TaskRef(g.Example),
		ToldToEnd: g.ToldToEnd, OverBudget: g.OverBudget, FirstTold: g.FirstTold, Told: TaskRef(g.Told),
	}
}

func groupIn(g Group) snapshot.Group {
	return snapshot.Group{
		Kind: g.Kind, Task: g.Task, State: g.State, Awaits: g.Awaits, Of: g.Of, Line: g.Line,
		Tasks: g.Tasks, Workers: g.Workers, Oldest: g.Oldest, Example: snapshot.TaskRef(g.Example),
		ToldToEnd: g.ToldToEnd, OverBudget: g.OverBudget, FirstTold: g.FirstTold, Told: snapshot.TaskRef(g.Told),
	}
}

func rootOf(r snapshot.Root) Root {
	out := Root{
		Is: r.Is, Worker: r.Worker, Kind: r.Kind, Name: r.Name, Ref: TaskRef(r.Ref), Age: r.Age, Blocked: turnOf(r.Blocked),
		Tasks: r.Tasks, Workers: r.Workers, Queued: r.Queued, N: r.N,
	}
	for _, m := range r.Ring {
		out.Ring = append(out.Ring, RingMember{TaskRef(m.Ref), m.Kind, m.Task})
	}
	return out
}
