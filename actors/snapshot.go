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
	"github.com/protoloop/protoloop/internal/snapshot"
	"github.com/protoloop/protoloop/internal/supervision"
)

// inspectLooks is how often, at peekAgain from each other, a snapshot looks
// again at loops that were between two turns: in all, not for each.
const inspectLooks = 5

var _ snapshot.Source = (*system)(nil)

// Look is what package inspect shows: see [snapshot.Source].
func (s *system) Look(blocked bool, show func(i, n int, w *snapshot.Worker)) {
	s.mu.RLock()
	var all []*mailbox
	for _, mb := range s.workers {
		if !blocked || mb.isHeldUp() {
			all = append(all, mb)
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(all, func(a, b *mailbox) int { return cmp.Compare(a.pid.Id, b.pid.Id) })
	missed := make([]int, len(all))
	for i := range missed {
		missed[i] = i
	}
	in := s.takeInspection()
	defer s.keepInspection(in)
	for {
		again := missed[:0]
		for _, i := range missed {
			if !in.worker(all[i]) {
				again = append(again, i)
			}
			show(i, len(all), &in.shown)
			clear(in.shown.Tasks)
		}
		if missed = again; len(missed) == 0 || in.waits >= inspectLooks {
			return
		}
		in.wait()
	}
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
	waits int             // so often it has waited for loops
	seen  []seenTask      // space for those of one worker
	shown snapshot.Worker // the worker that it has looked at, with space for its tasks
}

// takeInspection returns one, with space that another look has left. With new space a look
// at one worker takes about ten times as long (bench: inspect/one).
func (s *system) takeInspection() *inspection {
	if in, ok := s.inspections.Get().(*inspection); ok {
		return in
	}
	return new(inspection)
}

// keepInspection leaves the space of one to the next look, unless that is much.
func (s *system) keepInspection(in *inspection) {
	if cap(in.seen) <= 2*loop.StretchTasks && cap(in.shown.Tasks) <= 2*loop.StretchTasks {
		*in = inspection{seen: in.seen[:0], shown: snapshot.Worker{Tasks: in.shown.Tasks[:0]}}
		s.inspections.Put(in)
	}
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
	*w = snapshot.Worker{PID: mb.pid, State: "busy"}
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
		case begun && in.waits < inspectLooks:
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
	w.Counts = supervision.Counts(mb.readCounts())
	w.BlockedTurns = mb.blockedTurns()
	w.OffloadsWaiting = int(mb.offloadsWaiting.Load())
	w.Offloads = max(0, mb.offloaded.n()-w.OffloadsWaiting)
	if s := mb.rare.Load(); s != nil {
		w.Delayed, w.NextDelayed = s.delays.countDelayed(mb)
	}
	w.Tasks = tasks
	if !begun {
		return false
	}
	if running != nil {
		tasks = append(tasks, snapshot.Task{Name: running.name(), State: "running", Age: age, Budget: running.budgetLeft()})
		if b := mb.lastBlocked(); b != nil && b.task.Value() == &running.lt && running.lt.Running() {
			w.Blocked = &snapshot.Turn{Task: running.name(), Since: b.since, Stack: b.stack}
		}
	}
	tasks = slices.Grow(tasks, len(seen))
	for _, t := range seen {
		tasks = append(tasks, t.shown(t.age))
	}
	w.Tasks = tasks
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

// shown is a suspended task.
func (t *Task) shown(age time.Duration) snapshot.Task {
	i := snapshot.Task{Name: t.name(), State: "awaiting", Age: age, Budget: t.budgetLeft()}
	if !t.lt.Asleep() {
		i.State = "ready"
	}
	if c := t.awaits.Load(); c != nil && !c.done.Load() {
		i.Awaits, i.On = c.describe()
	}
	return i
}

// budgetLeft is what is left of the task's budget.
func (t *Task) budgetLeft() time.Duration {
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
	}
	if d := c.deps(); d != nil {
		return d.name(), nil
	}
	return "promise", nil
}
