// SPDX-License-Identifier: Apache-2.0

package otelloop

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/protoloop/protoloop/consumer"
)

// Open returns an open whose sources have CLIENT spans, one for each call that receives messages and for each that settles some, with links
// to the traces of these messages; and they measure these calls. A call none of whose messages is of a sampled trace has no span:
// nor has a poll that brings nothing.
func (tr *Tracing) Open(q Queue, open consumer.Open) consumer.Open {
	if open == nil {
		panic("otelloop: Open called with a nil open")
	}
	return func(ctx context.Context) (consumer.Source, error) {
		src, err := open(ctx)
		if err != nil || src == nil {
			return src, err
		}
		s := &tracedSource{src, tr, q}
		_, canBury := src.(consumer.DeadLetterer)
		_, canDrain := src.(consumer.Streamer)
		_, canTell := src.(consumer.Lagger)
		bury, drain, tell := buries{s}, drains{s}, tells{s}
		// The consumer asks what a source can do by its type.
		switch {
		case canBury && canDrain && canTell:
			return struct {
				*tracedSource
				buries
				drains
				tells
			}{s, bury, drain, tell}, nil
		case canBury && canDrain:
			return struct {
				*tracedSource
				buries
				drains
			}{s, bury, drain}, nil
		case canBury && canTell:
			return struct {
				*tracedSource
				buries
				tells
			}{s, bury, tell}, nil
		case canDrain && canTell:
			return struct {
				*tracedSource
				drains
				tells
			}{s, drain, tell}, nil
		case canBury:
			return struct {
				*tracedSource
				buries
			}{s, bury}, nil
		case canDrain:
			return struct {
				*tracedSource
				drains
			}{s, drain}, nil
		case canTell:
			return struct {
				*tracedSource
				tells
			}{s, tell}, nil
		}
		return s, nil
	}
}

// tracedSource is a source whose calls have spans. What it can do beside is in the types below.
type tracedSource struct {
	consumer.Source
	tr *Tracing
	q  Queue
}

// Receive is consumer.Source's, and so are the others.
func (s *tracedSource) Receive(ctx context.Context, most int) ([]*consumer.Message, error) {
	c := s.begin("receive", semconv.MessagingOperationTypeReceive)
	ms, err := s.Source.Receive(ctx, most)
	if len(ms) > 0 || err != nil && ctx.Err() == nil {
		c.end(ctx, ms, err)
	}
	return ms, err
}

func (s *tracedSource) Ack(ctx context.Context, ms []*consumer.Message) error {
	c := s.begin("ack", semconv.MessagingOperationTypeSettle)
	err := s.Source.Ack(ctx, ms)
	c.end(ctx, ms, err)
	return err
}

func (s *tracedSource) Nack(ctx context.Context, ns []consumer.Nack) error {
	c := s.begin("nack", semconv.MessagingOperationTypeSettle)
	err := s.Source.Nack(ctx, ns)
	ms := make([]*consumer.Message, len(ns))
	for i := range ns {
		ms[i] = ns[i].Message
	}
	c.end(ctx, ms, err)
	return err
}

type buries struct{ s *tracedSource }

func (b buries) DeadLetter(ctx context.Context, ds []consumer.Dead) error {
	c := b.s.begin("dead_letter", semconv.MessagingOperationTypeSettle)
	err := b.s.Source.(consumer.DeadLetterer).DeadLetter(ctx, ds)
	ms := make([]*consumer.Message, len(ds))
	for i := range ds {
		ms[i] = ds[i].Message
	}
	c.end(ctx, ms, err)
	return err
}

type drains struct{ s *tracedSource }

func (d drains) Drain(ctx context.Context) ([]*consumer.Message, error) {
	c := d.s.begin("receive", semconv.MessagingOperationTypeReceive)
	ms, err := d.s.Source.(consumer.Streamer).Drain(ctx)
	if len(ms) > 0 {
		c.end(ctx, ms, err)
	}
	return ms, err
}

type tells struct{ s *tracedSource }

func (l tells) Lag(ctx context.Context) (int64, error) { return l.s.Source.(consumer.Lagger).Lag(ctx) }

// sourceCall is one call of a source. Its span is made at its end: only then is it known which messages there were.
type sourceCall struct {
	s         *tracedSource
	operation string
	is        attribute.KeyValue
	began     time.Time
}

func (s *tracedSource) begin(operation string, is attribute.KeyValue) sourceCall {
	return sourceCall{s, operation, is, time.Now()}
}

// maxLinks are those of one span: the SDK keeps no more by default.
const maxLinks = 128

func (c sourceCall) end(ctx context.Context, ms []*consumer.Message, err error) {
	ended := time.Now()
	tr, q := c.s.tr, c.s.q
	var links []trace.Link
	for _, m := range ms {
		from := trace.SpanContextFromContext(tr.propagator.Extract(context.Background(), propagation.MapCarrier(m.Attributes)))
		if from.IsSampled() && len(links) < maxLinks {
			links = append(links, trace.Link{SpanContext: from})
		}
	}
	failed := err
	if batch := new(consumer.BatchError); errors.As(err, &batch) && len(batch.Errs) < len(ms) {
		failed = nil // some of it was done
	}
	if len(links) > 0 {
		attrs := append(q.attributes(c.operation, c.is), semconv.MessagingBatchMessageCount(len(ms)))
		_, span := tr.tracer.Start(trace.ContextWithSpanContext(ctx, trace.SpanContext{}), c.operation+" "+q.Destination,
			trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(c.began), trace.WithAttributes(attrs...), trace.WithLinks(links...))
		noteError(span, err)
		span.End(trace.WithTimestamp(ended))
	}
	if !tr.measured {
		return
	}
	attrs := q.attributes(c.operation, c.is)
	if failed != nil {
		attrs = append(attrs, semconv.ErrorTypeKey.String(errorType(failed)))
	}
	tr.queues.calls.RecordSet(ctx, ended.Sub(c.began).Seconds(), attribute.NewSet(attrs...))
}
