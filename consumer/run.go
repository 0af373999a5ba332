// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/life"
	"github.com/protoloop/protoloop/internal/panicstack"
	"github.com/protoloop/protoloop/internal/persystem"
)

// callTimeout bounds each call of the source but Receive.
const callTimeout = 30 * time.Second

// lastCall is how long a call that settles messages may go on after its task
// has been ended, by a stop whose grace is over or by a failure. One that is cut
// off may have been heard: then the queue refuses to be told again, and nobody
// knows what has become of them.
const lastCall = 2 * time.Second

// run is one incarnation of a consumer: a source, what is in flight, and the
// tasks that move it.
type run struct {
	c        *Consumer
	src      Source
	inFlight *inFlight
	own      *actors.Limiter // of the calls of src
	log      *slog.Logger
	hooks    failureHooks
	registry *registry // of the actor system
	lags     *lagCalls
	names    *taskNames

	excused    limitedWarning // failures of handlers
	unextended limitedWarning // leases

	polling  context.Context // ends with the stop event
	endPoll  context.CancelFunc
	calls    context.Context // of Receive: ends when the breaker opens; the consumer's lock guards it
	endCalls context.CancelFunc
}

func newRun(c *Consumer, src Source, own *actors.Limiter, w *actors.Worker, log *slog.Logger) *run {
	r := &run{c: c, src: src, own: own, log: log, hooks: failureHooksOf(w, c.names), registry: persystem.Of[registry](w.ActorSystem()), lags: newLagCalls(), names: c.names}
	r.excused.text, r.unextended.text = "a handler failed, not for its message; that counts as no try", "leases could not be extended"
	r.inFlight = &inFlight{run: r, worker: w.Self(), names: c.names, recent: &c.recent, mu: &c.mu, stats: &c.stats, opts: &c.opts, breaker: c.breaker, takers: c.opts.Pollers + 2} // and watchStop and watchBreaker
	_, r.inFlight.streams = src.(Streamer)
	r.polling, r.endPoll = context.WithCancel(context.Background())
	r.calls, r.endCalls = context.WithCancel(r.polling)
	c.mu.Lock()
	c.stats.Incarnations++
	c.mu.Unlock()
	return r
}

func (r *run) register(w *actors.Worker) {
	w.OnStop(r.end)
	w.Background(r.names.of("stop"), r.watchStop)
	w.Background(r.names.of("breaker"), r.watchBreaker)
	w.Background(r.names.of("dispatch"), r.dispatch)
	w.Background(r.names.of("extend"), r.extend)
	for i, what := range [settlers]string{acks: "ack", nacks: "nack", burials: "dead letters"} {
		w.Background(r.names.of(what), func(t *actors.Task) error { return r.tell(t, i) })
	}
	for range r.c.opts.Pollers {
		w.Background(r.names.of("poll"), r.poll)
	}
}

// watchStop waits for the stop event, and has what has not begun given back as
// soon as nobody here would receive it again.
func (r *run) watchStop(t *actors.Task) error {
	defer r.inFlight.takerEnded()
	if _, _, err := loopsync.Receive(t, t.Stopping()); err != nil {
		return err
	}
	r.endPoll()
	r.inFlight.beginStop()
	err := r.endReceiving(t)
	r.inFlight.returnUnbegun()
	return err
}

// endReceiving waits until no call of Receive is under way, and ends the stream of
// a source that has one: what is given back after that comes to nobody here.
func (r *run) endReceiving(t *actors.Task) error {
	for {
		change := r.inFlight.awaitReceives()
		if change == nil {
			return r.drain(t)
		}
		if err := t.Await(change); err != nil {
			return err
		}
	}
}

// watchBreaker has the worker take part in an outage.
func (r *run) watchBreaker(t *actors.Task) error {
	defer r.inFlight.takerEnded()
	r.inFlight.joinBreaker() // not before: a worker whose setup fails is never closed
	for {
		open, _, ended, change, _ := r.inFlight.outage()
		switch {
		case ended:
			return nil
		case open:
			// A task of its own, so that package inspect shows it. Info has the cause.
			change = t.Go(r.sitOut, actors.Name(r.names.of("the breaker is open")))
		}
		if err := t.Await(change); err != nil {
			return err
		}
	}
}

// sitOut gives back what has not begun, and waits until the breaker has closed.
func (r *run) sitOut(t *actors.Task) error {
	for {
		open, quiesce, ended, change, _ := r.inFlight.outage()
		switch {
		case ended || !open:
			return nil
		case quiesce:
			r.endCalls() // r.calls is replaced here only
			if err := r.endReceiving(t); err != nil {
				return err
			}
			r.c.mu.Lock()
			r.calls, r.endCalls = context.WithCancel(r.polling)
			r.c.mu.Unlock()
			if n := r.inFlight.deferUntried(); n > 0 {
				r.log.InfoContext(t.Context(), "consumer: messages go back until the breaker closes", "messages", n)
			}
			continue
		}
		if err := t.Await(change); err != nil {
			return err
		}
	}
}

// drain ends the stream of a source that has one.
func (r *run) drain(t *actors.Task) error {
	src, ok := r.src.(Streamer)
	if !ok {
		return nil
	}
	return r.offload(t, func(ctx context.Context) error {
		ms, err := src.Drain(ctx)
		r.inFlight.addReceived(r.deliveries(ctx, ms), 0, err != nil)
		return err
	}, func(ctx context.Context, err error) {
		if err != nil {
			worry(ctx, r.log, "the source's stream could not be ended in order", err)
		}
	})
}

// turnful is how many handlers begin in one turn: the worker's other tasks
// want theirs.
const turnful = 64

// dispatch begins handlers.
func (r *run) dispatch(t *actors.Task) error {
	for n := 1; ; n++ {
		d, paused, at, change := r.inFlight.beginNext(time.Now())
		switch {
		case d != nil:
			r.start(t, d)
			if n%turnful == 0 {
				if err := t.Yield(); err != nil {
					return err
				}
			}
		case paused != nil:
			t.Go(func(t *actors.Task) error { return r.pause(t, paused) })
		case change == nil:
			return nil
		default:
			if err := untilOr(t, at, change); err != nil {
				return err
			}
		}
	}
}

// start runs the handler of one delivery, up to its first await.
func (r *run) start(t *actors.Task, d *delivery) {
	called := false
	fn := func(t *actors.Task) error {
		called = true
		r.handle(t, d)
		return nil
	}
	names := r.names.forMessage(d.m)
	name := names.named
	if d.probe {
		name = names.probe
	}
	if r.c.opts.Timeout > 0 {
		t.Go(fn, name, actors.Timeout(r.c.opts.Timeout))
	} else {
		t.Go(fn, name)
	}
	if !called { // the dispatcher has just been ended
		r.inFlight.undoBegin(d)
	}
}

// handle is the task of one run of the handler. It ends when the handler has
// really returned, not when its future is complete: what follows in its order
// must not overtake it.
func (r *run) handle(t *actors.Task, d *delivery) {
	err := actors.ErrGoexit
	defer func() {
		if p := recover(); p != nil {
			err = &actors.PanicError{Value: p, Stack: panicstack.Take(0)}
		}
		r.handled(t, d, err)
	}()
	err = r.c.handle(t, *d.m)
}

// handled sees to a delivery after a run of its handler.
func (r *run) handled(t *actors.Task, d *delivery, err error) {
	cut := false
	if err != nil {
		err = sound(err)
		cause := context.Cause(t.Context())
		cut = cause != nil && !errors.Is(cause, actors.ErrTimeout) // that is nobody's failure
	}
	v := r.inFlight.finishRun(d, err, cut, time.Now())
	if v.closes {
		r.log.InfoContext(t.Context(), "consumer: a handler succeeded: the breaker is closed", "message", d.m.ID, "account", r.c.Stats().String())
	}
	if v.over || v.next == life.DeliveryAcking || v.next == life.DeliveryReturning {
		return
	}
	r.c.noteError(d.m, v.try, err)
	ctx := t.Context() // of the handler, and so with what traces it
	args := []any{"message", d.m.ID, "try", v.try, "error", err}
	var p *actors.PanicError
	if errors.As(err, &p) {
		args = append(args, "stack", string(p.Stack))
		if v.next != life.DeliveryBurying { // else it is told as that
			r.hooks.tellOf(failure.CallbackPanic, d.m, "panic in a handler", err)
		}
	}
	switch {
	case v.next == life.DeliveryBurying:
		r.log.ErrorContext(ctx, "consumer: dead letter", args...)
		r.hooks.tellOf(failure.DeadLetter, d.m, "dead letter", err)
	case v.opens:
		r.hooks.tellOf(failure.StalledWork, d.m, "the breaker is open", err)
		r.log.ErrorContext(ctx, "consumer: the breaker is open: handlers fail for a reason that is not their message's; nothing is taken but probes, and no try is counted", args...)
	case v.excused && v.probe:
		r.log.WarnContext(ctx, "consumer: a probe failed: the breaker stays open", args...)
	case v.excused:
		r.excused.warn(ctx, r.log, args...)
	default:
		r.log.WarnContext(ctx, "consumer: a handler failed; the message will be tried again", append(args, "delay", v.delay)...)
	}
}

// pause is the wait of a delivery before it is tried again in flight.
func (r *run) pause(t *actors.Task, d *delivery) error {
	stopping, err := t.SleepOrStop(d.delay)
	if err == nil && !stopping {
		r.inFlight.resumePaused(d)
	}
	return err
}

// offload calls the source outside of the loop, for at most callTimeout.
// then is called there, too, with the call's error and the task's context: what an Offload
// returns is dropped once its task has been ended.
func (r *run) offload(t *actors.Task, call func(ctx context.Context) error, then func(ctx context.Context, err error)) error {
	return t.AwaitOffload(func(task context.Context) error {
		ctx, cancel := context.WithTimeout(task, callTimeout)
		defer cancel()
		err := errors.New("consumer: the source has panicked")
		defer func() { then(task, err) }()
		err = call(ctx)
		return nil
	}, actors.Through(r.own))
}

// end gives back what is in flight, and closes the source. It is the OnStop
// hook: all handlers have returned, or been abandoned.
func (r *run) end(t *actors.Task) error {
	r.endPoll()
	began := time.Now()
	r.settleRest(t, life.DeliveryAcking, r.ack)
	r.settleRest(t, life.DeliveryBurying, r.bury)
	if err := r.drain(t); err != nil {
		worry(t.Context(), r.log, "the source's stream could not be ended in time", err)
	}
	given := r.settleRest(t, life.DeliveryReturning, r.nack) // with those that have no place as dead letters
	lost := r.inFlight.closeIncarnation()
	r.closeSource(t)
	reason := "stopped"
	if why := t.StopReason(); !errors.Is(why, actors.ErrStopped) {
		reason = why.Error()
	}
	r.log.InfoContext(t.Context(), "consumer: ended", "reason", reason, "given back", given, "lost", lost,
		"took", time.Since(began), "account", r.c.Stats().String())
	return nil
}

// closeSource closes the source. If the hook has no time left that goes on
// without it: what the source holds must not stay open.
func (r *run) closeSource(t *actors.Task) {
	var begun atomic.Bool
	end := func(ctx context.Context) error {
		if !begun.CompareAndSwap(false, true) {
			return nil
		}
		r.lags.end()
		return r.src.Close(ctx)
	}
	if err := r.offload(t, end, func(ctx context.Context, err error) {
		if err != nil {
			worry(ctx, r.log, "the source could not be closed", err)
		}
	}); err == nil {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		if err := end(ctx); err != nil {
			worry(ctx, r.log, "the source could not be closed", err)
		}
	}()
}

// settleRest tells the source about what is left in flight of one kind, in one
// attempt, and returns how many that were.
func (r *run) settleRest(t *actors.Task, kind life.DeliveryState, call func(context.Context, []*delivery) error) int {
	ds := r.inFlight.takeRest(kind)
	if len(ds) == 0 {
		return 0
	}
	err := r.offload(t, func(ctx context.Context) error { return call(ctx, ds) }, func(ctx context.Context, err error) {
		r.inFlight.noteSettled(ds, err)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			r.c.noteError(nil, 0, err)
			worry(ctx, r.log, "the source could not be told at the end", err, "messages", len(ds))
		}
	})
	if err != nil {
		worry(t.Context(), r.log, "the source could not be told in time at the end", err, "messages", len(ds))
	}
	return len(ds)
}
