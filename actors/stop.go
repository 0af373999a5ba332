// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/protoloop/protoloop/internal/loop"
	"github.com/protoloop/protoloop/internal/safeerr"
	"github.com/protoloop/protoloop/internal/supervision"
	"github.com/protoloop/protoloop/messages"
)

// Stop stops a worker: it sets the stop event, waits until the worker is gone and
// returns the final account of its work. New work from outside is refused with
// ErrStopping; accepted work runs on for the grace, then it is cut off (net/http:
// Server.Shutdown, and Close when the time is over).
//
// It may be called by many and again: the grace can become shorter, never longer. A
// ctx that ends makes it return, with [context.Cause] of it and no account, while
// the stop goes on. A plain actor, who could not tell, fails it with ErrNotWorker.
//
// Stop is for plain goroutines, and panics if ctx is that of a task: await
// [RequestStop] there.
func Stop(ctx context.Context, s actor.SenderContext, worker *actor.PID, grace Grace) (Counts, error) {
	notInTask(ctx, "Stop", "await actors.RequestStop")
	return requestStopOf(s, worker, grace, "Stop").Wait(ctx)
}

// RequestStop is [Stop] that does not wait: it returns once the stop event is set. The
// future completes when the worker is gone, with its final account. To cancel that
// future does not take the stop back. A task may await the end of another worker; in
// a task of the same one the await fails when the grace ends, for the worker is not
// gone before.
//
// A task that waits for a promise, or for a channel or anything else by package
// loopsync, does not hear of the stop event, and the stop waits for it until the
// grace ends, be the worker otherwise idle: unless it waits in a [Task.UntilStop], or
// was begun with the option [UntilStop].
func RequestStop(s actor.SenderContext, worker *actor.PID, grace Grace) *Future[Counts] {
	return requestStopOf(s, worker, grace, "RequestStop")
}

func requestStopOf(s actor.SenderContext, worker *actor.PID, grace Grace, what string) *Future[Counts] {
	_, sys := caller(s, what)
	if pid := pidOf(worker, what); sys.local(pid) && !sys.isWorker(pid) {
		if _, err := sys.locate(pid); safeerr.Is(err, ErrNotWorker) {
			f := new(Future[Counts])
			f.fail(err)
			return f
		}
	}
	m := &messages.Stop{Token: sys.token}
	if grace != 0 {
		m.Grace = durationpb.New(grace)
	}
	return requestFuture[Counts](s, worker, m, what, []CallOption{Timeout(Forever)})
}

// stopMessage is a messages.Stop that has arrived. Only this process knows
// the token, so a stranger on the network cannot stop a worker.
func (mb *mailbox) stopMessage(m *messages.Stop, env *actor.MessageEnvelope) {
	var sender *actor.PID
	if env != nil {
		sender = env.Sender
	}
	if !mb.registered() { // too early to know our token
		mb.loop.PostControl(earlyStop{m, env})
		return
	}
	if m.GetToken() != mb.sys.token {
		mb.counts.needSeldom().refused.Add(1)
		mb.logger().Warn("actors: a messages.Stop without this actor system's token was refused: use actors.Stop", "sender", sender)
		if sender != nil {
			mb.sys.send(sender, failureOf(fmt.Errorf("%w: messages.Stop is honoured from its own actor system only", ErrUnhandled), false))
		}
		return
	}
	if sender != nil {
		mb.ending().answerWhenStopped(mb, sender)
	}
	grace := mb.opts.StopGrace
	if m.Grace != nil {
		grace = max(m.GetGrace().AsDuration(), 0)
	}
	mb.requestStop(grace)
}

// requestStop sets the stop event. Any goroutine.
func (mb *mailbox) requestStop(grace time.Duration) {
	if grace <= 0 {
		mb.requestForcedStop()
		return
	}
	if mb.closeGate() {
		mb.tellStopping()
	}
	e := mb.ending()
	e.mu.Lock()
	// A later call may shorten the grace, never prolong it.
	if end := e.in(grace); !e.over && (e.graceEnd == 0 || end < e.graceEnd) {
		e.graceEnd = end
		if p := e.more.Load(); p != nil && p.graceTimer != nil {
			p.graceTimer.Stop()
			p.graceTimer = nil
		}
	}
	e.mu.Unlock()
	// A loop that sleeps sees to it itself: most have nothing left to do.
	if !mb.loop.PostControl(stopEventSet{}) {
		mb.armGrace()
	}
}

// armGrace lets the grace end, if it is not over yet.
func (mb *mailbox) armGrace() {
	e := mb.ending()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.over && e.readDetails().graceTimer == nil && e.graceEnd != 0 {
		e.changeDetails().graceTimer = time.AfterFunc(max(e.graceEnd-e.now(), 1), mb.requestForcedStop)
	}
}

// requestForcedStop cuts off what runs. Any goroutine.
func (mb *mailbox) requestForcedStop() {
	if mb.closeGate() {
		mb.tellStopping()
	}
	e := mb.ending()
	e.mu.Lock()
	e.graceOver = true
	e.mu.Unlock()
	// Posted first, so that nothing begins that would be ended at once.
	if mb.loop.PostControl(forcedStop{}) {
		return // see requestStop
	}
	if inc := mb.inc.Load(); inc != nil {
		inc.endIncarnation(ErrStopped)
	}
	mb.giveUpAfter(mb.opts.StopGrace)
}

// closeGate sets the stop event, and reports whether nobody had. Any goroutine.
func (mb *mailbox) closeGate() bool {
	if !mb.gate.CompareAndSwap(gateOpen, gateStopping) {
		return false
	}
	mb.ending().noteStage(stageEvent)
	mb.endDelayed(ErrStopping)
	if c := mb.stop.Load(); c != nil {
		c.complete()
	}
	return true
}

// look is how far apart the looks at a stuck turn are: a turn is taken over
// only if two of them see it.
const look = 10 * time.Millisecond

// giveUpAfter takes the loop from turns that are still stuck after d. It is
// set once for each end of an incarnation; a later call may bring it forward.
func (mb *mailbox) giveUpAfter(d time.Duration) {
	e := mb.ending()
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.readDetails(); p.giveUpTimer == nil || e.in(d) < p.deadline {
		e.armLast(mb, d)
	}
}

// giveUpHooks is giveUpAfter for what runs once the tasks have ended, the OnStop
// hooks if that is t, and returns how long it has: what is left of the grace or
// of StopGrace, whichever is more.
func (mb *mailbox) giveUpHooks(t *Task) time.Duration {
	e := mb.ending()
	e.mu.Lock()
	defer e.mu.Unlock()
	p, now := e.readDetails(), e.now()
	end := e.in(mb.opts.StopGrace)
	if p.giveUpTimer != nil { // they share it with the tasks that have ended
		end = p.deadline
	}
	if !e.graceOver {
		end = max(end, e.graceEnd)
	}
	if p.giveUpTimer == nil || end > p.deadline {
		e.armLast(mb, end-now)
	}
	if t != nil {
		e.changeDetails().hooks = t
	}
	return max(0, end-now)
}

// armLast sets the time to give up. With mu held.
func (e *ending) armLast(mb *mailbox, d time.Duration) {
	if e.over {
		return
	}
	p := e.changeDetails()
	if p.giveUpTimer != nil {
		p.giveUpTimer.Stop()
	}
	p.round++
	round := p.round
	p.begun, p.deadline = e.now(), e.in(d)
	// At least a nanosecond: timers that are due at once crash Go 1.26.8 in a
	// synctest bubble under -race.
	p.giveUpTimer = time.AfterFunc(max(d, 1), func() { mb.giveUp(round, loop.Turn{}, look, false) })
}

// since is when the tasks that are given up were told to end. The stage may
// not tell: a loop that is stuck in a turn has not come to it. With mu held.
func (e *ending) since() time.Time {
	return e.begun.Add(e.readDetails().begun - 1)
}

// disarmGiveUp ends that: all tasks have ended.
func (mb *mailbox) disarmGiveUp() {
	e := mb.ends.Load()
	if e == nil {
		return
	}
	p := e.more.Load()
	if p == nil { // there is no timer
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	p.round++
	if p.giveUpTimer != nil {
		p.giveUpTimer.Stop()
		p.giveUpTimer = nil
	}
	p.hooks = nil
}

// giveUp looks for a stuck turn, again and again until all tasks have ended,
// and takes over one that it has seen before. Its first look is not again: what
// ends with the contexts that end then has a moment.
func (mb *mailbox) giveUp(round uint64, seen loop.Turn, pause time.Duration, again bool) {
	e := mb.ending()
	e.mu.Lock()
	stale, hooks := e.readDetails().round != round, e.readDetails().hooks
	e.mu.Unlock()
	if stale {
		return
	}
	if hooks != nil { // their own deadline is later if the grace was ended meanwhile
		hooks.cancel(hooks.expiredError())
	}
	turn, stuck := mb.loop.InUser()
	if stuck && turn == seen {
		mb.loop.Takeover(turn)
		turn, pause = loop.Turn{}, look
	}
	mb.loop.PostControl(force{again})
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.changeDetails(); p.round == round {
		p.giveUpTimer = time.AfterFunc(pause, func() { mb.giveUp(round, turn, min(2*pause, time.Second), true) })
	}
}

// abandonOffloads waits for offloaded functions no longer, and names them, with the
// stacks of where they hang.
func (mb *mailbox) abandonOffloads() {
	left := mb.offloaded.abandonFunctions()
	if len(left) == 0 {
		return
	}
	stacks := offloadStacks(left)
	e := mb.ending()
	e.mu.Lock()
	p, since := e.changeDetails(), e.since()
	for i, t := range left {
		p.lost = append(p.lost, supervision.Abandoned{Name: t.name(), Since: since, Stack: stacks[i]})
	}
	e.mu.Unlock()
	for i, t := range left {
		mb.logger().Error("actors: an offloaded function did not return when its context ended; it is abandoned",
			"function", t.name(), "since", since, "stack", string(stacks[i]))
		mb.tellAbandoned(t.name(), errors.New("actors: an offloaded function did not return when its context ended"), stacks[i])
	}
}

// abandoned is the end of a task whose turn was taken over. Go can end no
// goroutine: it goes on, but its awaits and its answers fail.
func (mb *mailbox) abandoned(t *Task) {
	cause := mb.life.reason
	switch {
	case cause != nil:
	case mb.gate.Load() == gateOpen: // before the loop has seen why
		cause = ErrRestarted
	default:
		cause = ErrStopped
	}
	mb.inc.Load().lost.Store(true)
	t.endKeepingStash(cause)
	t.tellCauseElsewhere(t.endCause()) // a cancel by somebody else may not have got there yet
	stack := mb.loop.Stack(&t.lt)
	e := mb.ending()
	e.mu.Lock()
	lost := supervision.Abandoned{Name: t.name(), Since: e.since(), Stack: stack}
	if b := mb.lastBlocked(); b != nil && b.task.Value() == &t.lt {
		lost.Since = b.since
	}
	p := e.changeDetails()
	p.lost = append(p.lost, lost)
	e.mu.Unlock()
	mb.logger().ErrorContext(t.logContext(), "actors: a task did not return when it was told to end; it is abandoned, and goes on without its loop",
		"task", t.name(), "since", lost.Since, "stack", string(stack))
	mb.tellAbandoned(lost.Name, fmt.Errorf("actors: a task did not return when it was told to end: %w", cause), stack)
}

// cleanups are the Cleanups of a worker that run, or have left work behind: that
// is of no incarnation, and ends with them.
type cleanups struct {
	mu  sync.Mutex
	all map[*Task]struct{}
}

func (c *cleanups) add(t *Task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[*Task]struct{}{}
	}
	c.all[t] = struct{}{}
}

func (c *cleanups) remove(t *Task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, t)
}

// endCleanups ends them, or only those that have returned.
func (c *cleanups) endCleanups(cause error, returned bool) {
	c.mu.Lock()
	var all []*Task
	for t := range c.all {
		if !returned || t.has(isEnded) {
			all = append(all, t)
		}
	}
	c.mu.Unlock()
	for _, t := range all {
		t.cancel(cause)
	}
}
