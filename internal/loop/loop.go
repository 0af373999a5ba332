// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"math"
	"sync/atomic"
	"time"
)

// Host is what a loop serves. Its methods are called on the loop, between
// turns, but for Blocked.
type Host interface {
	// Control handles an entry of PostControl. It must not run user code
	// that may block, panic or exit.
	Control(msg any)
	// Settled is called when the last live task has ended.
	AllEnded()
	// Blocked is called on a goroutine of its own while a turn lasts longer
	// than Config.BlockedTurn, once a turn.
	Blocked(b BlockedTurn)
	// TurnTook is called for one turn in 64 when it has ended, with how long it took.
	TurnTook(d time.Duration)
	// Depth is how many tasks have been posted, and how many of them have left
	// the queue. Any goroutine.
	Depth() (posted, taken int64)
}

// Config of a loop; the zero value is usable.
type Config struct {
	MaxInFlight int           // 0: no limit
	BlockedTurn time.Duration // 0: never report
}

// Loop is one event loop; see the package comment for who owns its fields.
//
// They are in the order of cache lines, given that pool is the last word of
// one: the senders', what is seldom written, what each message needs, and the
// queues. A loop that has been idle for long is in no cache.
type Loop struct {
	inbox inbox // any goroutine
	pool  *Pool

	few         *few // nil until it needs some of that
	host        Host
	exclusive   *Task
	blockedTurn time.Duration // see Config; constant
	hold        bool          // nothing starts from the lane
	home        uint8         // the part of the arrivals that it is put into; constant
	due         dueKind       // what takeDue considers next
	pinned      uint32        // how many tasks this look, or the last one, has met; see Peek

	runner      atomic.Pointer[runner] // who runs it, or ran it last; see Peek
	cur         *coroutine             // on which a turn runs, or ran last
	awaited     *coroutine             // list of those whose live tasks have awaited
	inFlight    int32                  // started from the lane, not ended
	live        int32                  // started, not ended
	round       int32                  // how many ready tasks come before the next start
	maxInFlight int32                  // see Config; constant
	lines       uint64                 // so far, see coroutine.line
	polls       uint32                 // of the inbox, so far
	takes       uint32                 // … that took what it had
	lingering   lingering
	urgent      atomic.Bool // the inbox has a message to the host
	pinnedMax   uint32      // of pinned

	lane    fifo // tasks that have not started, in order of arrival
	control fifo // messages to the host: first of all
	ready   fifo // tasks to resume, and free tasks to start

	ages ages // locked
}

// Init prepares a loop. It is busy, so that posts only queue, until Begin.
func (l *Loop) Init(host Host, cfg Config) {
	l.host, l.blockedTurn = host, cfg.BlockedTurn
	l.maxInFlight = int32(min(max(cfg.MaxInFlight, 0), math.MaxInt32))
}

// Begin attaches the loop to its pool and lets it run.
func (l *Loop) Begin(p *Pool) {
	l.pool = p
	l.runner.Store(nobody)
	p.attachLoop(l)
	p.wakeLoop(l)
}

// End detaches the loop from its pool: for the host, when nothing is live.
// The loop still serves what is posted to it.
func (l *Loop) End() {
	if l.few != nil && l.few.timers != nil {
		l.few.timers.stopTimer()
	}
	l.pool.detachLoop(l)
}

// Post queues a task. Any goroutine.
func (l *Loop) Post(t *Task) { l.pushEntry(t) }

// PostControl queues a message to the host. It goes before all tasks: only the
// turn that runs comes before it. It reports whether the loop was asleep: then
// not even that. Any goroutine.
func (l *Loop) PostControl(msg any) (asleep bool) {
	c := &control{msg: msg}
	c.kind, c.Body = kindControl, c
	asleep = l.pushEntry(&c.Task)
	l.urgent.Store(true)
	return asleep
}

func (l *Loop) pushEntry(t *Task) (asleep bool) {
	if asleep = l.inbox.push(t); asleep {
		yieldAt(atPushWake)
		l.pool.wakeLoop(l)
	}
	return asleep
}

// Hold stops tasks from starting, or lets them again. On the loop.
func (l *Loop) Hold(on bool) {
	l.hold = on
	if on && l.pool != nil {
		l.ages.noteDepth(l)
	}
}

// Live is the number of tasks that have started, or were given to Go, and
// have not ended. On the loop.
func (l *Loop) Live() int { return int(l.live) }

// InFlight is how many of them came from the lane. On the loop.
func (l *Loop) InFlight() int { return int(l.inFlight) }

// Queued is the number of tasks that have not started. On the loop.
func (l *Loop) Queued() int {
	if !l.inbox.empty() {
		l.collectInbox()
	}
	return l.lane.len()
}

// Current is the task whose turn it is. On the loop.
func (l *Loop) Current() *Task {
	if c := l.cur; c != nil && c.inTask {
		return c.task
	}
	return nil
}

// Go starts a free task as soon as the loop is between turns. On the loop.
func (l *Loop) Go(t *Task) {
	t.flight = freeOfFlight
	l.live++
	l.ready.push(t)
}

// PushFront puts a task that has not started at the head of the lane. On the
// loop.
func (l *Loop) PushFront(t *Task) { l.lane.pushFront(t) }

// DropQueued takes all tasks that have not started from the lane. On the loop.
func (l *Loop) DropQueued(f func(*Task)) {
	if !l.inbox.empty() {
		l.collectInbox()
	}
	for t := l.lane.pop(); t != nil; t = l.lane.pop() {
		f(t)
	}
}

// DropAll is DropQueued from now on. On the loop.
func (l *Loop) DropAll(f func(*Task)) {
	l.DropQueued(f)
	l.needFew().drop = f
}

// ReleaseExclusive lets the other tasks go on although an exclusive one has
// not ended, so that all can be unwound. On the loop.
func (l *Loop) ReleaseExclusive() {
	l.exclusive = nil
	if l.few != nil {
		l.ready.prepend(&l.few.deferred)
	}
	l.due, l.round = dueReady, int32(l.ready.len()) // they have waited long enough: before the next start
}

// collectInbox moves what has been posted, which is something, into the lanes.
func (l *Loop) collectInbox() {
	l.takes++
	if l.urgent.Load() {
		l.urgent.Store(false) // before: what comes from here on sets it again
	}
	t := l.inbox.take()
	if t.next == nil && t.kind == kindTask && !t.started && !l.dropsAll() { // most often, where one asks at a time
		l.lane.push(t)
		return
	}
	for t != nil {
		next := t.next
		switch {
		case t.kind == kindControl:
			l.control.push(t)
		case t.kind == kindTimer:
			t.next = nil // it is posted again and again, and would keep what came behind it
			l.few.timers.wakeDue()
		case t.started && t.co.yields:
			t.co.yields = false
			l.needFew().addYielded(t, yieldMark{l.ready.in, l.lane.in})
		case t.started:
			l.ready.push(t)
		case l.dropsAll():
			l.few.drop(t)
		default:
			// A run of new tasks is in order and linked already.
			last, n := t, 1
			for ; next != nil && next.kind == kindTask && !next.started; n++ {
				last, next = next, next.next
			}
			l.lane.append(t, last, n)
		}
		t = next
	}
}

// pollEvery is how many turns may pass before the inbox is looked at while
// there is other work: each look takes its cache line from the senders.
const pollEvery = 8

// runTurns is the pump: it runs the loop on coroutine c until there is nothing to
// do or others are to run, or until c is not the pump any more because a task
// keeps it or the turn was taken away. After it returns the loop may belong to somebody else.
//
// Each round has three steps: it collects what has come, messages to the host first; it runs
// the turn that is due; and it decides whether to go on. A turn runs right here, with nothing of this package between
// but the task's Body: each frame below a task's function costs memory while the task is suspended.
func (l *Loop) runTurns(c *coroutine) {
	lingered := false
	if c.r.timed > 0 { // a turn has ended by an await
		l.endTiming(c.r)
	}
	for {
		if l.polls++; (l.polls%pollEvery == 0 || l.urgent.Load() || !l.hasDue()) && !l.inbox.empty() {
			l.collectInbox()
		}
		if m := l.control.pop(); m != nil {
			l.cur = nil // it may serve another loop by now
			l.host.Control(m.Body.(*control).msg)
			continue
		}
		if c.r.starts >= c.r.think && l.mayStart() {
			l.giveWay(c.r)
			continue
		}

		t := l.takeDue()
		if t == nil {
			if !lingered && l.wantsLinger() {
				lingered = true
				c.r.clock.forgetReading()
				l.lingerYield()() // called here: each return after a switch costs more than others
				l.noteLingered()
			} else if l.inbox.sleep() {
				return
			}
			continue
		}
		if l.polls%timeEvery == 0 {
			c.r.timed = l.pool.Now()
		}
		if t.started {
			l.resumeTask(c, t)
			if c.pump && c.r.loop != l { // the pump that was nested here has let go of it
				return
			}
		} else { // as startTask does
			c.r.starts++
			l.beginTask(c, t)
			t.Body.Run(t)
			c.finishTask(Returned)
		}
		// From here on t is not looked at: this frame would keep it while a pump is nested in it.

		if !c.pump && !c.goOnAsPump() {
			return
		}
		lingered = false
		if l.polls%timeEvery == 0 { // and so it may be one to rotate after: each test counts here
			if c.r.timed > 0 {
				l.endTiming(c.r)
			}
			if l.polls%rotateEvery == 0 && l.pool.rotateLoop(l) {
				return
			}
			if c.r.nested > fewNested {
				l.polls++ // or the one below would do the same at once
				c.pump = false
				return
			}
		}
	}
}

// timeEvery is of how many turns one is timed. It divides rotateEvery.
const timeEvery = 64

// endTiming tells how long the turn took that r has run last.
func (l *Loop) endTiming(r *runner) {
	began := r.timed
	r.timed = 0
	l.host.TurnTook(l.pool.Now() - began)
}

// hasDue reports whether a task is due that has not yielded: those that have are seldom many.
func (l *Loop) hasDue() bool { return l.ready.head != nil || l.mayStart() }

// dueKind says which tasks a loop considers first for its next turn.
type dueKind uint8

const (
	dueReady   dueKind = iota // those that are to be resumed, until their round is over
	dueLane                   // one that has not started
	dueYielded                // one that has yielded
)

// takeDue takes the task that has the next turn; nil: none may have one. Tasks that are
// ready go first, so that few are suspended at a time; but one starts after each round of
// them, and one that has yielded goes on after that, so that they starve nobody.
func (l *Loop) takeDue() *Task {
	if l.ready.head == nil && !l.hasYielded() { // what is below comes to the same
		if l.mayStart() {
			l.due = dueYielded
			return l.lane.pop()
		}
		l.due, l.round = dueReady, 0
		return nil
	}
	for range 2 { // where the first time begins in the middle, the second one begins anew
		if l.due == dueReady {
			for t := l.ready.pop(); t != nil; t = l.ready.pop() {
				if l.round--; l.round <= 0 {
					l.due = dueLane
				}
				if !l.deferTask(t) {
					return t
				}
			}
			l.due = dueLane
		}
		if l.due == dueLane {
			l.due = dueYielded
			if l.mayStart() {
				return l.lane.pop()
			}
		}
		l.due, l.round = dueReady, int32(l.ready.len())
		for l.hasYielded() && l.yieldIsDue(l.few.marks.first()) {
			if t := l.few.takeYielded(); !l.deferTask(t) {
				return t
			}
		}
	}
	return nil
}

// deferTask puts t aside if an exclusive task holds it back, and reports whether it does.
func (l *Loop) deferTask(t *Task) bool {
	if l.exclusive == nil || t.started && t.co.line == l.few.exclusiveLine {
		return false
	}
	l.few.deferred.push(t)
	return true
}

// yieldIsDue reports whether all that was there when a task yielded has run.
func (l *Loop) yieldIsDue(m yieldMark) bool {
	return (l.ready.head == nil || int32(l.ready.out-m.ready) >= 0) && (!l.mayStart() || int32(l.lane.out-m.lane) >= 0)
}

func (l *Loop) mayStart() bool {
	return l.lane.head != nil && !l.hold && l.exclusive == nil &&
		(l.maxInFlight == 0 || l.inFlight < l.maxInFlight)
}

// beginTask makes t the task of coroutine c.
func (l *Loop) beginTask(c *coroutine, t *Task) {
	t.started = true
	// Few writes of pointers: while the collector marks, each goes through
	// its write barrier.
	t.co, c.task, c.inTask = c, t, true
	if c.loop != l {
		c.loop = l
	}
	nested := c.outer != nil
	if nested {
		c.line = c.outer.co.line
	} else {
		l.lines++
		c.line = l.lines
	}
	if l.cur != c {
		l.cur = c
	}
	if t.flight != freeOfFlight {
		l.live++
		if !nested {
			t.flight = inFlight
			l.inFlight++
			c.nth = l.lane.out
		}
	}
	t.state.Store(stateRunning)
}

// startTask runs the first step of t, which is nested in its parent, on c.
func (l *Loop) startTask(c *coroutine, t *Task) {
	l.beginTask(c, t)
	t.Body.Run(t)
	c.finishTask(Returned)
}

// resumeTask goes on with t, which has been woken, on its own coroutine.
func (l *Loop) resumeTask(c *coroutine, t *Task) {
	x, r := t.co, c.r
	nested := r.nested
	x.r = r
	l.cur = x
	t.state.Store(t.state.Load()&^stateMask | stateRunning)
	r.enterUser()
	x.co.Resume()
	r.nested = nested
	if r.hasLostTurn() {
		if x.dead {
			x.reapDead()
		}
		c.pump = false
		return
	}
	if r.loop == l { // else it may be another runner's by now
		l.cur = nil
	}
	r.reuseCoroutine(x)
}

// endTask ends task t of the loop.
func (l *Loop) endTask(t *Task, how How) {
	awaited := t.co.listed
	if awaited {
		l.unlistAwaited(t.co)
	}
	l.live--
	if t.flight == inFlight {
		l.inFlight--
	}
	if how == Lost {
		t.state.Store(lostState)
	} else {
		t.state.Store(endedState)
	}
	if l.exclusive == t {
		l.ReleaseExclusive()
	}
	t.Body.Done(t, how)
	if awaited && how != Lost {
		t.co = nil // it may be let go of, and whoever keeps the task is not to keep it
	}
	if l.live == 0 {
		l.host.AllEnded()
	}
}
