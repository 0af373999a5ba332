// SPDX-License-Identifier: Apache-2.0

package otelloop

import (
	"context"
	"errors"
	"maps"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/messagingconv"
	"go.opentelemetry.io/otel/trace"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
)

// Queue says in spans and metrics which queue it is.
type Queue struct {
	// System is what OpenTelemetry calls it: "nats", "aws_sqs", "kafka", "gcp_pubsub". It is messaging.system.
	System string
	// Destination is the name of the queue, or of the stream. It is messaging.destination.name.
	Destination string
	// Parent has a message be handled within the trace of what has sent it. Otherwise its trace is
	// another one, which links to that: as the conventions want it, since a message may be handled much later, and again.
	Parent bool
}

func (q Queue) attributes(name string, more ...attribute.KeyValue) []attribute.KeyValue {
	return append([]attribute.KeyValue{
		semconv.MessagingSystemKey.String(q.System), semconv.MessagingDestinationName(q.Destination), semconv.MessagingOperationName(name),
	}, more...)
}

// queueInstruments are those of the conventions.
type queueInstruments struct {
	consumed messagingconv.ClientConsumedMessages
	sent     messagingconv.ClientSentMessages
	process  messagingconv.ProcessDuration
	calls    messagingconv.ClientOperationDuration
}

func newQueueInstruments(m metric.Meter) (i queueInstruments, err error) {
	var errs [4]error
	i.consumed, errs[0] = messagingconv.NewClientConsumedMessages(m)
	i.sent, errs[1] = messagingconv.NewClientSentMessages(m)
	i.process, errs[2] = messagingconv.NewProcessDuration(m)
	i.calls, errs[3] = messagingconv.NewClientOperationDuration(m)
	return i, errors.Join(errs[:]...)
}

// Handler returns a handler that does what next does within a CONSUMER span, which is that of the task from there on: what the
// handler asks and logs belongs to it. Each try of a message is a span.
func (tr *Tracing) Handler(q Queue, next consumer.Handler) consumer.Handler {
	if next == nil {
		panic("otelloop: Handler called with a nil handler")
	}
	const operation = "process"
	name := operation + " " + q.Destination
	common := q.attributes(operation, semconv.MessagingOperationTypeProcess)
	set := attribute.NewSet(q.attributes(operation)...)
	return func(t *actors.Task, m consumer.Message) (err error) {
		began := time.Now()
		ctx := t.Context()
		attrs := append(common[:len(common):len(common)], semconv.MessagingMessageID(nameOf(m.ID)))
		if m.Deliveries > 0 {
			attrs = append(attrs, deliveriesKey.Int(m.Deliveries))
		}
		if !m.SentAt.IsZero() {
			attrs = append(attrs, queueWaitKey.Float64(m.ReceivedAt.Sub(m.SentAt).Seconds()))
		}
		opts := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attrs...)}
		sender := tr.propagator.Extract(context.Background(), propagation.MapCarrier(m.Attributes))
		if from := trace.SpanContextFromContext(sender); from.IsValid() {
			if q.Parent {
				ctx = trace.ContextWithRemoteSpanContext(ctx, from)
			} else {
				opts = append(opts, trace.WithLinks(trace.Link{SpanContext: from}))
			}
		}
		ctx, span := tr.tracer.Start(ctx, name, opts...)
		t.SetContext(ctx)
		finished := false
		defer func() {
			is := ""
			switch {
			case !finished: // it panics, or its task is unwound by Goexit. What was passed to panic is the consumer's to catch.
				is = "panic"
				endPanicked(span, debug.Stack())
			case err != nil:
				is = errorType(err)
				fallthrough
			default:
				endSpan(span, err)
			}
			tr.measureProcess(ctx, began, set, is)
		}()
		err = next(t, m)
		finished = true
		return err
	}
}

// measureProcess records a run of a handler.
func (tr *Tracing) measureProcess(ctx context.Context, began time.Time, set attribute.Set, errorType string) {
	if !tr.measured {
		return
	}
	if errorType != "" {
		set = attribute.NewSet(append(set.ToSlice(), semconv.ErrorTypeKey.String(errorType))...)
	}
	tr.queues.process.RecordSet(ctx, time.Since(began).Seconds(), set)
	tr.queues.consumed.AddSet(ctx, 1, set)
}

// StartSend begins a PRODUCER span for messages that are about to be sent, and has each carry it in its Attributes, of which it makes
// copies. What ends the span is called once, with the error of the send.
func (tr *Tracing) StartSend(ctx context.Context, q Queue, ms []consumer.Message) (sending context.Context, end func(error)) {
	const operation = "send"
	began := time.Now()
	attrs := q.attributes(operation, semconv.MessagingOperationTypeSend)
	if len(ms) > 1 {
		attrs = append(attrs, semconv.MessagingBatchMessageCount(len(ms)))
	}
	ctx, span := tr.tracer.Start(ctx, operation+" "+q.Destination, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(attrs...))
	for i := range ms {
		m := &ms[i]
		if m.Attributes = maps.Clone(m.Attributes); m.Attributes == nil {
			m.Attributes = map[string]string{}
		}
		tr.propagator.Inject(ctx, propagation.MapCarrier(m.Attributes))
	}
	return ctx, func(err error) {
		endSpan(span, err)
		if !tr.measured {
			return
		}
		set := attribute.NewSet(q.attributes(operation)...)
		if err != nil {
			set = attribute.NewSet(append(set.ToSlice(), semconv.ErrorTypeKey.String(errorType(err)))...)
		}
		tr.queues.sent.AddSet(ctx, int64(len(ms)), set)
		tr.queues.calls.RecordSet(ctx, time.Since(began).Seconds(), set)
	}
}
