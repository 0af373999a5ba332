// SPDX-License-Identifier: Apache-2.0

package gocloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gocloud.dev/pubsub"

	"github.com/protoloop/protoloop/consumer"
)

// source is a subscription.
type source struct {
	q   *Queue
	sub *pubsub.Subscription

	mu     sync.Mutex
	late   map[*held]struct{} // nacks that are not due
	closed bool
}

var _ consumer.DeadLetterer = (*source)(nil)

// held is the Ref of a message. The library panics when one is acked or nacked
// twice.
type held struct {
	m     *pubsub.Message
	mu    sync.Mutex
	told  bool // acked, nacked, or to be nacked
	timer *time.Timer
}

// tell reports whether this is the first call.
func (h *held) tell() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := !h.told
	h.told = true
	return first
}

// Receive returns one message: what a driver gives at a time is up to the
// options that its subscription was opened with.
func (s *source) Receive(ctx context.Context, _ int) ([]*consumer.Message, error) {
	m, err := s.sub.Receive(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		s.q.broken(s.sub)
		return nil, fmt.Errorf("gocloud: %w: %w", consumer.ErrClosed, err)
	}
	return []*consumer.Message{{
		ID: m.LoggableID, Key: cmp.Or(m.Metadata[KeyMetadata], m.LoggableID), Group: m.Metadata[GroupMetadata],
		Body: m.Body, Attributes: m.Metadata, Deliveries: s.q.delivered(m), ReceivedAt: time.Now(), Ref: &held{m: m},
	}}, nil
}

// each calls f for each message that was not acked or nacked before.
func each(ms []*consumer.Message, f func(i int, h *held)) error {
	var errs consumer.BatchError
	for i, m := range ms {
		h := m.Ref.(*held)
		if !h.tell() {
			errs.Fail(i, fmt.Errorf("gocloud: %w: %s was acked or nacked", consumer.ErrGone, m.ID))
			continue
		}
		f(i, h)
	}
	return errs.Err()
}

// Ack hands acks to the library, which sends them in the background.
func (s *source) Ack(_ context.Context, ms []*consumer.Message) error {
	return each(ms, func(_ int, h *held) { h.m.Ack() })
}

// maxLate is how many nacks may wait until they are due.
const maxLate = 1000

// Nack nacks messages, now or when their delay is over. A service that knows
// no nack delivers them when their lease is over.
func (s *source) Nack(_ context.Context, ns []consumer.Nack) error {
	ms := make([]*consumer.Message, len(ns))
	for i, n := range ns {
		ms[i] = n.Message
	}
	return each(ms, func(i int, h *held) {
		s.q.remember(ms[i].ID, ms[i].Deliveries)
		if !h.m.Nackable() {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if ns[i].Delay <= 0 || len(s.late) >= maxLate || s.closed {
			h.m.Nack()
			return
		}
		s.late[h] = struct{}{}
		h.timer = time.AfterFunc(ns[i].Delay, func() { s.due(h) })
	})
}

// due nacks a message whose delay is over.
func (s *source) due(h *held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, waits := s.late[h]; waits {
		delete(s.late, h)
		h.m.Nack()
	}
}

// Extend is what the library has no call for.
func (s *source) Extend(context.Context, []*consumer.Message) error {
	return fmt.Errorf("gocloud: extend: %w", errors.ErrUnsupported)
}

// DeadLetter sends messages to the topic of dead letters and acks them.
func (s *source) DeadLetter(ctx context.Context, ds []consumer.Dead) error {
	if s.q.o.DeadLetters == nil {
		return fmt.Errorf("gocloud: no topic of dead letters: %w", errors.ErrUnsupported)
	}
	out := make([]*pubsub.Message, len(ds))
	for i, d := range ds {
		md := consumer.DeadAttributes(d)
		md[KeyMetadata] = d.Message.Key // for whoever sends it back
		out[i] = &pubsub.Message{Body: d.Message.Body, Metadata: md}
	}
	var errs consumer.BatchError
	for i, err := range send(ctx, s.q.o.DeadLetters, out) {
		if err == nil {
			err = s.Ack(ctx, []*consumer.Message{ds[i].Message})
		}
		if err != nil {
			errs.Fail(i, fmt.Errorf("gocloud: dead letter: %w", err))
		}
	}
	return errs.Err()
}

// leftWithin bounds the wait for a message that the driver is receiving.
const leftWithin = 300 * time.Millisecond

// Close nacks what has come in advance and what is yet to be nacked, and
// shuts the subscription down, which sends acks and nacks first.
func (s *source) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for h := range s.late {
		h.timer.Stop()
		h.m.Nack()
	}
	clear(s.late)
	s.mu.Unlock()
	if s.q.o.Lasting { // what has come in advance is the next source's
		return nil
	}
	for _, m := range s.left(ctx) {
		if m.Nackable() {
			m.Nack()
		}
	}
	if err := s.sub.Shutdown(ctx); err != nil {
		return fmt.Errorf("gocloud: shut the subscription down: %w", err)
	}
	return nil
}

// left is what has come in advance. It calls Receive twice: after the first
// the library's goroutine that has fetched the message may still wait for
// somebody to take notice, and would do so for ever.
func (s *source) left(ctx context.Context) (ms []*pubsub.Message) {
	ctx, cancel := context.WithTimeout(ctx, leftWithin)
	defer cancel()
	for range 2 {
		m, err := s.sub.Receive(ctx)
		if err != nil {
			return ms
		}
		ms = append(ms, m)
	}
	return ms
}
