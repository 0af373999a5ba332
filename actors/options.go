// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"log/slog"
	"time"
)

// Options of a worker or an EventLoop. The zero value is usable.
type Options struct {
	// MailboxSize bounds the messages and submissions that have not started.
	// One more fails with ErrMailboxFull; a plain Send becomes a dead letter.
	// Replies, timers and stop signals never count; an *actor.ReceiveTimeout is
	// a message, counts, and is a dead letter if it is one too many. 0 or less:
	// no bound.
	MailboxSize int
	// MaxInFlight bounds those that have started and not ended; further ones
	// wait in the mailbox. An *actor.Terminated is none of them: its handler
	// starts beside as many. 0 or less: no bound.
	MaxInFlight int
	// MaxOffloads bounds how many functions that were given to Offload without a
	// Limiter run at a time; further ones wait. 0: 128; negative: no bound.
	MaxOffloads int
	// BlockedTurn is how long a turn may last before it is reported, once
	// and while it lasts, with its stack. The record is there within BlockedTurn
	// and three seconds, also beside 100,000 suspended tasks: to find the stack
	// among theirs takes about a second of a processor then, and stops the world
	// for less than 10 ms (BenchmarkBlockedTurn). Turns that are found within a
	// second of the last search share the next. 0: one second; negative: never.
	BlockedTurn time.Duration
	// StopGrace bounds each of: the drain of a stop that names no
	// grace; the unwinding of tasks in flight at a restart or forced stop, and the
	// OnStop hooks then, together. Hooks at a graceful stop have what is left of
	// its grace, if that is more. 0: five seconds; NoGrace: none, what does not
	// return at once is abandoned; Forever: nothing is abandoned, and a stop waits
	// for what never returns. After an abandoned task, hooks and tasks that unwind
	// must not rely on the worker's state: what it has written in its last turn may
	// not be seen.
	StopGrace Grace
	// IdleAfter ends the worker, as Exit(nil) does, when it has had nothing to do for
	// that long: no message or submission is queued or in flight, nor anything that
	// these have started or offloaded, or begin later by [Task.After]. So a handler
	// that awaits for an hour is not cut off, as it would be by an Exit at a
	// ReceiveTimeout. A Background does not count;
	// what it has started or offloaded does. A worker with a Main is never idle, nor is
	// a Permanent child of a supervisor, which would be restarted at once; a Transient
	// or Temporary one ends, and that is no failure. The worker ends at most an eighth
	// later. A request that comes in that moment fails with ErrStopping: it has not run,
	// and can be sent to the next worker, see Dynamic.GetOrStart of package supervisor.
	// A plain Send is a dead letter then. Actors that the worker has spawned end with
	// it. 0 or less: never.
	IdleAfter time.Duration
	// Kind is what workers of this kind are called together, where they are counted, grouped or
	// labelled: see package inspect. It should be one of few names. "": that of the setup
	// function, or of the type of a plain actor. Of more than 255 bytes, or of what is no UTF-8,
	// there is the beginning, with a hash.
	Kind string
	// Logger receives what nobody is told otherwise: errors of one-way
	// messages, blocked turns, abandoned tasks. nil: the actor system's. Of a
	// handler that panics the record is lost. A function of yours may be told of
	// all that: see inspect.OnFailure.
	Logger *slog.Logger
}

const (
	defaultBlockedTurn = time.Second
	defaultStopGrace   = 5 * time.Second
)

// resolved returns o with the defaults in place.
func (o Options) resolved() Options {
	switch {
	case o.BlockedTurn == 0:
		o.BlockedTurn = defaultBlockedTurn
	case o.BlockedTurn < 0:
		o.BlockedTurn = 0
	}
	switch {
	case o.StopGrace == 0:
		o.StopGrace = defaultStopGrace
	case o.StopGrace < 0:
		o.StopGrace = 0
	}
	switch {
	case o.MaxOffloads == 0:
		o.MaxOffloads = defaultOffloads
	case o.MaxOffloads < 0:
		o.MaxOffloads = 0
	}
	o.MailboxSize = max(o.MailboxSize, 0)
	o.MaxInFlight = max(o.MaxInFlight, 0)
	return o
}

// CallOption changes one call of Submit, RequestFuture, Ask, Start or Offload. One that
// cannot be meant panics with an [*OptionError].
type CallOption struct {
	set     callSet
	timeout time.Duration
	ctx     context.Context
	name    string
	limiter *Limiter
	group   *Group
}

type callSet uint8

const (
	setTimeout callSet = iota + 1
	setContext
	setName
	setLimiter
	setMember
	setDetached
	setUntilStop
	setIdempotent
)

// checkOptions panics for an option that is of one call only, and not of this. It is
// called before anything is made that a panic would leave behind, such as a member of a
// group, for which its Wait would wait for ever.
func checkOptions(opts []CallOption) {
	if hasOption(opts, setIdempotent) {
		panic(misplacedIdempotent())
	}
	checkRequestOptions(opts)
}

func misplacedIdempotent() *OptionError {
	return misplaced("Idempotent", "is an option of requests only")
}

// checkRequestOptions is checkOptions for a request.
func checkRequestOptions(opts []CallOption) {
	for i := range opts {
		switch opts[i].set {
		case setLimiter:
			panic(misplaced("Through", "is an option of Offload only"))
		case setMember:
			panic(misplaced("Group.Member", "is an option of Start only"))
		}
	}
}

// checkMemberOptions is checkOptions for a member of a group.
func checkMemberOptions(opts []CallOption) {
	for i := range opts {
		switch opts[i].set {
		case setLimiter:
			panic(misplaced("Through", "is an option of Offload only"))
		case setDetached:
			panic(misplaced("Detached", "is no option of a member of a group, which ends with it"))
		case setIdempotent:
			panic(misplacedIdempotent())
		}
	}
}

// misplaced is a CallOption that is not one of this call.
func misplaced(option, why string) *OptionError { return &OptionError{"actors", option, nil, why} }

// groupIn is the group of the option Member, if there is one.
func groupIn(opts []CallOption) *Group {
	for i := range opts {
		if opts[i].set == setMember {
			return opts[i].group
		}
	}
	return nil
}

// hasOption reports whether one of opts sets what.
func hasOption(opts []CallOption, what callSet) bool {
	for i := range opts {
		if opts[i].set == what {
			return true
		}
	}
	return false
}

// defaultTimeout is for requests to actors that are no local workers: from
// those an answer cannot be relied on.
const defaultTimeout = 30 * time.Second

// Timeout bounds the work, not only the waiting for it: when d is over the
// future fails with ErrTimeout and the task's context ends. What has not
// started by then never starts. The bound is the smaller of d and what is
// left of the budget of the task that makes the call. A d of zero or less has
// run out; [Forever] is no bound.
func Timeout(d time.Duration) CallOption { return CallOption{set: setTimeout, timeout: d} }

// WithContext ends the work when ctx ends, for instance with the HTTP request
// it serves. The task's context carries ctx's values, and so does that of a
// [Task.Cleanup]; ctx's deadline is a bound as that of a [Timeout].
func WithContext(ctx context.Context) CallOption {
	if ctx == nil {
		panic(&OptionError{"actors: WithContext", "ctx", nil, "is nil"})
	}
	_, _ = ctx.Deadline() // where there is nil in an interface, it panics before anything is made of the call
	return CallOption{set: setContext, ctx: ctx}
}

// Idempotent says of a request that its handler may run more than once for it: it may be sent
// again, by the same request id, when it may have run already and nobody can tell. A grid does so
// when the node is lost that had it, until its budget is used up, in place of [ErrNodeLost]. It is
// for a handler that a second run does no harm. Within a process it changes nothing.
func Idempotent() CallOption { return CallOption{set: setIdempotent} }

// Name is what the task is called in logs and reports. The default is the
// name of its function, or the type of its message.
func Name(task string) CallOption { return CallOption{set: setName, name: task} }

// Detached lets the work outlive whoever makes the call: a cancel of that task does not
// reach the work, and the task's budget does not bound it. It keeps the values of the
// task's context ([context.WithoutCancel]; a task of asyncio's create_task in place of
// one of a TaskGroup). What the work itself creates ends with it, as always, and the work
// ends with the incarnation of the worker it runs on. A task that has been ended can make
// such a call, too: what is to run although the caller was cancelled is
//
//	f := actors.Start(t, save, actors.Detached(), actors.Timeout(time.Minute))
//
// An await of f still ends with the task. To wait for the end of such work see
// [Task.Scope].
func Detached() CallOption { return CallOption{set: setDetached} }

// UntilStop cancels the work as soon as the worker of the task that makes the call is
// told to stop: at the stop event, and not only when the grace is over. From outside of a
// task it is the worker that is called. The work ends with [ErrCanceled].
//
// It is for what waits, and would hold up each stop for the whole grace: see
// [Task.UntilStop].
func UntilStop() CallOption { return CallOption{set: setUntilStop} }
