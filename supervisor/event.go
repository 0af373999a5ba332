// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/internal/callqueue"
	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/safelog"
	"github.com/protoloop/protoloop/internal/subscribers"
)

// Event is something that has happened in a supervisor: one of the types
// below, with values only. Switch on its type.
type Event interface {
	// Where is the id of the supervisor's PID, and the name of the child; the
	// latter is empty where the event is the supervisor's own.
	Where() (supervisor, child string)
	event()
}

// At is the place of an event; each has it.
type At struct {
	Supervisor string // id of its PID
	Child      string // name; may be empty
}

// Where is the place.
func (a At) Where() (supervisor, child string) { return a.Supervisor, a.Child }
func (At) event()                              {}

// ChildStarted says that a child is up for the first time.
type ChildStarted struct {
	At
	PID  *actor.PID
	Took time.Duration // setup
}

// ChildFailed says that a child has failed, or could not start.
type ChildFailed struct {
	At
	Err     error
	Stack   []byte // of a panic
	Task    string // that failed; empty if unknown
	Message string // type of the message it worked on; may be empty
	Retried bool   // that message is to be handled anew; see CrashPolicy.DeadLetter
}

// ChildEnded says that a child has ended by itself, is not restarted after it has
// failed, or is Temporary and has ended because a sibling failed.
type ChildEnded struct {
	At
	Err error // nil: normally
}

// ChildRestarting says that a child will be restarted after Delay. Restart, which a user
// calls, has none.
type ChildRestarting struct {
	At
	Delay   time.Duration
	Attempt int      // since it was last up for long; 1 is the first
	With    []string // names of the siblings that restart, too
}

// ChildRestarted says that a child is up again, after a failure, its end, or Restart.
type ChildRestarted struct {
	At
	Restarts int           // of this child in all
	Took     time.Duration // since it was told to, after Delay
}

// BudgetExceeded says that there have been more than MaxRestarts within Within. The
// supervisor stops its children and fails.
type BudgetExceeded struct {
	At
	MaxRestarts int
	Within      time.Duration
	Err         error
}

// StopPhase says that a stop has come to its next step, of a child or of the whole
// supervisor.
type StopPhase struct {
	At
	Phase string        // "stopping", then "stopped"
	Took  time.Duration // since "stopping"
	Err   error         // of a supervisor that ends by itself: why, ErrShutdown too
}

// TaskAbandoned says that a task, or a whole plain actor, did not return when it was
// told to.
type TaskAbandoned struct {
	At
	Task  string
	Since time.Time
	Stack []byte
}

// eventSink passes events on: to the log where they happen, and to OnEvent in its
// own time. A hook that blocks holds up the events behind it and nothing else.
type eventSink struct {
	log       *slog.Logger
	hook      func(Event)
	told      *subscribers.List[timedEvent]
	hookCalls callbackQueue // of the hook
	parent    *eventSink    // has the hook for one without
	failures  *failure.Hooks
	pid       *actor.PID // of the supervisor

	hookPanicked atomic.Bool // it is not called any more
}

// newEventSink is where the events of n go: what its Spec leaves open is the
// parent's.
func newEventSink(n *node, spec Spec, parent *node) *eventSink {
	o := &eventSink{log: spec.Logger, hook: spec.OnEvent, told: &n.registry.events, failures: failure.Of(n.sys), pid: n.pid}
	if parent != nil {
		o.parent = parent.core.Load().events
		if o.log == nil {
			o.log = o.parent.log
		}
	}
	o.log = safelog.Contain(cmp.Or(o.log, n.sys.Logger(), slog.Default())) // a supervisor's loop must survive a handler of the user's
	return o
}

// emitEvent publishes an event, if anybody wants it: most are not logged, and have no
// hook, and making an Event of each took 5 % of a restart (bench: restart/worker).
func emitEvent[E Event](o *eventSink, e E) {
	if o.wantsEvent(e) {
		o.publishEvent(context.Background(), e)
	}
}

// wantsEvent reports whether an event is logged, or a hook wants it.
func (o *eventSink) wantsEvent(e Event) bool {
	if o.told.Wanted() {
		return true
	}
	for at := o; at != nil; at = at.parent {
		if at.hook != nil {
			return true
		}
	}
	return o.logsLevel(eventLevel(e))
}

func (o *eventSink) logsLevel(level slog.Level) (yes bool) {
	return o.log.Enabled(context.Background(), level)
}

// publishEvent publishes an event that is wanted. ctx is that of the task that it is about, for
// the log.
func (o *eventSink) publishEvent(ctx context.Context, e Event) {
	o.logEvent(ctx, e)
	if o.told.Wanted() {
		o.told.Tell(timedEvent{e, time.Now()})
	}
	for o.hook == nil && o.parent != nil { // the nearest hook there is
		o = o.parent
	}
	if o.hook == nil || o.hookPanicked.Load() {
		return
	}
	o.hookCalls.Call(func() {
		if !o.hookPanicked.Load() {
			o.hook(e)
		}
	}, func(v any, stack []byte) {
		o.hookPanicked.Store(true)
		o.logError("supervisor: OnEvent panicked; it is not called again", "panic", v, "stack", string(stack))
		o.tellPanic(o.pid, "OnEvent", v, stack)
	})
}

// logError logs what went wrong beside the events.
func (o *eventSink) logError(text string, args ...any) {
	o.log.Error(text, args...)
}

// logEvent makes a record of an event.
func (o *eventSink) logEvent(ctx context.Context, e Event) {
	if !o.logsLevel(eventLevel(e)) {
		return
	}
	text, attrs := logRecord(e)
	supervisor, child := e.Where()
	all := []slog.Attr{slog.String("supervisor", supervisor)}
	if child != "" {
		all = append(all, slog.String("child", child))
	}
	o.log.LogAttrs(ctx, eventLevel(e), "supervisor: "+text, append(all, attrs...)...)
}

func eventLevel(e Event) slog.Level {
	switch e := e.(type) {
	case ChildFailed, BudgetExceeded, TaskAbandoned:
		return slog.LevelError
	case ChildStarted:
		return slog.LevelDebug
	case StopPhase:
		if e.Child != "" {
			return slog.LevelDebug
		}
	}
	return slog.LevelInfo
}

func logRecord(e Event) (string, []slog.Attr) {
	switch e := e.(type) {
	case ChildStarted:
		return "child started", []slog.Attr{slog.Duration("took", e.Took)}
	case ChildFailed:
		return "child failed", []slog.Attr{slog.Any("error", e.Err), slog.String("task", e.Task),
			slog.String("message", e.Message), slog.Bool("retried", e.Retried), slog.String("stack", string(e.Stack))}
	case ChildEnded:
		return "child ended", []slog.Attr{slog.Any("error", e.Err)}
	case ChildRestarting:
		return "restarting", []slog.Attr{slog.Duration("delay", e.Delay), slog.Int("attempt", e.Attempt), slog.Any("with", e.With)}
	case ChildRestarted:
		return "restarted", []slog.Attr{slog.Int("restarts", e.Restarts), slog.Duration("took", e.Took)}
	case BudgetExceeded:
		return "too many restarts", []slog.Attr{slog.Int("max", e.MaxRestarts), slog.Duration("within", e.Within), slog.Any("error", e.Err)}
	case StopPhase:
		attrs := []slog.Attr{slog.Duration("took", e.Took)}
		if e.Err != nil {
			attrs = append(attrs, slog.Any("error", e.Err))
		}
		return e.Phase, attrs
	case TaskAbandoned:
		return "abandoned", []slog.Attr{slog.String("task", e.Task), slog.Time("since", e.Since), slog.String("stack", string(e.Stack))}
	}
	return "event", []slog.Attr{slog.Any("event", e)}
}

// EventRecord is an [Event] as a function of [Subscribe] is told of it.
type EventRecord struct {
	Event Event
	At    time.Time
	// Dropped is how many events before this one the function was not told of, because as
	// many others as it has a buffer for waited for it.
	Dropped int
}

// timedEvent is an event and when it was published.
type timedEvent struct {
	event Event
	at    time.Time
}

// Subscribe has f told of the events of all supervisors of an actor system, from now on
// until cancel is called, beside the OnEvent of each. f is called on a goroutine of its own,
// one call after the other; the events of one supervisor come in their order. It may block,
// and holds up no supervisor by that: buffer events wait for it, 0 is 1,000, and further ones are dropped
// and counted in the next one. If it panics, that is logged, and it is called again.
// Once cancel has returned no further call begins.
func Subscribe(sys *actor.ActorSystem, buffer int, f func(EventRecord)) (cancel func()) {
	switch {
	case sys == nil:
		panic("supervisor: Subscribe called with a nil actor system")
	case f == nil:
		panic("supervisor: Subscribe called with a nil function")
	case buffer < 0:
		panic(fmt.Sprintf("supervisor: Subscribe called with a buffer of %d", buffer))
	}
	return registryOf(sys).events.Add(cmp.Or(sys.Logger(), slog.Default()), "supervisor: a function of Subscribe", cmp.Or(buffer, defaultBuffer),
		func(e timedEvent, dropped int) { f(EventRecord{e.event, e.at, dropped}) })
}

// defaultBuffer is that of a Subscribe without one.
const defaultBuffer = 1000

// tellFailure tells the hooks of inspect.OnFailure of an actor's failure, which goes to
// the log, too. task may be empty.
func (c *core) tellFailure(kind string, pid *actor.PID, task string, err error) {
	if h := c.events.failures; h.Wanted() {
		h.Tell(failure.Failure{Kind: kind, Worker: pid, Task: task, Err: err, Stack: stackOf(err)})
	}
}

// tellPanic tells them of a panic with v in code of a user's that has nobody to fail. pid may
// be nil.
func (o *eventSink) tellPanic(pid *actor.PID, code string, v any, stack []byte) {
	if o.failures.Wanted() {
		o.failures.Tell(failure.Failure{Kind: failure.CallbackPanic, Worker: pid, Task: code, Stack: stack,
			Err: fmt.Errorf("supervisor: panic in %s: %w", code, &actors.PanicError{Value: v, Stack: stack})})
	}
}

// failurePID is the PID that the child has, or had, or would have.
func (k *child) failurePID() *actor.PID {
	if k.pid != nil {
		return k.pid
	}
	n := k.core.node
	return n.sys.NewLocalPID(n.pid.Id + "/" + k.name)
}

// emitChildFailed emits the event of a child's failure, and tells the hooks of it.
func (k *child) emitChildFailed(e ChildFailed) {
	e.At = k.eventPlace()
	emitEvent(k.core.events, e)
	k.core.tellFailure(failure.WorkerFailure, k.failurePID(), e.Task, e.Err)
}

// callbackQueue calls functions of users. Any goroutine.
type callbackQueue struct{ callqueue.Queue }

// whenIdle is done when everything so far has been called.
func (s *callbackQueue) whenIdle() *actors.Future[actors.None] {
	if s.Idle() {
		return futures.Resolved(actors.None{})
	}
	idle := new(actors.Promise[actors.None])
	s.Call(func() { idle.Resolve(actors.None{}) }, nil)
	return idle.Future()
}
