// SPDX-License-Identifier: Apache-2.0

package jetstream

import (
	"context"
	"sync"
	"time"

	"github.com/protoloop/protoloop/consumer"
)

// held tracks the message whose ack is held back: see Options.Linger.
type held struct {
	mu    sync.Mutex
	m     *consumer.Message // nil: none
	timer *time.Timer       // lets go of it; nil: none was held yet
}

// swap holds back a message, or none, and returns the one before.
func (h *held) swap(m *consumer.Message) *consumer.Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, h.m = h.m, m
	return m
}

// within has f called in d, unless it is called again before that.
func (h *held) within(d time.Duration, f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.timer == nil {
		h.timer = time.AfterFunc(d, f)
		return
	}
	h.timer.Reset(d)
}

// ackButLast acks the message that was held back, and all of ms but the last,
// which is held back from now on.
func (s *source) ackButLast(ctx context.Context, ms []*consumer.Message) error {
	last := len(ms) - 1
	before := s.held.swap(ms[last])
	s.held.within(s.linger, func() { _ = s.letGo(context.Background()) })
	due := ms[:last:last]
	if before != nil {
		due = append(due, before)
	}
	if len(due) == 0 {
		return nil
	}
	err := s.ack(ctx, due)
	if err != nil {
		s.held.swap(before) // all of ms will be acked again
	}
	return err
}

// letGo acks what is held back. If that fails the message comes again.
func (s *source) letGo(ctx context.Context) error {
	m := s.held.swap(nil)
	if m == nil {
		return nil
	}
	return s.ack(ctx, []*consumer.Message{m})
}
