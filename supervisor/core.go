// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/condition"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/panicstack"
	"github.com/protoloop/protoloop/internal/supervision"
)

// core is one incarnation of a supervisor. Its fields, and those of its
// children, are owned by the loop of its actor, but for the queue.
//
// Everything that happens comes through the queue and is handled by one task,
// dispatchMessages, which never waits. What has to wait, a start, a restart, a
// stop, is a task of its own.
type core struct {
	node            *node
	startID         uint64    // see Ref.Start
	startedAt       time.Time // sinceStart counts from here
	spec            Spec
	ctx             actor.Context
	queue           messageQueue
	handledUntil    time.Duration // what came until then has been handled, of sinceStart: see isOverdue
	events          *eventSink
	deadLetterCalls callbackQueue // calls OnCrash.DeadLetter
	engineCalls     callbackQueue // what the engine calls of users' code when it is given a message: see callEngine
	intensity       intensity     // written with the node's mu held, for everybody

	children       map[string]*child // by name; written with the node's mu held, for everybody
	undecided      childSet          // of those that restart together: whom the restart table has not been asked about …
	toStart        childSet          // … and those that are down, or about to be, and come up again
	significant    childSet          // Significant ones that have not ended: see AutoShutdown
	childCount     uint64            // how many there have been
	spawning       *child            // whose Spawn is running
	loopProps      *actor.Props      // gave an event loop: another child of theirs needs no plainProcess (bench: stop/workers has the memory)
	loopPropsOwn   bool              // … and call no code of users at a spawn; not known before the second one
	startingChild  *child            // of a group that starts: it waits for siblings, too, and ends when one fails
	notStarted     string            // the child at which the first start ended
	childrenAtStop []*child          // in the order of their starts
	formerChildren ChildReport       // those that are gone and forgotten
	rows           reportRows        // of the report, from the stop on

	startTimer   *time.Timer   // see armStartTimer
	startTimerAt time.Duration // when it fires; 0: it is not set

	operations   operationLock       // of all children, unless they are independent
	endingCount  int                 // children that are stopping
	quiescing    int                 // children that quiesceChild waits for
	allEnded     condition.Condition // endingCount has come to 0
	life         life.Supervisor     // written by handleEvent alone
	shown        shownLife           // what everybody may see of that
	cause        error               // why it ends by itself; nil: it was told to stop
	stopBeganAt  time.Time
	stopTook     time.Duration
	finished     *actors.Promise[actors.None]
	finishedChan chan struct{} // closed with finished, for callers from outside
}

func newCore(ctx actor.Context, spec Spec) *core {
	return &core{
		startedAt: time.Now(), spec: spec, ctx: ctx, children: map[string]*child{}, undecided: childSet{}, toStart: childSet{}, significant: childSet{},
		intensity: newIntensity(spec.MaxRestarts, spec.Within),
		finished:  new(actors.Promise[actors.None]), finishedChan: make(chan struct{}),
		formerChildren: newPast(),
	}
}

// setUpSupervisor is the setup of the supervisor's worker.
func setUpSupervisor(w *actors.Worker, spec Spec, made chan<- *node) error {
	c := newCore(w, spec)
	supervision.ActorAt(w.ActorSystem(), w.Self()).Supervise(func(before supervision.Supervisor) supervision.Supervisor {
		n, ok := before.(*node)
		if !ok {
			n = newNode(w)
		}
		n.beginIncarnation(c)
		return n
	})
	if made != nil {
		select {
		case made <- c.node:
		default:
		}
	}
	t := w.Task()
	c.startTask(t, "supervisor", c.dispatchMessages)
	c.startTask(t, "stop event", c.awaitStopEvent)
	w.Main(c.awaitFinished)
	w.OnStop(c.endAtCutOff)
	err := c.startChildren(t)
	if c.isStopping() {
		c.node.setupEnded(c.startFailure(err))
	} else {
		c.node.setupEnded(err)
	}
	return err
}

// startFailure is the error of a first start that has ended with err, or with a stop.
func (c *core) startFailure(err error) error {
	if e, ok := err.(*StartError); ok {
		return e
	}
	return &StartError{Supervisor: c.node.pid.Id, Child: c.notStarted, Err: cmp.Or(err, errStopping)}
}

// sinceStart is for what only the loop sees: it costs half of time.Now (BenchmarkNow in
// internal/loop), and 8 bytes in place of a time.Time's 24.
func (c *core) sinceStart() time.Duration { return time.Since(c.startedAt) }

// isDynamic reports whether it is of a Dynamic.
func (c *core) isDynamic() bool { return c.spec.dynamic != nil }

// orderedChildren are the children in the order of their starts. There is no list of
// them to keep in order: taking one of ten thousand out of it would cost as
// much as this, and happens more often.
func (c *core) orderedChildren() []*child {
	all := slices.AppendSeq(make([]*child, 0, len(c.children)), maps.Values(c.children))
	slices.SortFunc(all, func(a, b *child) int { return cmp.Compare(a.seq, b.seq) })
	return all
}

// failureCause is what the supervisor's own actor fails of, if it does.
func (c *core) failureCause() error {
	if c.cause == ErrShutdown {
		return nil
	}
	return c.cause
}

// dispatchMessages handles what is queued until the supervisor is over.
func (c *core) dispatchMessages(t *actors.Task) error {
	return c.serveUntil(t, func() bool { return c.life.State() == life.SupervisorOver })
}

// serveUntil handles what is queued until done, which is asked between messages.
func (c *core) serveUntil(t *actors.Task, done func() bool) error {
	for !done() {
		if arrived := c.queue.ifEmpty(); arrived != nil {
			if _, err := actors.Await(t, arrived); err != nil {
				return err
			}
			continue
		}
		now := time.Duration(0)
		if c.looksAtTheTime() {
			now = c.sinceStart()
		}
		for p := c.queue.takeAll(); p != nil; {
			for i := range p.n {
				c.handleMessage(t, &p.messages[i])
			}
			p = c.queue.releasePage(p)
		}
		if now != 0 {
			c.handledUntil = now
		}
	}
	return nil
}

// looksAtTheTime reports whether somebody may ask isOverdue. Else nobody needs to know, and a
// restart reads the clock two times less (bench: restart/worker).
func (c *core) looksAtTheTime() bool { return c.endingCount > 0 || c.quiescing > 0 || c.isStopping() }

// isOverdue reports whether a child is late that was to have done something by then. A
// supervisor that had no processor for long finds that in its queue, perhaps, and not
// by the clock. The next message brings the time up to date, as one of afterFunc is.
func (c *core) isOverdue(by time.Duration) bool { return c.handledUntil >= by }

// handleMessage handles one message. A panic of the supervisor's own code ends the
// supervisor, and not this task.
func (c *core) handleMessage(t *actors.Task, m *loopMessage) {
	defer c.recoverPanic(t)
	switch {
	case m.run != nil:
		m.run(t)
	case m.failed != nil:
		c.handleReportedFailure(t, m.child, m.failed)
	case m.forgotten != nil:
		if k := c.children[c.node.childName(m.forgotten)]; k != nil && k.pid == m.forgotten { // not a former actor of that name
			k.handleTerminated(t)
		}
	default:
		if k := c.childOf(m.child); k != nil {
			m.tell(t, k)
		}
	}
}

// startTask starts a task of the supervisor's own. What it returns is why it ended
// early: because the supervisor's actor does.
func (c *core) startTask(t *actors.Task, name string, f func(t *actors.Task) error) {
	actors.Start(t, func(t *actors.Task) (error, error) {
		defer c.recoverPanic(t)
		return f(t), nil
	}, actors.Name(name))
}

// taskName is the name of a task that does something with a child. A [Dynamic] has any number of children, whose names may
// each come once: what is counted by task, as groups and profiles are, must not get as many.
func (c *core) taskName(what, child string) string {
	if c.isDynamic() {
		child = "child"
	}
	return what + " " + child
}

// recoverPanic ends a supervisor whose own code has panicked: it would live on and
// supervise nothing.
func (c *core) recoverPanic(t *actors.Task) {
	if v := recover(); v != nil {
		err := &actors.PanicError{Value: v, Stack: panicstack.Take(0)}
		c.events.logError("supervisor: panic in the supervisor", "supervisor", c.node.pid.Id, "panic", v, "stack", string(err.Stack))
		c.events.tellPanic(c.node.pid, "the supervisor", v, err.Stack)
		c.beginStop(t, err)
	}
}

// awaitStopEvent turns the actor's stop event into ours.
func (c *core) awaitStopEvent(t *actors.Task) error {
	stopping, err := t.SleepOrStop(math.MaxInt64)
	if stopping {
		c.queue.postFunc(func(t *actors.Task) { c.beginStop(t, nil) })
	}
	return err
}

// awaitFinished lives as long as the supervisor.
func (c *core) awaitFinished(t *actors.Task) error {
	if _, err := actors.Await(t, c.finished.Future()); err != nil {
		return err // it is cut off: see endAtCutOff
	}
	return c.failureCause()
}

// afterFunc runs f on the loop in d.
func (c *core) afterFunc(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(max(d, 1), func() { c.queue.postFunc(func(*actors.Task) { f() }) })
}
