// SPDX-License-Identifier: Apache-2.0

package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/consumer"
)

// source is one incarnation's view of a queue.
type source struct {
	q      *Queue
	c      jetstream.Consumer
	next   string // subject of pull requests
	lease  time.Duration
	linger time.Duration // see Options.Linger: by the lease that is in force

	turn   chan struct{} // has room for who receives, or closes; owns the following
	pull   *pull         // nil: none yet, or the last has been abandoned
	closed bool
	order  *order // nil: whoever consumes the queue may get its messages in any order

	hasCome    bool      // something has, by the consumer
	unledSince time.Time // since when it seems to have nobody who leads it; zero: it does not

	doubt    chan struct{}   // has room for one: nobody has taken an ack, so whoever leads the consumer may be lost, and the pull with it
	calls    context.Context // of what the server is told: ends soon after the source, see lastAnswerWithin
	endCalls context.CancelFunc

	held held
}

var (
	_ consumer.DeadLetterer = (*source)(nil)
	_ consumer.Streamer     = (*source)(nil)
	_ consumer.Lagger       = (*source)(nil)
)

// Lag is how many messages the server has not delivered to anybody yet. Those that it will deliver again
// are not among them.
func (s *source) Lag(ctx context.Context) (int64, error) {
	info, err := s.c.Info(ctx)
	if err != nil {
		return 0, s.failed(err)
	}
	return int64(info.NumPending), nil
}

func newSource(q *Queue, c jetstream.Consumer) *source {
	info := c.CachedInfo()
	lease := info.Config.AckWait
	calls, endCalls := context.WithCancel(context.Background())
	return &source{
		doubt: make(chan struct{}, 1), calls: calls, endCalls: endCalls,
		q: q, c: c, lease: lease, linger: min(q.o.Linger, lease/3), turn: make(chan struct{}, 1),
		next: fmt.Sprintf("%sCONSUMER.MSG.NEXT.%s.%s", jetstream.DefaultAPIPrefix, info.Stream, info.Name),
	}
}

// enter takes the source's turn, which leave gives back.
func (s *source) enter(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *source) leave() { <-s.turn }

// convert makes a message of a delivery.
func (s *source) convert(m *nats.Msg, now time.Time) (*consumer.Message, error) {
	meta, err := m.Metadata()
	if err != nil {
		return nil, fmt.Errorf("jetstream: a message without metadata: %w", err)
	}
	id := strconv.FormatUint(meta.Sequence.Stream, 10)
	c := &consumer.Message{
		ID: id, Key: id, Body: m.Data, Deliveries: int(meta.NumDelivered),
		SentAt: meta.Timestamp, ReceivedAt: now, Lease: s.lease, Ref: m.Reply,
	}
	if len(m.Header) == 0 {
		return c, nil
	}
	c.Attributes = make(map[string]string, len(m.Header))
	for k, vs := range m.Header {
		if len(vs) > 0 && !isServers(k) { // those nobody may send on
			c.Attributes[k] = vs[0]
		}
	}
	c.Key = cmp.Or(c.Attributes[KeyHeader], m.Header.Get(jetstream.MsgIDHeader), id)
	c.Group = c.Attributes[GroupHeader]
	return c, nil
}

// What a consumer tells the server about a delivery, as its reply.
var (
	ackAck  = []byte("+ACK")
	ackWork = []byte("+WPI")
)

// answerWithin is how long the server has to confirm. What it was told when it
// or the connection ended is never confirmed, and is told again.
const answerWithin = 5 * time.Second

// lastAnswerWithin is how long it has once the source has ended, but for a lost delivery: then nobody may lead the consumer any more, and the next
// source waits.
const lastAnswerWithin = 500 * time.Millisecond

// tell publishes what body says about each message and waits until the server
// has taken all of it, which it does in order: it confirms the last one.
func (s *source) tell(ctx context.Context, ms []*consumer.Message, body func(i int) []byte) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	defer context.AfterFunc(s.calls, cancel)()
	last := len(ms) - 1
	for i, m := range ms[:last] {
		if err := s.q.nc.Publish(m.Ref.(string), body(i)); err != nil {
			return s.failed(err)
		}
	}
	_, err := s.q.nc.RequestWithContext(ctx, ms[last].Ref.(string), body(last))
	switch {
	case err == nil:
		return nil
	case s.calls.Err() != nil:
		return fmt.Errorf("jetstream: %w: %w", consumer.ErrClosed, err)
	case errors.Is(err, nats.ErrNoResponders):
		select {
		case s.doubt <- struct{}{}:
		default:
		}
	}
	return s.failed(err)
}

// failed tells the end of the connection from trouble with it.
func (s *source) failed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return fmt.Errorf("jetstream: %w: %w", consumer.ErrClosed, err)
	}
	return fmt.Errorf("jetstream: %w", err)
}

// Ack removes messages.
func (s *source) Ack(ctx context.Context, ms []*consumer.Message) error {
	if s.linger > 0 {
		return s.ackButLast(ctx, ms)
	}
	return s.ack(ctx, ms)
}

func (s *source) ack(ctx context.Context, ms []*consumer.Message) error {
	return s.tell(ctx, ms, func(int) []byte { return ackAck })
}

// Nack gives messages back, each with a delay, though it be none: a plain -NAK
// the server has in memory only, and a message that was given back at a stop
// would, once the server is started again, wait for the rest of its lease. To
// say both would deliver it twice to a pull of another process.
func (s *source) Nack(ctx context.Context, ns []consumer.Nack) error {
	ms := make([]*consumer.Message, len(ns))
	for i, n := range ns {
		ms[i] = n.Message
	}
	return s.tell(ctx, ms, func(i int) []byte { return nackAfter(ns[i].Delay) })
}

func nackAfter(d time.Duration) []byte {
	return fmt.Appendf(nil, `-NAK {"delay": %d}`, max(d, 0).Nanoseconds())
}

// Extend begins the leases anew.
func (s *source) Extend(ctx context.Context, ms []*consumer.Message) error {
	return s.tell(ctx, ms, func(int) []byte { return ackWork })
}

// DeadLetter stores messages in the stream of dead letters and removes them. One
// that is too large, with what says why, has no place there.
func (s *source) DeadLetter(ctx context.Context, ds []consumer.Dead) error {
	if s.q.o.NoDeadLetters {
		return fmt.Errorf("jetstream: no stream of dead letters: %w", errors.ErrUnsupported)
	}
	subject := s.q.o.deadConfig().Subjects[0]
	msgs := make([]*nats.Msg, len(ds))
	for i, d := range ds {
		msgs[i] = deadLetter(subject, s.q.o.Name, d)
	}
	var batch consumer.BatchError
	within, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	errs := s.q.p.publishAll(within, msgs)
	var stored []*consumer.Message
	var reasons [][]byte
	for i, d := range ds {
		if err := errs[i]; err != nil {
			if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum) {
				err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
			}
			batch.Fail(i, s.failed(err))
			continue
		}
		stored = append(stored, d.Message)
		reasons = append(reasons, []byte("+TERM "+msgs[i].Header.Get(consumer.AttrReason)))
	}
	if len(stored) == 0 {
		return batch.Err()
	}
	if err := s.tell(ctx, stored, func(i int) []byte { return reasons[i] }); err != nil {
		return err // what is stored already is told from doubles by its ID
	}
	return batch.Err()
}

// deadLetter is the message in the stream of dead letters. The headers are
// those that were received, so they are set as they are.
//
// Its ID, by which the server drops doubles, is the same for each delivery of
// the message, and no other message has it: a stream of dead letters may be that
// of several queues, and a stream that is made anew counts from 1 again.
func deadLetter(subject, stream string, d consumer.Dead) *nats.Msg {
	m := nats.NewMsg(subject)
	m.Data = d.Message.Body
	for k, v := range consumer.DeadAttributes(d) {
		if !isServers(k) {
			m.Header.Set(k, v)
		}
	}
	id := fmt.Sprintf("%s %s %d %s", stream, d.Message.ID, d.Message.SentAt.UnixNano(), d.Message.Key)
	m.Header.Set(jetstream.MsgIDHeader, id)
	m.Header.Set(KeyHeader, d.Message.Key)
	return m
}

// Close ends the source, and gives back what has come and was not received.
func (s *source) Close(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	s.closed = true
	_ = s.letGo(ctx) // if that fails it comes again
	ms, err := s.abandon()
	if len(ms) > 0 {
		ns := make([]consumer.Nack, len(ms))
		for i, m := range ms {
			ns[i].Message = m
		}
		err = s.Nack(ctx, ns)
	}
	if err != nil && !errors.Is(err, consumer.ErrClosed) {
		return fmt.Errorf("jetstream: close: %w", err)
	}
	return nil
}
