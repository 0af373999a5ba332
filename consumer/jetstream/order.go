// SPDX-License-Identifier: Apache-2.0

package jetstream

import (
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/protoloop/protoloop/consumer"
)

// order tracks whether all has come that the server has delivered to a consumer which only one source has. What was on its way from a
// server that is lost never comes, and whoever leads the consumer then goes on behind it: it would deliver that again when its lease
// is over. Whoever has the source's turn owns it. A nil one looks at nothing.
//
// A source that lacks a delivery ends. The next one has a consumer of its own, which begins with the first message that is not acked.
type order struct {
	last   uint64 // the number of the last delivery that has come
	behind int    // how many heartbeats in a row have named a later one
	err    error  // what has been lost
}

// mayLag is how many heartbeats in a row may name a delivery that has not come: in a cluster the server tells the others of it first.
const mayLag = 1

// broken is why nothing more is to be received, or nil.
func (o *order) broken() error {
	if o == nil {
		return nil
	}
	return o.err
}

// delivered is told the number of a delivery that has come. It fails if one before it has not, and from then on.
func (o *order) delivered(number uint64) error {
	if o == nil || o.err != nil {
		return o.broken()
	}
	if number > o.last+1 { // a smaller one is that of a server which did not know how far the one before had come
		return o.lose(number - 1)
	}
	o.last, o.behind = number, 0
	return nil
}

// heartbeat is told what the server says while it has nothing to deliver.
func (o *order) heartbeat(m *nats.Msg) error {
	if o == nil || o.err != nil {
		return o.broken()
	}
	number, err := strconv.ParseUint(m.Header.Get("Nats-Last-Consumer"), 10, 64)
	if err != nil || number <= o.last {
		o.behind = 0
		return nil
	}
	if o.behind++; o.behind > mayLag {
		return o.lose(number)
	}
	return nil
}

func (o *order) lose(upTo uint64) error {
	o.err = fmt.Errorf("jetstream: %w: deliveries %d to %d were lost on their way", consumer.ErrClosed, o.last+1, upTo)
	return o.err
}

// inOrder is convert, but fails if a delivery before m is lost.
func (s *source) inOrder(m *nats.Msg) (*consumer.Message, error) {
	if s.order != nil {
		meta, err := m.Metadata()
		if err != nil {
			return nil, fmt.Errorf("jetstream: a message without metadata: %w", err)
		}
		if err := s.order.delivered(meta.Sequence.Consumer); err != nil {
			return nil, err
		}
	}
	return s.convert(m, time.Now())
}
