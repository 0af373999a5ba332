// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/failure"
	"github.com/protoloop/protoloop/internal/panicstack"
)

// maxBatch is the most messages that one call of Receive is asked for.
const maxBatch = 512

// idle is the wait after a call of Receive that has returned nothing, at
// once: a source that knows no long poll must not be called in a tight loop.
const idle = 100 * time.Millisecond

// poll receives messages until the stop event.
func (r *run) poll(t *actors.Task) error {
	defer r.inFlight.takerEnded()
	var bad trouble
	for {
		n, change := r.inFlight.reserveReceive(maxBatch)
		if change != nil {
			if _, err := actors.Await(t, change); err != nil {
				return err
			}
			continue
		}
		if n == 0 {
			return nil
		}
		began := time.Now()
		got, err := r.receive(t, n)
		switch {
		case t.StopRequested():
			return nil
		case err == nil && got > 0:
			bad = trouble{}
		case err == nil:
			bad = trouble{}
			if time.Since(began) < time.Millisecond {
				_, err = t.SleepOrStop(idle)
			}
		default:
			err = r.troubled(t, &bad, err)
		}
		if err != nil {
			return err
		}
	}
}

// receive calls the source's Receive and adds what comes, also
// after the task has been ended.
//
// It is no [actors.Offload]: a Receive may wait for as long as the queue is
// empty, and the idle pollers of an actor system would hold all of the
// goroutines that it has for that, also those that acks need. Like one it is
// waited for when the task has been ended.
func (r *run) receive(t *actors.Task, most int) (int, error) {
	p := new(actors.Promise[int])
	task := t.Context()
	go func() {
		n, err := 0, actors.ErrGoexit
		defer func() {
			if v := recover(); v != nil {
				err = &actors.PanicError{Value: v, Stack: panicstack.Take(0)}
			}
			if err != nil {
				p.Reject(err)
				return
			}
			p.Resolve(n)
		}()
		n, err = r.receiveNow(task, most)
	}()
	n, err := actors.Await(t, p.Future())
	if t.Context().Err() == nil {
		return n, err
	}
	late := t.Cleanup(callTimeout, func(t *actors.Task) error {
		_, err := actors.Await(t, p.Future()) // what it returns is in flight by then
		return err
	})
	if !p.Future().Done() {
		worry(t.Context(), r.log, "a call of Receive has not returned at the end of its context; it is abandoned", late)
	}
	return n, err
}

// receiveNow is the call, which blocks.
func (r *run) receiveNow(task context.Context, most int) (int, error) {
	// The stop event has to end ctx before messages are given back, and a
	// parent's end is a child's within the same call.
	r.c.mu.Lock()
	calls := r.calls
	r.c.mu.Unlock()
	ctx, cancel := context.WithCancel(calls)
	defer cancel()
	defer context.AfterFunc(task, cancel)()
	var ds []*delivery
	failed := true // until it has returned
	defer func() { r.inFlight.addReceived(ds, most, failed) }()
	ms, err := r.src.Receive(ctx, most)
	failed = err != nil
	ds = r.deliveries(task, ms)
	if calls.Err() != nil && r.polling.Err() == nil && task.Err() == nil {
		err = nil // the breaker has ended it
	}
	return len(ms), err
}

// deliveries are those of messages that a call of the task with that context has brought.
func (r *run) deliveries(task context.Context, ms []*Message) []*delivery {
	ds := make([]*delivery, len(ms))
	for i, m := range ms {
		ds[i] = r.deliver(task, m)
	}
	return ds
}

// deliver makes the delivery of a message. A message whose order cannot be
// told is poison.
func (r *run) deliver(task context.Context, m *Message) (d *delivery) {
	d = &delivery{m: m}
	if m.Lease > 0 {
		d.extendAt = m.ReceivedAt.Add(m.Lease / 2)
	}
	if r.c.opts.Order == nil {
		return d
	}
	defer func() {
		if p := recover(); p != nil {
			d.err = Poison(fmt.Errorf("consumer: Options.Order: %w", &actors.PanicError{Value: p, Stack: panicstack.Take(0)}))
			r.c.noteError(m, 1, d.err)
			r.log.ErrorContext(task, "consumer: dead letter", "message", m.ID, "error", d.err)
			r.hooks.tellOf(failure.DeadLetter, m, "dead letter", d.err)
		}
	}()
	d.order = r.c.opts.Order(*m)
	return d
}

// trouble tracks a poller whose calls fail.
type trouble struct {
	n     int
	since time.Time
}

// troubled waits before the next call after one that failed of err, or says
// that the source is to be opened again.
func (r *run) troubled(t *actors.Task, bad *trouble, err error) error {
	if ended := context.Cause(t.Context()); ended != nil {
		return ended
	}
	r.c.mu.Lock()
	r.c.stats.Trouble++
	r.c.mu.Unlock()
	r.c.noteError(nil, 0, err)
	if errors.Is(err, ErrClosed) {
		return fmt.Errorf("consumer: receive: %w", err)
	}
	if bad.n++; bad.n == 1 {
		bad.since = time.Now()
	}
	if out := time.Since(bad.since); r.c.opts.Outage > 0 && out >= r.c.opts.Outage {
		return fmt.Errorf("consumer: the source has been failing for %v: %w", out.Round(time.Second), err)
	}
	delay := r.c.opts.Trouble.Wait(bad.n)
	worry(t.Context(), r.log, "the source failed; it will be called again", err, "delay", delay, "since", bad.since)
	_, err = t.SleepOrStop(delay)
	return err
}
