// SPDX-License-Identifier: Apache-2.0

package otelloop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/rpcconv"
	"go.opentelemetry.io/otel/trace"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/internal/label"
	"github.com/protoloop/protoloop/internal/observe"
)

// Options are those of [New]. The zero value is usable.
type Options struct {
	// TracerProvider makes the spans. nil: otel's global one.
	TracerProvider trace.TracerProvider
	// Propagator carries a trace to another machine and through a queue. nil: W3C trace context and baggage.
	Propagator propagation.TextMapPropagator
	// Roots says whether work begins a trace that nobody has given a span: neither the task that created it,
	// nor WithContext, SetContext or the header of its message. nil: it does not, so that only what a caller traces is traced. It
	// is called for all such work, so it has to be quick. The sampler of TracerProvider may still decide against it.
	Roots func(w inspect.Work) bool
	// MeterProvider makes the instruments rpc.client.call.duration and rpc.server.call.duration, of what
	// has a span, and messaging.process.duration, messaging.client.consumed.messages and the like, of all messages. nil: there are none.
	MeterProvider metric.MeterProvider
}

// Ratio is for Options.Roots: it chooses so many of the work that nobody has given a span, 0.01 being one in a hundred. Each is chosen for itself.
func Ratio(part float64) func(inspect.Work) bool {
	switch {
	case !(part > 0):
		return func(inspect.Work) bool { return false }
	case part >= 1:
		return func(inspect.Work) bool { return true }
	}
	below := uint64(part * (1 << 64))
	return func(inspect.Work) bool { return rand.Uint64() < below }
}

// Tracing makes spans of what actor systems and consumers do. Its methods may be called on any goroutine.
type Tracing struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	roots      func(observe.Work) bool // nil: none

	serverCalls rpcconv.ServerCallDuration
	clientCalls rpcconv.ClientCallDuration
	measured    bool
	queues      queueInstruments

	sorts   sync.Map // workSort → *spanSort
	nSorts  atomic.Int64
	sortsAt [1 << sortBits]atomic.Pointer[begunSort] // some of them, of work that begins
}

// New returns what makes spans. It fails only if an instrument cannot be made.
func New(o Options) (*Tracing, error) {
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	if o.Propagator == nil {
		o.Propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	}
	tr := &Tracing{
		tracer:     o.TracerProvider.Tracer(ScopeName, trace.WithSchemaURL(semconv.SchemaURL)),
		propagator: o.Propagator, measured: o.MeterProvider != nil,
	}
	if o.Roots != nil {
		tr.roots = observe.SampledBy(o.Roots)
	}
	var meter metric.Meter = noop.Meter{}
	if tr.measured {
		meter = o.MeterProvider.Meter(ScopeName, metric.WithSchemaURL(semconv.SchemaURL))
	}
	var errs [2]error
	tr.serverCalls, errs[0] = rpcconv.NewServerCallDuration(meter)
	tr.clientCalls, errs[1] = rpcconv.NewClientCallDuration(meter)
	err := errors.Join(errs[:]...)
	if err == nil {
		tr.queues, err = newQueueInstruments(meter)
	}
	if err != nil {
		return nil, fmt.Errorf("otelloop: %w", err)
	}
	return tr, nil
}

// Observe has spans made of the work of an actor system, in place of any other [inspect.Observer]. stop ends that: what is under way then has no end.
//
// A span begins when its work is offered, so the wait in the queue is a part of it. It is made later, when the work begins, or ends
// without: its processors hear of it then. An ask of this process has one span,
// of kind SERVER; one of another machine has a CLIENT span here and a SERVER span there. A message that nobody
// waits for is a CONSUMER span, and functions of Submit, Start and Offload are INTERNAL. Below a span that is not
// sampled nothing is begun.
func (tr *Tracing) Observe(sys *actor.ActorSystem) (stop func()) {
	if sys == nil {
		panic("otelloop: Observe called with a nil actor system")
	}
	o := &observe.Observer{Sample: tr.roots, Offered: tr.workOffered, Began: tr.workBegan, Ended: tr.workEnded, Inject: tr.inject, Extract: tr.extract}
	slot := observe.Of(sys)
	slot.Observe(o)
	return sync.OnceFunc(func() { slot.Observe(nil) })
}

// The attributes of spans. A PID may be one: there is no series for each.
const (
	workKey         = attribute.Key("protoloop.work")
	workerKey       = attribute.Key("protoloop.worker")
	incarnationKey  = attribute.Key("protoloop.worker.incarnation")
	queueWaitKey    = attribute.Key("protoloop.queue.wait")
	deliveriesKey   = attribute.Key("protoloop.message.deliveries")
	messageTypeKey  = attribute.Key("protoloop.message.type")
	rpcSystem       = "protoloop"
	messagingSystem = "protoloop"
)

// workSort is what the name and attributes of a span depend on, from the start.
type workSort struct{ is, kind, name, message string }

// spanSort is how spans of a sort of work begin.
type spanSort struct {
	name    string
	start   []trace.SpanStartOption
	metrics attribute.Set // of calls

	static []attribute.KeyValue // those of start
	kind   trace.SpanStartOption
	begun  sync.Pool // of *beginning
}

// maxSpanSorts is how many are kept: names of tasks may be made up.
const maxSpanSorts = 10_000

// sortOf is that of some work.
func (tr *Tracing) sortOf(w observe.Work) *spanSort {
	key := workSort{is: w.Is(), kind: w.Kind(), message: w.MessageType()}
	if key.message == "" {
		key.name = w.Name()
	}
	if s, ok := tr.sorts.Load(key); ok {
		return s.(*spanSort)
	}
	s := newSpanSort(key)
	if tr.nSorts.Load() < maxSpanSorts {
		if _, there := tr.sorts.LoadOrStore(key, s); !there {
			tr.nSorts.Add(1)
		}
	}
	return s
}

func newSpanSort(key workSort) *spanSort {
	s := &spanSort{}
	key.kind, key.message, key.name = nameOf(key.kind), nameOf(key.message), nameOf(key.name)
	kind := trace.SpanKindInternal
	attrs := []attribute.KeyValue{workKey.String(key.is)}
	if key.kind != "" {
		attrs = append(attrs, kindKey.String(key.kind))
	}
	if key.message != "" {
		attrs = append(attrs, messageTypeKey.String(key.message))
	}
	switch key.is {
	case "ask", "remote":
		kind = trace.SpanKindServer
		if key.is == "remote" || key.kind == "" {
			kind = trace.SpanKindClient // what answers makes no span, or one of its own
		}
		s.name = key.message
		if key.kind != "" {
			s.name = key.kind + "/" + key.message
		}
		rpc := []attribute.KeyValue{semconv.RPCSystemNameKey.String(rpcSystem), semconv.RPCMethod(s.name)}
		s.metrics = attribute.NewSet(rpc...)
		attrs = append(attrs, rpc...)
	case "send":
		kind = trace.SpanKindConsumer
		destination := key.kind + "/" + key.message
		s.name = "process " + destination
		attrs = append(attrs, semconv.MessagingSystemKey.String(messagingSystem), semconv.MessagingDestinationName(destination),
			semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess)
	default:
		s.name = key.name
	}
	s.static, s.kind = attrs, trace.WithSpanKind(kind)
	s.start = []trace.SpanStartOption{s.kind, trace.WithAttributes(attrs...)}
	return s
}

// begunSort is the sort of work of a kind that is called by the same thing. To look for it by that takes a twentieth of what the names
// take, of which a hash is made.
type begunSort struct {
	kind *byte // its name, as a string of it has it
	of   unsafe.Pointer
	is   string
	sort *spanSort
}

const sortBits = 6

// sortOfBegun is sortOf for work that begins.
func (tr *Tracing) sortOfBegun(w observe.Work) *spanSort {
	kind, of, is := unsafe.StringData(w.Kind()), w.Called(), w.Is()
	if of == nil {
		return tr.sortOf(w)
	}
	place := &tr.sortsAt[uint64(uintptr(of)^uintptr(unsafe.Pointer(kind)))*0x9e3779b97f4a7c15>>(64-sortBits)]
	found := place.Load()
	if found != nil && found.of == of && found.kind == kind && found.is == is {
		return found.sort
	}
	s := tr.sortOf(w)
	if found == nil { // else another one has the place, and keeps it
		place.CompareAndSwap(nil, &begunSort{kind, of, is, s})
	}
	return s
}

// beginning is what a span is made of when its work begins: the options of its sort, with what only then is known. It is kept: who
// implements a span is in another package, and copies what it is given; to make it anew would be three allocations more for each span.
type beginning struct {
	worker string
	attrs  []attribute.KeyValue // of opts
	opts   [3]trace.SpanStartOption
}

func (s *spanSort) newBeginning() *beginning {
	b := &beginning{attrs: append(slices.Clone(s.static), workerKey.String(""), incarnationKey.Int64(0), queueWaitKey.Float64(0))}
	b.opts = [...]trace.SpanStartOption{s.kind, trace.WithAttributes(b.attrs...), nil}
	return b
}

// set says which work it is.
func (b *beginning) set(w observe.Work, offered time.Time) {
	last := b.attrs[len(b.attrs)-3:]
	if id := w.Worker().GetId(); id != b.worker {
		b.worker, last[0].Value = id, attribute.StringValue(nameOf(id))
	}
	last[1].Value = attribute.Int64Value(int64(w.Incarnation()))
	last[2].Value = attribute.Float64Value(time.Since(offered).Seconds())
	b.opts[2] = trace.WithTimestamp(offered)
}

// workOffered is the Observer's Offered. Of work that begins in this process the span is made then: whoever offers it has no use for the
// span, nor is it in the cache of another processor, and alive for each collection while the work waits in a queue. A request is so 1.2
// to 1.35 of one with a bare span of the SDK's beside it, by CPU time; it was 1.5 (bench: trace/all).
func (tr *Tracing) workOffered(parent context.Context, w observe.Work) context.Context {
	if parent != context.Background() { // otherwise Sample has been asked
		switch in := trace.SpanContextFromContext(parent); {
		case in.IsSampled():
		case in.IsValid():
			return nil
		case tr.roots == nil || !tr.roots(w): // a context without a span
			return nil
		}
	}
	if w.Begins() {
		return parent
	}
	s := tr.sortOf(w)
	ctx, span := tr.tracer.Start(parent, s.name, s.start...)
	if !span.SpanContext().IsValid() && !span.IsRecording() {
		return nil
	}
	return ctx
}

// workBegan is the Observer's Began.
func (tr *Tracing) workBegan(ctx context.Context, w observe.Work) context.Context {
	if !w.Begins() { // it has its span
		if span := trace.SpanFromContext(ctx); span.IsRecording() {
			span.SetAttributes(workerKey.String(nameOf(w.Worker().GetId())), incarnationKey.Int64(int64(w.Incarnation())),
				queueWaitKey.Float64(time.Since(w.Offered()).Seconds()))
		}
		return ctx
	}
	s := tr.sortOfBegun(w)
	b, kept := s.begun.Get().(*beginning)
	if !kept {
		b = s.newBeginning()
	}
	b.set(w, w.Offered())
	ctx, span := tr.tracer.Start(ctx, s.name, b.opts[:]...)
	s.begun.Put(b)
	w.Keep(span)
	return ctx
}

// workEnded is the Observer's Ended.
func (tr *Tracing) workEnded(ctx context.Context, w observe.Work, err error) {
	span, begun := w.Kept().(trace.Span)
	switch {
	case begun:
	case w.Begins(): // it has not
		s := tr.sortOf(w)
		ctx, span = tr.tracer.Start(ctx, s.name, append(s.start[:len(s.start):len(s.start)], trace.WithTimestamp(w.Offered()))...)
	default:
		span = trace.SpanFromContext(ctx)
	}
	if (err != nil || tr.measured) && !span.IsRecording() {
		return
	}
	endSpan(span, err)
	if tr.measured {
		tr.measureCall(ctx, w, err)
	}
}

// measureCall records how long an ask took.
func (tr *Tracing) measureCall(ctx context.Context, w observe.Work, err error) {
	is := w.Is()
	if is != "ask" && is != "remote" {
		return
	}
	set := tr.sortOf(w).metrics
	if err != nil {
		set = attribute.NewSet(append(set.ToSlice(), semconv.ErrorTypeKey.String(errorType(err)))...)
	}
	took := time.Since(w.Offered()).Seconds()
	if is == "remote" {
		tr.clientCalls.RecordSet(ctx, took, set)
		return
	}
	tr.serverCalls.RecordSet(ctx, took, set)
}

// endSpan ends a span whose work has ended with err.
func endSpan(span trace.Span, err error) {
	noteError(span, err)
	span.End()
}

// maxError is how much of an error's text a span has, in bytes.
const maxError = 4 << 10

// noteError adds to a span what has failed, if anything has.
func noteError(span trace.Span, err error) {
	if err == nil {
		return
	}
	span.SetAttributes(semconv.ErrorTypeKey.String(errorType(err)))
	span.SetStatus(codes.Error, label.OfError(err, maxError))
	if p := panicOf(err); p != nil {
		span.AddEvent("exception", trace.WithAttributes(
			semconv.ExceptionType(fmt.Sprintf("%T", p.Value)), semconv.ExceptionMessage(label.Text(fmt.Sprint(p.Value), maxError)),
			semconv.ExceptionStacktrace(label.Text(string(p.Stack), 1<<20))))
	}
}

// panicOf is the panic that an error tells of; nil: it tells of none. The methods Unwrap and As of an error are the user's.
func panicOf(err error) (p *actors.PanicError) {
	defer func() {
		if recover() != nil {
			p = nil
		}
	}()
	errors.As(err, &p)
	return p
}

// endPanicked ends a span whose function has not returned.
func endPanicked(span trace.Span, stack []byte) {
	span.SetAttributes(semconv.ErrorTypeKey.String("panic"))
	span.SetStatus(codes.Error, "panic")
	span.AddEvent("exception", trace.WithAttributes(semconv.ExceptionType("panic"), semconv.ExceptionStacktrace(string(stack))))
	span.End()
}

// ends are the errors of package actors that have a name as the type of an error.
var ends = []struct {
	err  error
	name string
}{
	{actors.ErrTimeout, "timeout"}, {actors.ErrRestarted, "restarted"}, {actors.ErrStopping, "stopping"}, {actors.ErrStopped, "stopped"},
	{actors.ErrMailboxFull, "mailbox_full"}, {actors.ErrDeadLetter, "dead_letter"}, {actors.ErrUnhandled, "unhandled"},
	{actors.ErrUnsendable, "unsendable"}, {actors.ErrNotWorker, "not_worker"}, {actors.ErrGoexit, "goexit"}, {actors.ErrCanceled, "canceled"},
}

// errorType is of few different ones: what package actors calls it, or the type of the innermost error.
func errorType(err error) (name string) {
	defer func() {
		if recover() != nil { // in a method of the user's
			name = fmt.Sprintf("%T", err)
		}
	}()
	if p := panicOf(err); p != nil {
		return "panic"
	}
	for _, e := range ends {
		if errors.Is(err, e.err) {
			return e.name
		}
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return fmt.Sprintf("%T", err)
		}
		err = inner
	}
}

// inject is the Observer's Inject.
func (tr *Tracing) inject(ctx context.Context, set func(key, value string)) {
	tr.propagator.Inject(ctx, setter(set))
}

// extract is the Observer's Extract.
func (tr *Tracing) extract(get func(key string) string) context.Context {
	ctx := tr.propagator.Extract(context.Background(), getter(get))
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return nil
	}
	return ctx
}

// WithTrace returns a message that carries the trace of ctx, for a Send by somebody who is no task, such as a callback or
// the handler of an HTTP request. A message of a task's has its trace anyway, and a call has [actors.WithContext].
func (tr *Tracing) WithTrace(ctx context.Context, message any) any {
	env := &actor.MessageEnvelope{Message: message}
	if in, is := message.(*actor.MessageEnvelope); is {
		env.Message, env.Sender = in.Message, in.Sender
		for k, v := range in.Header {
			env.SetHeader(k, v)
		}
	}
	tr.propagator.Inject(ctx, setter(env.SetHeader))
	return env
}

// LinkTo adds to the span of a task a link to the trace that a header names: that of an HTTP request which has led to the task, such as
// the Handshake of a Socket.IO client, which has no header for each event. Where there is no span, or no trace, it does nothing.
func (tr *Tracing) LinkTo(t *actors.Task, h http.Header) {
	from := trace.SpanContextFromContext(tr.propagator.Extract(context.Background(), propagation.HeaderCarrier(h)))
	if from.IsValid() {
		trace.SpanFromContext(t.Context()).AddLink(trace.Link{SpanContext: from})
	}
}

// setter is a carrier to write to.
type setter func(key, value string)

func (s setter) Get(string) string     { return "" }
func (s setter) Set(key, value string) { s(key, value) }
func (s setter) Keys() []string        { return nil }

// getter is a carrier to read.
type getter func(key string) string

func (g getter) Get(key string) string { return g(key) }
func (g getter) Set(string, string)    {}
func (g getter) Keys() []string        { return nil }
