// SPDX-License-Identifier: Apache-2.0

package otelloop_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/protoloop/protoloop/actors"
	otelloop "github.com/protoloop/protoloop/otel"
)

// exportMetrics has the metrics of an actor system collected by Prometheus' default registry.
func exportMetrics(sys *actor.ActorSystem) (*metric.MeterProvider, error) {
	exporter, err := prometheus.New(prometheus.WithProducer(otelloop.NewProducer(sys, otelloop.ProducerOptions{})))
	if err != nil {
		return nil, err
	}
	return metric.NewMeterProvider(metric.WithReader(exporter)), nil
}

func ExampleNewProducer() {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	defer sys.Shutdown()
	provider, err := exportMetrics(sys)
	if err != nil {
		panic(err)
	}
	fmt.Println(provider.Shutdown(context.Background()))
	// Output: <nil>
}

// observeSystem has spans made of what an actor system does.
func observeSystem(sys *actor.ActorSystem, provider *trace.TracerProvider) (stop func(), err error) {
	tracing, err := otelloop.New(otelloop.Options{TracerProvider: provider})
	if err != nil {
		return nil, err
	}
	return tracing.Observe(sys), nil
}

func ExampleTracing_Observe() {
	ctx := context.Background()
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	defer sys.Shutdown()
	spans := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(spans))
	stop, err := observeSystem(sys, provider)
	if err != nil {
		panic(err)
	}
	defer stop()
	type Greet struct{ Name string }
	greeter, err := actors.Spawn(ctx, sys.Root, "greeter", func(w *actors.Worker) error {
		actors.Handle(w, func(_ *actors.Task, g Greet) (string, error) { return "hello " + g.Name, nil })
		return nil
	}, actors.Options{Kind: "greeter"})
	if err != nil {
		panic(err)
	}
	ctx, request := provider.Tracer("http").Start(ctx, "GET /")
	fmt.Println(actors.Call[string](ctx, sys.Root, greeter, Greet{"Ada"}))
	if _, err := actors.Stop(ctx, sys.Root, greeter, actors.Forever); err != nil {
		panic(err)
	}
	request.End()
	for _, s := range spans.GetSpans() {
		fmt.Println(s.SpanKind, s.Name)
	}
	// Output:
	// hello Ada <nil>
	// server greeter/otelloop_test.Greet
	// internal GET /
}
