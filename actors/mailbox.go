// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/internal/engine"
	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/internal/restartwindow"
	"github.com/protoloop/protoloop/internal/safelog"
	"github.com/protoloop/protoloop/internal/supervision"
	"github.com/protoloop/protoloop/messages"
)

// gate is what of a worker's state its senders look at.
type gate = int32

const (
	gateOpen     gate = iota
	gateStopping      // the stop event is set: nothing new from outside
	gateStopped       // the worker is gone
)

// mailbox is the event-loop mailbox: what Proto.Actor posts to and what the
// loop is hosted by. Its fields are owned by the loop unless noted.
//
// There is one for every worker, also for the ten thousand that are idle: what
// few of them need is in sparse.
//
// Fields are together that are used together: a message to one of thousands of
// workers costs a fetch from memory for each cache line that it touches.
type mailbox struct {
	// What each message needs on the loop, in the line before that of the senders.
	counts counts
	opts   *Options // shared by all of the same Props
	inc    atomic.Pointer[incarnation]
	holder atomic.Pointer[Task] // the task that holds all others back, Exclusive or setup; read by anybody

	entrance
	loop loop.Loop // its first field is the inbox

	offloaded offloadedFunctions // functions that run outside of it; any goroutine
	hooked    bool               // the user has middleware or decorators: messages go through the engine
	sends     bool               // … sender middleware
	ours      bool               // see isWorker
	taps      bool               // somebody may ask own for the current task, or it has a lease
	keyed     bool               // it is asked by its key, and not by its PID
	life      lifecycle

	// Set when the engine has spawned the actor, and constant from then on.
	own  loopContext // the innermost decorator, around the engine's own context
	view attached    // with the outermost context: what user code sees
	pid  *actor.PID

	stop    atomic.Pointer[core] // completes at the stop event; nil: nobody has asked for it
	current atomic.Pointer[Task] // for own; see taps
	budgets budgets              // locked
	ends    atomic.Pointer[ending]
	rare    atomic.Pointer[sparse]

	super  supervision.Supervisor // the parent, if it is one; constant once registered
	policy supervision.Policy     // of super
	kind   *kind                  // constant once registered
}

// blocked is a turn that lasts, or has lasted, too long.
type blocked struct {
	task  weak.Pointer[loop.Task] // it may have ended long since
	since time.Time
	stack []byte
}

// sparse is what few workers need; see mailbox.sparse.
type sparse struct {
	inFlight places   // locked; of MaxInFlight
	cleanups cleanups // locked
	statuses statuses // locked
	delays   delays   // locked
	idle     idleTimer
	stash    []stashed
	kept     []kept
	strays   sync.Map                     // children that nobody knows, by their ids: see spawnChild
	spawner  atomic.Pointer[childSpawner] // for the next child
	restarts restartwindow.Window
	failed   error // what Spawn will be told, once the name is free again

	unstarted atomic.Pointer[error] // see unstartedError; nil: ErrStopping

	userLogger atomic.Pointer[namedLogger]

	blocked      atomic.Pointer[blocked]                // the turn that was reported last
	blockedTurns atomic.Int64                           // so many were
	supervises   atomic.Pointer[supervision.Supervisor] // what this actor is to its children, if it is a supervisor

	accounts atomic.Pointer[func() supervision.Ended] // see keyed.AddAccount
}

// sparse is for writing. Any goroutine.
func (mb *mailbox) sparse() *sparse {
	if s := mb.rare.Load(); s != nil {
		return s
	}
	mb.rare.CompareAndSwap(nil, &sparse{idle: idleTimer{mb: mb}, inFlight: places{most: mb.opts.MaxInFlight}})
	return mb.rare.Load()
}

// lastBlocked is the turn that was reported last, or nil. Any goroutine, and so are the others here.
func (mb *mailbox) lastBlocked() *blocked {
	if s := mb.rare.Load(); s != nil {
		return s.blocked.Load()
	}
	return nil
}

// blockedTurns is how many turns were reported.
func (mb *mailbox) blockedTurns() int64 {
	if s := mb.rare.Load(); s != nil {
		return s.blockedTurns.Load()
	}
	return 0
}

// Supervisor is package supervision's.
func (mb *mailbox) Supervisor() supervision.Supervisor {
	if s := mb.rare.Load(); s != nil {
		if up := s.supervises.Load(); up != nil {
			return *up
		}
	}
	return nil
}

// stashed is a message for the next incarnation. It keeps the place in the order
// of arrival of the task that had it: whoever came first may be stashed last.
type stashed struct {
	again *Task
	nth   uint32
}

// keepStashed puts again, which has the message of t, into the stash. On the loop.
func (mb *mailbox) keepStashed(again, t *Task) {
	s := mb.sparse()
	nth := t.lt.Nth()
	at := len(s.stash)
	for at > 0 && int32(s.stash[at-1].nth-nth) > 0 {
		at--
	}
	s.stash = slices.Insert(s.stash, at, stashed{again, nth})
}

// takeStash empties the stash. On the loop.
func (mb *mailbox) takeStash() (all []stashed) {
	if s := mb.rare.Load(); s != nil {
		all, s.stash = s.stash, nil
	}
	return all
}

// newMailbox makes one with options that have their defaults.
func newMailbox(o *Options) *mailbox {
	mb := &mailbox{opts: o}
	mb.limit = int64(o.MailboxSize)
	mb.view.mb = mb
	mb.loop.Init(mb, loop.Config{MaxInFlight: mb.opts.MaxInFlight, BlockedTurn: mb.opts.BlockedTurn})
	return mb
}

var (
	_ actor.Mailbox = (*mailbox)(nil)
	_ loop.Host     = (*mailbox)(nil)
)

// RegisterHandlers is the engine's: the actor exists, messages may have come.
func (mb *mailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	raw := invoker.(actor.Context)
	mb.wrap(raw)
	systemOf(raw.ActorSystem()).introduce(mb, raw.Self())
	_, mb.ours = raw.Actor().(*workerActor)
	if mb.life.ready != nil || mb.keyed { // spawned by Spawn, or for a grid: it has nobody's hooks
		engine.SetProps(raw, idleProps)
	} else {
		mb.hooked, mb.sends = engine.HooksOf(raw, shield, decorate)
	}
	mb.taps = !mb.isWorker() || mb.hooked || mb.sends || mb.lease() != nil
	mb.view.actorContext = &mb.own
	mb.inc.Store(&incarnation{actor: raw.Actor()})
	mb.kind = mb.sys.kindOf(mb)
	mb.beAdopted()
	mb.spawned.Store(isRegistered)
	mb.sys.add(mb)
}

// wrap makes own the decorator of the engine's context, once: a WithOnInit may
// need it before the engine registers it here, and hand it to others.
func (mb *mailbox) wrap(raw actor.Context) {
	if mb.own.mb == nil {
		mb.own = loopContext{Context: raw, mb: mb}
	}
}

// raw is the engine's own context.
func (mb *mailbox) raw() actor.Context { return mb.own.Context }

// invoker is the engine's context as what handles its messages.
func (mb *mailbox) invoker() actor.MessageInvoker { return mb.own.Context.(actor.MessageInvoker) }

// isWorker reports whether the actor is one of Spawn or Props, and not a
// plain one on an EventLoop.
func (mb *mailbox) isWorker() bool {
	return mb.ours
}

// Start is the engine's: Started has been posted.
func (mb *mailbox) Start() { mb.loop.Begin(mb.sys.pool) }

// UserMessageCount is what has not started.
func (mb *mailbox) UserMessageCount() int { return int(mb.queued()) }

// PostUserMessage is called by the engine for everything that is sent to the
// PID: a bare message or an envelope.
func (mb *mailbox) PostUserMessage(m any) {
	env, _ := m.(*actor.MessageEnvelope)
	if env != nil {
		m = env.Message
	}
	switch m := m.(type) {
	case *actor.PoisonPill:
		// The engine would handle it as a message, and so never while the
		// mailbox is suspended.
		mb.requestStop(mb.opts.StopGrace)
		return
	case *messages.StatusRequest: // no work: looking does not change the account
		if env != nil && env.Sender != nil {
			mb.askStatus(env.Sender)
		}
		return
	case *messages.Stop:
		mb.stopMessage(m, env)
		return
	case actor.MessageBatch:
		for _, each := range m.GetMessages() {
			if env != nil {
				each = &actor.MessageEnvelope{Header: env.Header, Message: each, Sender: env.Sender}
			}
			mb.PostUserMessage(each)
		}
		return
	}
	mb.offer(mb.incoming(m, env))
}

// PostSystemMessage is called by the engine.
func (mb *mailbox) PostSystemMessage(m any) {
	switch watch := m.(type) {
	case *actor.Stop:
		mb.requestForcedStop()
		return
	case *actor.Watch:
		m = &actor.Watch{Watcher: engine.PIDOf(watch.Watcher, watcher{mb})}
	case *actor.ResumeMailbox:
		if mb.super != nil { // which never says so: it is the engine's, of a restart, and nothing is suspended then
			return
		}
	}
	mb.loop.PostControl(m)
}

// offer is where work from outside comes in. Any goroutine.
func (mb *mailbox) offer(t *Task) {
	// Counted before the gate is looked at, so that a worker which has closed
	// it can tell whether somebody is still about to post: see account.
	n := mb.accepted.Add(1)
	if n&sampleMask == 0 {
		mb.noteQueued(n)
	}
	err := error(nil)
	switch gate, size := mb.gate.Load(), mb.limit; {
	case (gate != gateOpen || size > 0) && !mb.registered() && t.fromEngine():
		// A name that is on the way to its actor need not know a system yet in
		// which anybody could be told: see introduce.
		t.lt.Body.(*message).late = gate != gateOpen
		mb.loop.Post(&t.lt)
		return
	case gate == gateStopped:
		err = noSuchActor(mb.pid)
	case gate == gateStopping:
		err = ErrStopping
	case size > 0 && n-mb.counts.taken.Load() > size:
		err = &fullError{mb.pid.Address, mb.pid.Id, mb.opts.MailboxSize}
	default:
		mb.loop.Post(&t.lt)
		return
	}
	// In this order: once nothing is pending the final account is told, and that
	// this was refused belongs there.
	mb.counts.needSeldom().refused.Add(1)
	mb.accepted.Add(-1)
	if mb.gate.Load() == gateStopped {
		mb.loop.PostControl(pendingMayBeZero{})
	}
	t.tellRefused(err)
}

// fromEngine reports whether the task's message came by the engine.
func (t *Task) fromEngine() bool {
	_, is := t.lt.Body.(*message)
	return is
}

// tellRefused tells whoever sent t that it never ran.
func (t *Task) tellRefused(err error) {
	t.how = t.tellNeverRan(err, nil)
	t.noteEnded()
}

// stopEvent is the future that completes at the stop event. Any goroutine.
func (mb *mailbox) stopEvent() *core {
	c := mb.stop.Load()
	if c == nil {
		mb.stop.CompareAndSwap(nil, new(core))
		c = mb.stop.Load()
		if mb.gate.Load() != gateOpen { // closeGate may not have seen it
			c.complete()
		}
	}
	return c
}

// complete completes a future without a value, unless it is.
func (c *core) complete() { c.completeLater().call() }

// completeLater is complete, but leaves the callbacks to the caller.
func (c *core) completeLater() callbacks {
	c.mu.Lock()
	if c.done.Load() {
		c.mu.Unlock()
		return callbacks{}
	}
	return c.publishResult(nil)
}

// enterTask notes, on the way into a task, whose turn it is.
func (mb *mailbox) enterTask(t *Task) {
	if mb.taps {
		mb.enterTapped(t)
	}
}

func (mb *mailbox) enterTapped(t *Task) {
	mb.current.Store(t)
	if t.isLeased() && mb.isFenced() {
		t.cancel(ErrStopped) // it goes on after an await
	}
}

// enterAgain is enterTask in the middle of t's coroutine's turn, which may have
// been taken over meanwhile: then it is another task's. In two, so that who has
// no use for it pays for no call: that was 5 % of Start (bench: burst/start).
func (mb *mailbox) enterAgain(t *Task) {
	if mb.taps {
		mb.reenter(t)
	}
}

func (mb *mailbox) reenter(t *Task) {
	if !t.coroutineTask().has(isOffLoop) {
		t.loopTask().OnLoop(func() { mb.current.Store(t) })
	}
}

func (mb *mailbox) logger() *slog.Logger {
	l := mb.opts.Logger
	if !mb.named() {
		return safelog.Contain(cmp.Or(l, slog.Default()))
	}
	return safelog.Contain(cmp.Or(l, mb.sys.as.Logger())).With("worker", mb.pid.Id)
}

// Depth is the loop's.
func (mb *mailbox) Depth() (posted, taken int64) {
	taken = mb.counts.taken.Load()
	return mb.accepted.Load(), taken
}

// Blocked is the loop's: a turn lasts too long.
func (mb *mailbox) Blocked(b loop.BlockedTurn) {
	s := mb.sparse()
	s.blockedTurns.Add(1)
	s.blocked.Store(&blocked{weak.Make(b.Task), b.Since, b.Stack})
	name, t := "task", taskOfLoop(b.Task)
	if t != nil {
		name = t.name()
	}
	mb.logger().WarnContext(t.logContext(), "actors: blocked turn: the worker does nothing else meanwhile",
		"task", name, "since", b.Since, "stack", string(b.Stack))
	err := fmt.Errorf("actors: blocked turn: it lasts since %s", b.Since.Format(time.RFC3339Nano))
	mb.keepFailure(failure.BlockedTurn, name, err, b.Stack)
	if mb.hasFailureHook() {
		mb.sys.failures.Tell(failure.Failure{Kind: failure.BlockedTurn, Worker: mb.pid, Task: name, Stack: b.Stack, Err: err})
	}
}
