// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/protoloop/protoloop/consumer"
)

// source is one consumer's view of a queue.
type source struct {
	q      *Queue
	closed bool
}

var (
	_ consumer.DeadLetterer = (*source)(nil)
	_ consumer.Lagger       = (*source)(nil)
)

// Lag counts the messages that nobody has received, or that have come back.
func (s *source) Lag(context.Context) (int64, error) {
	q := s.q
	q.mu.Lock()
	defer q.mu.Unlock()
	n, now := int64(0), time.Now()
	for _, it := range q.byID {
		if !it.inFlight || !it.visibleAt.After(now) { // else it is hidden by a lease
			n++
		}
	}
	return n, nil
}

// Open opens a source of the queue. It is a consumer.Open.
func (q *Queue) Open(ctx context.Context) (consumer.Source, error) {
	if err := q.fault(ctx, Open, nil); err != nil {
		return nil, err
	}
	s := &source{q: q}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sources[s] = struct{}{}
	return s, nil
}

func (q *Queue) fault(ctx context.Context, call Call, ms []*consumer.Message) error {
	if q.o.Fault == nil {
		return nil
	}
	ids := make([]string, len(ms))
	for i, m := range ms {
		ids[i] = m.ID
	}
	return q.o.Fault(ctx, call, ids)
}

// Receive waits for a visible message, up to Options.Wait.
func (s *source) Receive(ctx context.Context, most int) ([]*consumer.Message, error) {
	q := s.q
	if err := q.fault(ctx, Receive, nil); err != nil {
		return nil, err
	}
	if q.o.MaxBatch > 0 {
		most = min(most, q.o.MaxBatch)
	}
	end := time.Now().Add(q.o.Wait)
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		ms, until, changed, err := s.take(most)
		if len(ms) > 0 || err != nil {
			return ms, err
		}
		now := time.Now()
		if !now.Before(end) {
			return nil, nil
		}
		if until.IsZero() || until.After(end) {
			until = end
		}
		timer := time.NewTimer(max(until.Sub(now), 1))
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// take takes what is visible, or says when to look again and what to wait for.
func (s *source) take(most int) (ms []*consumer.Message, until time.Time, changed chan struct{}, err error) {
	q := s.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.closed {
		return nil, until, nil, consumer.ErrClosed
	}
	now := time.Now()
	q.wake(now)
	for len(ms) < most {
		it := q.ready.first()
		if it == nil {
			break
		}
		q.ready.pop()
		it.Deliveries++
		it.inFlight = true
		q.hide(it, now.Add(q.o.Lease))
		m := it.Message
		m.ReceivedAt, m.Lease, m.Ref = now, q.o.Lease, it.Deliveries
		ms = append(ms, &m)
	}
	if it := q.hidden.first(); it != nil {
		until = it.visibleAt
	}
	return ms, until, q.changed, nil
}

// hide lets an item come back at a time.
func (q *Queue) hide(it *item, at time.Time) {
	it.visibleAt = at
	q.hidden.push(it)
}

// each calls f for the item of each message that is still its receiver's.
func (s *source) each(ctx context.Context, call Call, ms []*consumer.Message, f func(i int, it *item)) error {
	q := s.q
	var batch consumer.BatchError
	if err := q.fault(ctx, call, ms); err != nil {
		partial, ok := err.(*consumer.BatchError)
		if !ok {
			return err
		}
		for i, err := range partial.Errs {
			batch.Fail(i, err)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.closed {
		return consumer.ErrClosed
	}
	q.wake(time.Now())
	for i, m := range ms {
		it := q.byID[m.ID]
		switch {
		case batch.Errs[i] != nil:
		case it == nil || it.Deliveries != m.Ref.(int):
			batch.Fail(i, fmt.Errorf("%w: message %s", consumer.ErrGone, m.ID))
		default:
			f(i, it)
		}
	}
	q.change()
	return batch.Err()
}

func (q *Queue) remove(it *item) {
	it.gone = true
	delete(q.byID, it.ID)
}

// Ack removes messages.
func (s *source) Ack(ctx context.Context, ms []*consumer.Message) error {
	return s.each(ctx, Ack, ms, func(_ int, it *item) { s.q.remove(it) })
}

// Nack lets messages come back after their delays.
func (s *source) Nack(ctx context.Context, ns []consumer.Nack) error {
	ms := make([]*consumer.Message, len(ns))
	for i, n := range ns {
		ms[i] = n.Message
	}
	return s.each(ctx, Nack, ms, func(i int, it *item) {
		it.inFlight = false
		s.q.hide(it, time.Now().Add(ns[i].Delay))
	})
}

// Extend renews leases.
func (s *source) Extend(ctx context.Context, ms []*consumer.Message) error {
	return s.each(ctx, Extend, ms, func(_ int, it *item) {
		it.inFlight = true
		s.q.hide(it, time.Now().Add(s.q.o.Lease))
	})
}

// DeadLetter keeps messages for Queue.Dead.
func (s *source) DeadLetter(ctx context.Context, ds []consumer.Dead) error {
	if s.q.o.NoDeadLetters {
		return fmt.Errorf("memory: no dead letters: %w", errors.ErrUnsupported)
	}
	ms := make([]*consumer.Message, len(ds))
	for i, d := range ds {
		ms[i] = d.Message
	}
	return s.each(ctx, DeadLetter, ms, func(i int, it *item) {
		s.q.remove(it)
		s.q.dead = append(s.q.dead, ds[i])
	})
}

// Close ends the source.
func (s *source) Close(ctx context.Context) error {
	err := s.q.fault(ctx, Close, nil)
	s.q.mu.Lock()
	defer s.q.mu.Unlock()
	s.closed = true
	delete(s.q.sources, s)
	s.q.change()
	return err
}
