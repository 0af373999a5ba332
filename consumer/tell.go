// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/failure"
)

// tell tells the source what became of messages, as settler i. While one call
// is under way the next batch gathers, so a slow source has large ones.
func (r *run) tell(t *actors.Task, i int) error {
	call := [settlers]func(context.Context, []*delivery) error{acks: r.ack, nacks: r.nack, burials: r.bury}[i]
	failures := 0
	told := false // that there is no place for dead letters
	for {
		ds, change := r.inFlight.nextBatch(i)
		if change != nil {
			if _, err := actors.Await(t, change); err != nil {
				return err
			}
			continue
		}
		if ds == nil {
			return nil
		}
		var failed error
		var out outcome
		err := r.offload(t, func(task context.Context) error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(task), callTimeout)
			defer cancel()
			defer context.AfterFunc(task, func() { time.AfterFunc(lastCall, cancel) })()
			return call(ctx, ds)
		}, func(_ context.Context, err error) {
			failed, out = err, r.inFlight.noteSettled(ds, err)
		})
		if err != nil {
			return err
		}
		for _, lost := range out.lost {
			r.log.WarnContext(t.Context(), "consumer: a delivery is lost; the queue will deliver again",
				"message", lost.d.m.ID, "was to be", outcomeOf(lost.was), "error", failed)
		}
		if out.unplaced > 0 && !told {
			told = true
			r.log.ErrorContext(t.Context(), "consumer: no place for dead letters; they stay in the queue, at the longest delay", "messages", out.unplaced, "error", failed)
			r.hooks.tell(failure.DeadLetter, "", fmt.Sprintf("no place for %d dead letters; they stay in the queue", out.unplaced), cmp.Or(failed, errors.ErrUnsupported))
		}
		if out.again == 0 {
			failures = 0
			continue
		}
		if errors.Is(failed, ErrClosed) && !t.StopRequested() {
			return fmt.Errorf("consumer: tell the source: %w", failed)
		}
		if failures++; out.again < len(ds) {
			failures = 1 // the next ones need not wait for these
		}
		delay := r.c.opts.Trouble.Wait(failures)
		r.c.noteError(nil, 0, failed)
		worry(t.Context(), r.log, "the source could not be told; it will be again", failed, "messages", out.again, "delay", delay)
		if err := t.Sleep(delay); err != nil {
			return err
		}
	}
}

func messages(ds []*delivery) []*Message {
	ms := make([]*Message, len(ds))
	for i, d := range ds {
		ms[i] = d.m
	}
	return ms
}

func (r *run) ack(ctx context.Context, ds []*delivery) error {
	return r.src.Ack(ctx, messages(ds))
}

func (r *run) nack(ctx context.Context, ds []*delivery) error {
	ns := make([]Nack, len(ds))
	for i, d := range ds {
		ns[i] = Nack{d.m, d.delay}
	}
	return r.src.Nack(ctx, ns)
}

func (r *run) bury(ctx context.Context, ds []*delivery) error {
	src, ok := r.src.(DeadLetterer)
	if !ok {
		return errors.ErrUnsupported
	}
	dead := make([]Dead, len(ds))
	for i, d := range ds {
		dead[i] = Dead{d.m, d.err, d.tried}
	}
	return src.DeadLetter(ctx, dead)
}

// extend extends the leases of what is in flight.
func (r *run) extend(t *actors.Task) error {
	for {
		ds, at, change, none := r.inFlight.nextExtensions(time.Now())
		switch {
		case none:
			return nil
		case len(ds) > 0:
			err := r.offload(t, func(ctx context.Context) error { return r.src.Extend(ctx, messages(ds)) }, func(ctx context.Context, err error) {
				if err != nil {
					r.c.noteError(nil, 0, err)
					r.unextended.warn(ctx, r.log, "error", err, "messages", len(ds))
				}
				r.inFlight.noteExtended(ds, time.Now(), err)
			})
			if err != nil {
				return err
			}
		default:
			if err := untilOr(t, at, change); err != nil {
				return err
			}
		}
	}
}

// untilOr waits until at, if that is not zero, or for change, which comes
// first.
func untilOr(t *actors.Task, at time.Time, change waitable) error {
	if at.IsZero() {
		return t.Await(change)
	}
	p := new(actors.Promise[actors.None])
	change.OnDone(func(struct{}, error) { p.Resolve(struct{}{}) })
	timer := time.AfterFunc(max(time.Until(at), 1), func() { p.Resolve(struct{}{}) })
	defer timer.Stop()
	_, err := actors.Await(t, p.Future())
	return err
}
