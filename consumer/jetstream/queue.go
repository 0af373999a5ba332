// SPDX-License-Identifier: Apache-2.0

package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/internal/natsrefusal"
)

// Names of the headers that JetStream has none of its own for.
const (
	GroupHeader = "Message-Group"
	// KeyHeader has a message's Key where that is not its Nats-Msg-Id, by which the
	// server tells doubles: of a dead letter, and of one that is sent back.
	KeyHeader = "Idempotency-Key"
)

// Queue is a queue in JetStream. Its methods may be called on any goroutine.
type Queue struct {
	nc *nats.Conn
	js jetstream.JetStream
	p  *Publisher
	o  Options
}

// New returns a queue on a connection, which stays the caller's. It asks the
// server for nothing: Open and Send do. Options that cannot be meant are all in one
// error, each an [*actors.OptionError].
func New(nc *nats.Conn, o Options) (*Queue, error) {
	o, err := o.resolved()
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	p, err := NewPublisher(nc)
	if err != nil {
		return nil, err
	}
	return &Queue{nc: nc, js: js, p: p, o: o}, nil
}

// Ensure makes the streams and the consumer, as far as they do not exist, and
// sees to its lease and MaxAckPending. Open does so, too; a program that only sends calls it once. It fails with
// [nats.ErrPermissionViolation] if the server does not let the client do so.
func (q *Queue) Ensure(ctx context.Context) error {
	_, err := q.ensure(ctx)
	return err
}

// unlessRefused makes a call that ends, too, when the server refuses to do something with the queue.
func (q *Queue) unlessRefused(ctx context.Context, call func(ctx context.Context) error) error {
	err := natsrefusal.Watch(ctx, q.nc.LastError, []string{q.o.Name, q.o.DeadLetters}, call)
	if errors.Is(err, nats.ErrPermissionViolation) {
		return fmt.Errorf("jetstream: the server has no queue %s, or this client may not use it so; hubs have those of -queues, and of -partitions: %w", q.o.Name, err)
	}
	return err
}

// ensureStreams makes the streams.
func (q *Queue) ensureStreams(ctx context.Context) error {
	if err := q.stream(ctx, q.o.streamConfig()); err != nil {
		return err
	}
	if q.o.NoDeadLetters {
		return nil
	}
	return q.stream(ctx, q.o.deadConfig())
}

func (q *Queue) ensure(ctx context.Context) (c jetstream.Consumer, err error) {
	err = q.unlessRefused(ctx, func(ctx context.Context) error {
		c, err = q.ensureConsumer(ctx)
		return err
	})
	return c, err
}

func (q *Queue) ensureConsumer(ctx context.Context) (jetstream.Consumer, error) {
	if err := q.ensureStreams(ctx); err != nil {
		return nil, err
	}
	cfg := q.o.consumerConfig()
	if err := unfit(cfg); err != nil {
		return nil, fmt.Errorf("jetstream: Options.Consumer: %w", err)
	}
	c, err := q.js.Consumer(ctx, q.o.Name, cfg.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		c, err = q.js.CreateConsumer(ctx, q.o.Name, cfg)
		if errors.Is(err, jetstream.ErrConsumerExists) { // somebody was faster
			c, err = q.js.Consumer(ctx, q.o.Name, cfg.Durable)
		}
	}
	if err == nil {
		err = unfit(c.CachedInfo().Config)
	}
	if err == nil {
		c, err = q.adjust(ctx, c, cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("jetstream: consumer %s of stream %s: %w", cfg.Durable, q.o.Name, err)
	}
	return c, nil
}

// unfit tells why messages would be lost with a consumer that is so, or stay in the
// stream for ever, without a word of the server's.
func unfit(cfg jetstream.ConsumerConfig) error {
	switch {
	case cfg.AckPolicy != jetstream.AckExplicitPolicy:
		return fmt.Errorf("its AckPolicy is %v and has to be explicit: else a message is done before its handler is; delete it or take another Durable", cfg.AckPolicy)
	case cfg.MaxDeliver > 0:
		return fmt.Errorf("its MaxDeliver is %d and has to be -1: the server gives up a message after that and leaves it in the stream; what ends tries is consumer.Options.MaxTries", cfg.MaxDeliver)
	case len(cfg.BackOff) > 0:
		return fmt.Errorf("it has a BackOff (%v), and what it has delivered would come again by that instead of its lease (AckWait); what delays tries is consumer.Options.Retry", cfg.BackOff)
	case cfg.HeadersOnly:
		return errors.New("it is HeadersOnly: its messages come without a body")
	}
	return nil
}

// adjust has a consumer hide messages for as long as is asked for, and deliver on
// however many it waits for: see unlimited. The rest of it stays as it is.
func (q *Queue) adjust(ctx context.Context, c jetstream.Consumer, want jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	cfg := c.CachedInfo().Config
	before := cfg
	if q.o.Lease > 0 || want.AckWait != defaultLease {
		cfg.AckWait = want.AckWait
	}
	cfg.MaxAckPending = want.MaxAckPending
	if cfg.AckWait == before.AckWait && cfg.MaxAckPending == before.MaxAckPending {
		return c, nil
	}
	c, err := q.js.UpdateConsumer(ctx, q.o.Name, cfg)
	if err != nil {
		return nil, fmt.Errorf("change its lease (AckWait) from %v to %v, and its MaxAckPending from %d to %d: %w",
			before.AckWait, cfg.AckWait, before.MaxAckPending, cfg.MaxAckPending, err)
	}
	return c, nil
}

// stream makes a stream unless it exists.
func (q *Queue) stream(ctx context.Context, cfg jetstream.StreamConfig) error {
	s, err := q.js.Stream(ctx, cfg.Name)
	if err == nil {
		err = q.checkSubjects(ctx, s.CachedInfo().Config, cfg)
	} else if errors.Is(err, jetstream.ErrStreamNotFound) {
		if _, err = q.js.CreateStream(ctx, cfg); errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("jetstream: stream %s: %w", cfg.Name, err)
	}
	return nil
}

// checkSubjects fails if a stream that exists does not take what is sent to the
// subjects that it is to have: the server may store that in another one, and confirm
// it. A stream that has what is in it from other streams takes nothing.
func (q *Queue) checkSubjects(ctx context.Context, existing, want jetstream.StreamConfig) error {
	if existing.Mirror != nil || len(existing.Sources) > 0 {
		return nil
	}
	for _, subject := range want.Subjects {
		name, err := q.js.StreamNameBySubject(ctx, subject)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			name, err = "no stream", nil
		}
		if err != nil {
			return err
		}
		if name != existing.Name {
			return fmt.Errorf("it has the subjects %q, and what is sent to %q goes to %s", existing.Subjects, subject, name)
		}
	}
	return nil
}

// Open opens a source of the queue, and makes what is missing of it. It is a
// consumer.Open. Close leaves the connection open.
func (q *Queue) Open(ctx context.Context) (consumer.Source, error) {
	c, err := q.ensure(ctx)
	if err != nil {
		return nil, err
	}
	return newSource(q, c), nil
}

// Send puts messages into the queue and returns when the server has stored
// them. Of each, Body, Key, Group and Attributes count; one that was received can be
// sent as it is. A message whose Key was sent within the last two minutes is stored
// once. A dead letter that is sent back is none whose Key was sent before.
//
// The error is a [*consumer.BatchError]: it says which messages were not
// confirmed, and of each what [Publisher.Publish] would say, or the cause of ctx.
// To send those again, with Keys, is safe. Send itself does so with what has a Key when
// the connection was lost on the way and there is another one. Send waits where [Queue.SendAsync]
// refuses a message because too many wait to be stored.
func (q *Queue) Send(ctx context.Context, ms ...consumer.Message) error {
	return q.sendTo(ctx, func(consumer.Message) *Queue { return q }, ms)
}

// sendTo is Send of messages that may be those of several queues with one publisher.
func (q *Queue) sendTo(ctx context.Context, queueOf func(consumer.Message) *Queue, ms []consumer.Message) error {
	var errs consumer.BatchError
	msgs := make([]*nats.Msg, len(ms))
	for i, m := range ms {
		var err error
		if msgs[i], err = queueOf(m).message(m); err != nil {
			errs.Fail(i, err)
		}
	}
	for i, err := range q.p.publishAll(ctx, msgs) {
		errs.Fail(i, fmt.Errorf("jetstream: send message %d of %d: %w", i+1, len(ms), err))
	}
	return errs.Err()
}

// SendAsync is Send of one message for those who cannot wait, such as a task: it
// returns at once, and done is told when the server has stored the message, or
// why it may not have. done must not hold up whoever calls it; see
// [Publisher.Publish].
func (q *Queue) SendAsync(m consumer.Message, done func(err error)) {
	msg, err := q.message(m)
	if err != nil {
		done(err)
		return
	}
	q.p.publish(msg, func(_ uint64, err error) {
		if err != nil {
			err = fmt.Errorf("jetstream: send a message: %w", err)
		}
		done(err)
	})
}

// message is what is sent of m.
func (q *Queue) message(m consumer.Message) (*nats.Msg, error) {
	id := m.Key
	if dead := m.Attributes[consumer.AttrID]; dead != "" { // its Key was sent with the message that has died
		id = strings.Join([]string{"again", dead, m.Attributes[consumer.AttrSentAt], m.Key}, " ")
	}
	msg, err := message(q.o.Subject, m.Attributes, id, m.Body)
	switch {
	case err != nil || m.Key == "":
	case id != m.Key:
		err = setHeader(msg, KeyHeader, m.Key)
	default:
		msg.Header.Del(KeyHeader)
	}
	if err == nil && m.Group != "" {
		err = setHeader(msg, GroupHeader, m.Group)
	}
	if err != nil {
		return nil, err
	}
	return msg, nil
}

// message is a NATS message; key is what the server tells doubles by.
func message(subject string, attrs map[string]string, key string, body []byte) (*nats.Msg, error) {
	m := &nats.Msg{Subject: subject, Data: body}
	for k, v := range attrs {
		if isServers(k) {
			return nil, fmt.Errorf("jetstream: %q is a header of the server's: with one such a message can purge its stream", k)
		}
		if err := setHeader(m, k, v); err != nil {
			return nil, err
		}
	}
	if key != "" {
		if err := setHeader(m, jetstream.MsgIDHeader, key); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// isServers reports whether a header is an instruction to the server.
func isServers(key string) bool {
	return len(key) >= len("Nats-") && strings.EqualFold(key[:len("Nats-")], "Nats-")
}

// setHeader sets a header, or says why that cannot be one: NATS would cut it
// or read it as another.
func setHeader(m *nats.Msg, key, value string) error {
	if !isToken(key) || strings.ContainsAny(value, "\r\n") || strings.Trim(value, " \t") != value {
		return fmt.Errorf("jetstream: %q: %q cannot be a header", key, value)
	}
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	m.Header.Set(key, value)
	return nil
}

// isToken reports whether a header can be called so: RFC 9110's token.
func isToken(key string) bool {
	for _, c := range []byte(key) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return key != ""
}
