// SPDX-License-Identifier: Apache-2.0

package otelloop_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"
	apitrace "go.opentelemetry.io/otel/trace"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/internal/testtools"
	otelloop "github.com/protoloop/protoloop/otel"
)

// traceLoad is a request to a worker and its answer, which is traced in some way.
type traceLoad struct {
	name     string
	observed bool
	roots    func(inspect.Work) bool
	parent   bool // the request is made within a span
	bare     bool // beside it there is a span of the SDK's
}

// traceLoads are: no observer; one that samples nothing, one in a hundred, and all; and "bare", which is no observer and
// a span of the SDK's with the same attributes, made with as few allocations as can be. The last two are within a sampled span.
func traceLoads() []traceLoad {
	all := func(inspect.Work) bool { return true }
	return []traceLoad{
		{name: "nothing"}, {name: "observed", observed: true}, {name: "percent", observed: true, roots: otelloop.Ratio(0.01)},
		{name: "all", observed: true, roots: all}, {name: "bare", bare: true},
		{name: "child-nothing", parent: true}, {name: "child-all", parent: true, observed: true},
	}
}

// open starts what the requests need. request makes one.
func (l traceLoad) open(tb testing.TB) (request func()) {
	tb.Helper()
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	tb.Cleanup(sys.Shutdown)
	provider := trace.NewTracerProvider() // spans are recorded, and nobody exports them
	tr, err := otelloop.New(otelloop.Options{TracerProvider: provider, Roots: l.roots})
	if err != nil {
		tb.Fatal(err)
	}
	if l.observed {
		tb.Cleanup(tr.Observe(sys))
	}
	ctx := context.Background()
	pid, err := actors.Spawn(ctx, sys.Root, "bank", func(w *actors.Worker) error {
		actors.Handle(w, func(*actors.Task, charge) (actors.None, error) { return actors.None{}, nil })
		return nil
	}, actors.Options{Kind: "bank"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if _, err := actors.Stop(context.Background(), sys.Root, pid, actors.Forever); err != nil {
			tb.Error(err)
		}
	})
	tracer := provider.Tracer("bare")
	start := []apitrace.SpanStartOption{apitrace.WithSpanKind(apitrace.SpanKindServer), apitrace.WithAttributes(
		attribute.String("protoloop.work", "ask"), attribute.String("protoloop.worker.kind", "bank"), attribute.String("protoloop.message.type", "charge"),
		attribute.String("rpc.system.name", "protoloop"), attribute.String("rpc.method", "bank/charge"))}
	began := []attribute.KeyValue{
		attribute.String("protoloop.worker", "bank"), attribute.Int64("protoloop.worker.incarnation", 1), attribute.Float64("protoloop.queue.wait", 1),
	}
	var opts []actors.CallOption
	if l.parent {
		within, span := tracer.Start(ctx, "parent")
		tb.Cleanup(func() { span.End() })
		opts = []actors.CallOption{actors.WithContext(within)}
	}
	return func() {
		var span apitrace.Span
		if l.bare {
			_, span = tracer.Start(ctx, "bank/charge", start...)
			span.SetAttributes(began...)
		}
		if _, err := actors.RequestFuture[actors.None](sys.Root, pid, charge{}, opts...).Wait(ctx); err != nil {
			tb.Fatal(err)
		}
		if l.bare {
			span.End()
		}
	}
}

// BenchmarkRequest is a request and its answer, traced in each way.
func BenchmarkRequest(b *testing.B) {
	for _, l := range traceLoads() {
		b.Run(l.name, func(b *testing.B) {
			request := l.open(b)
			b.ReportAllocs()
			for b.Loop() {
				request()
			}
		})
	}
}

// TestWhatTracingAllocates: nothing for what has no span, and six times for what has one, five of which are the SDK's.
func TestWhatTracingAllocates(t *testing.T) {
	n := map[string]float64{}
	for _, l := range traceLoads() {
		t.Run(l.name, func(t *testing.T) { n[l.name] = testing.AllocsPerRun(1000, l.open(t)) })
	}
	t.Log(n)
	if n["observed"] != n["nothing"] || n["percent"] != n["nothing"] {
		t.Errorf("a request without a span allocates %v and %v times, and %v times where nobody observes", n["observed"], n["percent"], n["nothing"])
	}
	sdk := n["bare"] - n["nothing"]
	for of, more := range map[string]float64{"a root": n["all"] - n["nothing"], "a child": n["child-all"] - n["child-nothing"]} {
		if more > sdk+1 {
			t.Errorf("%s allocates %v times, and the SDK's span alone %v", of, more, sdk)
		}
		if more > 6 && !testtools.RaceEnabled() { // with the race detector the SDK allocates more
			t.Errorf("%s allocates %v times", of, more)
		}
	}
}

// BenchmarkScrape is one with 10,000 workers of three kinds.
func BenchmarkScrape(b *testing.B) {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	defer sys.Shutdown()
	for i := range 10_000 {
		pid, err := actors.Spawn(b.Context(), sys.Root, fmt.Sprint("w", i), func(*actors.Worker) error { return nil }, actors.Options{Kind: []string{"a", "b", "c"}[i%3]})
		if err != nil {
			b.Fatal(err)
		}
		defer sys.Root.Stop(pid)
	}
	p := otelloop.NewProducer(sys, otelloop.ProducerOptions{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Produce(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
