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
	otelloop "github.com/protoloop/protoloop/otel"
)

// BenchmarkRequest is a request to a worker and its answer: with no observer, with one that samples nothing, one in a hundred, and all. "bare" is
// the request without an observer and beside it a span of the SDK's with the same attributes: what the least code that makes one costs.
func BenchmarkRequest(b *testing.B) {
	all := func(inspect.Work) bool { return true }
	for _, test := range []struct {
		name     string
		observed bool
		roots    func(inspect.Work) bool
		bare     bool
	}{
		{name: "nothing"}, {name: "observed", observed: true}, {name: "percent", observed: true, roots: otelloop.Ratio(0.01)},
		{name: "all", observed: true, roots: all}, {name: "bare", bare: true},
	} {
		b.Run(test.name, func(b *testing.B) {
			sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
			defer sys.Shutdown()
			provider := trace.NewTracerProvider() // spans are recorded, and nobody exports them
			tr, err := otelloop.New(otelloop.Options{TracerProvider: provider, Roots: test.roots})
			if err != nil {
				b.Fatal(err)
			}
			if test.observed {
				defer tr.Observe(sys)()
			}
			ctx := context.Background()
			pid, err := actors.Spawn(ctx, sys.Root, "bank", func(w *actors.Worker) error {
				actors.Handle(w, func(*actors.Task, charge) (actors.None, error) { return actors.None{}, nil })
				return nil
			}, actors.Options{Kind: "bank"})
			if err != nil {
				b.Fatal(err)
			}
			tracer := provider.Tracer("bare")
			start := []apitrace.SpanStartOption{apitrace.WithSpanKind(apitrace.SpanKindServer), apitrace.WithAttributes(
				attribute.String("protoloop.work", "ask"), attribute.String("protoloop.worker.kind", "bank"), attribute.String("protoloop.message.type", "charge"),
				attribute.String("rpc.system.name", "protoloop"), attribute.String("rpc.method", "bank/charge"))}
			b.ReportAllocs()
			for b.Loop() {
				var span apitrace.Span
				if test.bare {
					_, span = tracer.Start(ctx, "bank/charge", start...)
					span.SetAttributes(attribute.String("protoloop.worker", "bank"), attribute.Int64("protoloop.worker.incarnation", 1), attribute.Float64("protoloop.queue.wait", 1))
				}
				if _, err := actors.RequestFuture[actors.None](sys.Root, pid, charge{}).Wait(ctx); err != nil {
					b.Fatal(err)
				}
				if test.bare {
					span.End()
				}
			}
			b.StopTimer()
			if _, err := actors.Stop(ctx, sys.Root, pid, actors.Forever); err != nil {
				b.Fatal(err)
			}
		})
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
