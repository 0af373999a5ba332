// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"cmp"
	"runtime"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/internal/oneline"
	"github.com/protoloop/protoloop/internal/snapshot"
	"github.com/protoloop/protoloop/internal/supervision"
)

// inspectLooks is how often, at peekAgain from each other, a snapshot looks
// again at loops that were between two turns: in all, not for each.
const inspectLooks = 5

var _ snapshot.Source = (*system)(nil)

// Look is what package inspect shows: see [snapshot.Source].
func (s *system) Look(o snapshot.Options, show func(i, n int, w *snapshot.Worker)) (groups []snapshot.Group, roots []snapshot.Root) {
	all := s.toLookAt(&o)
	missed := make([]int, len(all))
	for i := range missed {
		missed[i] = i
	}
	in := s.takeInspection()
	defer s.keepInspection(in)
	in.options = &o
	if o.Roots || o.Groups {
		in.seenOf = slices.Grow(in.space, len(all))[:len(all)]
	}
	for {
		again := missed[:0]
		for _, i := range missed {
			in.at = i
			if !in.worker(all[i]) {
				again = append(again, i)
			}
			if in.wanted(all[i]) {
				show(i, len(all), &in.shown)
			}
			clear(in.shown.Tasks)
		}
		if missed = again; len(missed) == 0 || in.waits >= inspectLooks {
			break
		}
		in.wait()
	}
	if o.Groups {
		groups = in.groups()
	}
	if o.Roots {
		roots = in.roots()
	}
	return groups, roots
}

// toLookAt are the workers to look at, by PID. Roots may be anywhere.
func (s *system) toLookAt(o *snapshot.Options) (all []*mailbox) {
	s.mu.RLock()
	switch {
	case o.Worker != nil && !o.Roots:
		if mb := s.workers[o.Worker.Id]; mb != nil && s.local(o.Worker) && (!o.Blocked || mb.isHeldUp()) {
			all = append(all, mb)
		}
	default:
		if !o.Blocked {
			all = make([]*mailbox, 0, len(s.workers))
		}
		for _, mb := range s.workers {
			if !o.Blocked || o.Roots || mb.isHeldUp() {
				all = append(all, mb)
			}
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(all, func(a, b *mailbox) int { return cmp.Compare(a.pid.Id, b.pid.Id) })
	return all
}

// wanted reports whether a worker is to be shown, and not only looked at.
func (in *inspection) wanted(mb *mailbox) bool {
	o := in.options
	return (o.Worker == nil || o.Worker.Id == mb.pid.Id) && (!o.Blocked || mb.isHeldUp())
}

// isHeldUp reports whether a turn lasts longer than BlockedTurn now.
func (mb *mailbox) isHeldUp() bool {
	b := mb.lastBlocked()
	if b == nil {
		return false
	}
	lt := b.task.Value()
	return lt != nil && lt.Running()
}

// inspection is one look at many workers.
type inspection struct {
	options *snapshot.Options
	waits   int             // so often it has waited for loops
	at      int             // the worker that it looks at
	all     []seenTask      // the tasks that it has seen: of one worker, or of those in seenOf
	seen    []seenTask      // of these: of the worker that it has looked at
	shown   snapshot.Worker // that worker, with space for its tasks
	seenOf  []seenWorker    // what it has seen of each, where it needs that for all; nil: it does not
	space   []seenWorker    // for seenOf, to be used again …
	waitFor []int32         // … as are these: beside all, see roots
	walk    *loop.Suspended
}

// seenWorker is what was seen of a worker.
type seenWorker struct {
	mb          *mailbox
	incarnation uint64
	running     *Task // whose turn it is
	id          uint64
	place       loop.Place
	blocked     *snapshot.Turn
	begin, end  int  // its tasks in all, by id
	supervises  bool // it is a supervisor: what its tasks wait for is that something happens
}

// tasksOf are the tasks of a worker, by id.
func (in *inspection) tasksOf(w *seenWorker) []seenTask { return in.all[w.begin:w.end] }

// seenTask is a task that has awaited.
type seenTask struct {
	*Task
	id    uint64
	age   time.Duration
	place loop.Place
}

// takeInspection returns one, with space that another look has left. With new space a look
// at one worker takes about ten times as long (bench: inspect/one).
func (s *system) takeInspection() *inspection {
	if in, ok := s.inspections.Get().(*inspection); ok {
		return in
	}
	return new(inspection)
}

// keepInspection leaves the space of one to the next look. That may be a hundredth of what the tasks take which it has looked at, and
// the collector takes it if nobody looks for a while. What is shown of single tasks is more: if that is much nobody
// looks each second.
func (s *system) keepInspection(in *inspection) {
	clear(in.all)
	clear(in.seenOf)
	kept := inspection{all: in.all[:0], space: in.seenOf[:0], waitFor: in.waitFor[:0], walk: in.walk}
	if cap(in.shown.Tasks) <= 2*loop.StretchTasks {
		kept.shown.Tasks = in.shown.Tasks[:0]
	}
	*in = kept
	s.inspections.Put(in)
}

func (in *inspection) wait() {
	in.waits++
	time.Sleep(peekAgain)
}

// worker looks at one worker, for in.shown. What the loop owns is copied while it stands still,
// and read afterwards as far as it is constant or published. It reports false if
// the loop was between two turns.
func (in *inspection) worker(mb *mailbox) bool {
	w := &in.shown
	tasks := w.Tasks[:0]
	*w = snapshot.Worker{PID: mb.pid, Kind: mb.kindName(), State: "busy"}
	var running, exclusive *Task
	var runningID uint64
	var place loop.Place  // of running, too
	var age time.Duration // of running
	if in.seenOf == nil {
		clear(in.all)
		in.all = in.all[:0]
	}
	begin, seen := len(in.all), in.all
	begun, done := false, false
	walks := in.seenOf != nil || in.options.Tasks > 0
	walk := in.takeWalk(mb)
	var now time.Duration
	look := func(cur *loop.Task) {
		if !begun {
			begun = true
			w.State, w.Incarnation = mb.state(), mb.life.incarnation
			w.Live, w.Timers = mb.loop.Live(), mb.loop.Timers()
			if cur != nil {
				running, runningID, place = taskOfLoop(cur), mb.loop.ID(cur), loop.PlaceOf(cur)
			}
			if x := mb.loop.Exclusive(); x != nil {
				exclusive = taskOfLoop(x)
			}
		}
		if !walks {
			done = true
			return
		}
		now = mb.sys.pool.Now()
		done = walk.Next(func(lt *loop.Task) {
			switch t := taskOfLoop(lt); {
			case t == nil:
			case t == running:
				age = loop.AgeAt(lt, now)
			default:
				seen = append(seen, seenTask{t, mb.loop.ID(lt), loop.AgeAt(lt, now), loop.PlaceOf(lt)})
			}
		})
	}
	for !done {
		if walks {
			seen = slices.Grow(seen, loop.StretchTasks) // not while the loop waits
		}
		stood, held := mb.loop.Peek(look)
		switch {
		case held:
			runtime.Gosched() // a turn has waited for us
		case stood:
		case begun && in.waits < inspectLooks:
			in.wait()
		case begun: // it has to do without the rest
			mb.leaveWalk(walk)
			in.walk = nil
			done = true
		default:
			done = true
		}
	}
	in.all, in.seen = seen, seen[begin:]
	seen = in.seen
	w.Queued, w.OldestWait, w.MailboxSize = mb.queued(), mb.loop.OldestWait(), int64(mb.opts.MailboxSize)
	w.Counts = supervision.Counts(mb.readCounts())
	w.BlockedTurns = mb.blockedTurns()
	w.OffloadsWaiting = mb.offloaded.countWaiting()
	w.Offloads = max(0, mb.offloaded.countFunctions()-w.OffloadsWaiting)
	w.ToldToEnd = mb.toldToEnd()
	if s := mb.rare.Load(); s != nil {
		w.Delayed, w.NextDelayed = s.delays.countDelayed(mb)
	}
	w.Tasks = tasks
	if !begun {
		return false
	}
	slices.Reverse(seen) // they come the last one first
	if !slices.IsSortedFunc(seen, compareByID) {
		slices.SortFunc(seen, compareByID)
	}
	if running != nil {
		if b := mb.lastBlocked(); b != nil && b.task.Value() == &running.lt && running.lt.Running() {
			w.Blocked = &snapshot.Turn{Task: running.name(), Since: b.since, Stack: b.stack}
		}
	}
	if in.seenOf != nil {
		in.seenOf[in.at] = seenWorker{mb, w.Incarnation, running, runningID, place, w.Blocked, begin, len(in.all), false}
	}
	if in.options.Tasks > 0 && in.wanted(mb) {
		w.Tasks = in.tasks(mb, running, seenTask{running, runningID, age, place})
	}
	if exclusive != nil {
		w.Exclusive = exclusive.name()
	}
	return true
}

// takeWalk is a walk over the tasks of a worker.
func (in *inspection) takeWalk(mb *mailbox) *loop.Suspended {
	if in.walk == nil {
		in.walk = mb.loop.Suspended()
	} else {
		in.walk.Begin(&mb.loop)
	}
	return in.walk
}

func compareByID(a, b seenTask) int { return cmp.Compare(a.id, b.id) }

// tasks are the single tasks of a worker that are to be shown: the one whose turn it is, and then the
// oldest.
func (in *inspection) tasks(mb *mailbox, running *Task, r seenTask) []snapshot.Task {
	o, tasks := in.options, in.shown.Tasks
	room := o.Tasks
	if running != nil && o.After == 0 && o.Like == nil {
		tasks = append(tasks, in.shownTask(mb, r, "running"))
		room--
	}
	first, _ := slices.BinarySearchFunc(in.seen, o.After+1, func(t seenTask, id uint64) int { return cmp.Compare(t.id, id) })
	left := in.seen[first:]
	tasks = slices.Grow(tasks, max(0, min(room, len(left))))
	for _, t := range left {
		if room <= 0 {
			break
		}
		one := in.shownTask(mb, t, "")
		if o.Like != nil && !isLike(&one, mb, mb.sys, o.Like) {
			continue
		}
		tasks = append(tasks, one)
		room--
	}
	return tasks
}

// leaveWalk lets the loop take the place of a walk out of its list.
func (mb *mailbox) leaveWalk(walk *loop.Suspended) { mb.loop.PostControl(leaveWalk{walk}) }

// state is the worker's, as a word. In Peek or on the loop.
func (mb *mailbox) state() string {
	if mb.gate.Load() == gateStopping && mb.life.Phase() == life.PhaseRunning {
		return "stopping"
	}
	return mb.life.State()
}

func taskOfLoop(lt *loop.Task) *Task {
	if b, ok := lt.Body.(body); ok {
		return b.task()
	}
	return nil
}

// shownTask is a task that has begun; its state, if that is not known.
func (in *inspection) shownTask(mb *mailbox, t seenTask, state string) snapshot.Task {
	i := snapshot.Task{
		Ref:  snapshot.TaskRef{Worker: mb.pid, Incarnation: in.shown.Incarnation, ID: t.id},
		Name: t.name(), State: state, Age: t.age, Budget: t.budgetLeft(), ToldToEnd: t.toldToEnd(),
	}
	if p := t.parent(); p != nil {
		i.Creator = p.name()
		if p.attached != nil {
			i.CreatorWorker = p.mb.pid
		}
	}
	if state == "" {
		i.State = t.waitState()
		if c := t.awaits.Load(); c != nil && !c.done.Load() {
			i.Awaits, i.On = c.describe()
		}
	}
	return i
}

// waitState is the state of a task that has awaited, as a word.
func (t *Task) waitState() string {
	switch {
	case t.lt.Asleep():
		return "awaiting"
	case t.lt.Running(): // what it has started runs its first step
		return "running"
	}
	return "ready"
}

// noBudgetLeft is the budget that is shown of a task that has used it up: 0 is no end.
const noBudgetLeft time.Duration = 1

// budgetLeft is what is left of the task's budget.
func (t *Task) budgetLeft() time.Duration {
	if s := t.ext.Load(); s != nil && t.system() != nil && s.deadline > 0 {
		return max(noBudgetLeft, s.deadline-t.system().pool.Now())
	}
	return 0
}

// toldToEnd is when the task was told to end, by itself and not with its incarnation; zero: it was not.
func (t *Task) toldToEnd() (at time.Time) {
	if s := t.ext.Load(); s != nil && t.system() != nil {
		if n := s.cause.Load(); n != nil && n.at > 0 {
			at = t.system().pool.Time(n.at)
		}
	}
	return at
}

// toldToEnd is since when the worker, or its incarnation, is on the way to its end; zero: it is not.
func (mb *mailbox) toldToEnd() (at time.Time) {
	e := mb.ends.Load()
	if e == nil {
		return at
	}
	var told int64
	switch cut := e.stages[stageCut].Load(); {
	case mb.gate.Load() != gateOpen:
		told = cmp.Or(e.stages[stageEvent].Load(), cut)
	case mb.inc.Load().cause.Load() != nil: // it restarts
		told = cut
	}
	if told > 0 {
		at = e.begun.Add(time.Duration(told - 1))
	}
	return at
}

// describe names a future for whoever looks at somebody that awaits it, and who owes it.
func (c *core) describe() (name string, on *actor.PID) {
	o := c.owner.Load()
	if o == nil {
		if d := c.deps(); d != nil {
			return d.name(), nil
		}
		return "promise", nil
	}
	name = o.name()
	switch o.lifetime {
	case carrier:
		return "answer to " + name, o.whom()
	case aside:
		if b, ok := o.lt.Body.(interface{ waitsForPlace() bool }); ok && b.waitsForPlace() {
			name += ", which waits for a place"
		}
	}
	if o.attached != nil {
		on = o.mb.pid
	}
	return name, on
}

// whom is the PID that a carrier goes to, or nil.
func (t *Task) whom() *actor.PID {
	if s := t.ext.Load(); s != nil {
		if to := s.replyTo(); to != nil && to.whom != nil {
			return to.whom
		}
	}
	if t.attached != nil {
		return t.mb.pid
	}
	return nil
}

// ownerKind says who owes what a task awaits, for a group: the kind of a worker, or else the PID.
func (s *system) ownerKind(on *actor.PID) string {
	if on == nil {
		return ""
	}
	if mb := s.lookUp(on); mb != nil {
		return mb.kindName()
	}
	if s.local(on) {
		return oneline.PID(on, on.Address)
	}
	return oneline.PID(on, "")
}

// Size is package snapshot's.
func (s *system) Size() snapshot.Size {
	p := s.pool.Size()
	size := snapshot.Size{
		Workers: p.Loops, Waiting: p.Waiting, Runners: p.Runners, RunnersIdle: p.Idle, LongTurn: p.Held, CoroutinesIdle: p.Coroutines,
	}
	size.Deadlines = s.clock.countDeadlines()
	size.UnansweredRequests = s.replies.countOpen()
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, mb := range s.workers {
		waiting := mb.offloaded.countWaiting()
		size.OffloadsWaiting += waiting
		size.Offloads += max(0, mb.offloaded.countFunctions()-waiting)
	}
	return size
}

// countDeadlines is how many deadlines there are that may be needed.
func (c *clock) countDeadlines() (n int) {
	for i := range c.part {
		h := &c.part[i]
		h.mu.Lock()
		n += h.inOrder.Len() + len(h.heap) - h.countDropped()
		h.mu.Unlock()
	}
	return max(0, n)
}

// countOpen is how many requests wait for an answer to their PID.
func (r *replies) countOpen() (n int) {
	r.mu.RLock()
	all := make([]*segment, 0, len(r.segments))
	for _, g := range r.segments {
		all = append(all, g)
	}
	r.mu.RUnlock()
	for _, g := range all {
		for i := range g.slots {
			if g.slots[i].Load() != nil {
				n++
			}
		}
	}
	return n
}

// EachRunning is package snapshot's.
func (s *system) EachRunning(f func(kind string, worker *actor.PID, task string)) {
	s.pool.EachRunning(func(_ *loop.Loop, lt *loop.Task) {
		if t := taskOfLoop(lt); t != nil && t.attached != nil {
			f(t.mb.kindName(), t.mb.pid, t.name())
		}
	})
}

// cancelLooks is how often, at peekAgain from each other, a cancel looks for its task where the loop is
// between two turns.
const cancelLooks = 100

// CancelTask is package snapshot's.
func (s *system) CancelTask(ref snapshot.TaskRef, cause error) bool {
	if ref.Worker == nil || ref.ID == 0 {
		return false
	}
	mb := s.lookUp(ref.Worker)
	if mb == nil {
		return false
	}
	t := mb.findTask(ref)
	if t == nil || t.isCanceled() || t.lt.Ended() {
		return false
	}
	err := because(ErrCanceled, cause)
	t.cancel(err)
	n := t.ext.Load().cause.Load()
	return n != nil && n.why == err
}

// findTask looks for a task that has awaited, or whose turn it is; nil: it has ended.
func (mb *mailbox) findTask(ref snapshot.TaskRef) (found *Task) {
	walk := mb.loop.Suspended()
	begun, done := false, false
	look := func(cur *loop.Task) {
		if !begun {
			begun = true
			if mb.life.incarnation != ref.Incarnation {
				done = true
				return
			}
			for ; cur != nil; cur = cur.Outer() {
				if mb.loop.HasID(cur, ref.ID) {
					found, done = taskOfLoop(cur), true
					return
				}
			}
		}
		done = walk.Next(func(lt *loop.Task) {
			if found == nil && mb.loop.HasID(lt, ref.ID) {
				found = taskOfLoop(lt)
			}
		})
		if found != nil && !done {
			walk.Leave()
			done = true
		}
	}
	for looks := 0; !done; {
		stood, held := mb.loop.Peek(look)
		switch {
		case held:
			runtime.Gosched()
		case stood:
		case looks < cancelLooks:
			looks++
			time.Sleep(peekAgain)
		case begun:
			mb.leaveWalk(walk)
			return nil
		default:
			return nil
		}
	}
	return found
}
