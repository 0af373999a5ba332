// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/consumer"
	otelloop "github.com/protoloop/protoloop/otel"
)

// telemetry is the traces and metrics of a run, as Config asks for them.
type telemetry struct {
	tracing *otelloop.Tracing // nil: there are no traces
	queue   otelloop.Queue
	close   []func(context.Context) error // the last one first
}

// telemetryCloseWithin is for what has not been exported at the end.
const telemetryCloseWithin = 3 * time.Second

// newTelemetry begins to trace an actor system, and to serve its metrics.
func newTelemetry(cfg Config, sys *actor.ActorSystem, logger *slog.Logger) (_ *telemetry, err error) {
	tm := &telemetry{queue: otelloop.Queue{System: cfg.messagingSystem(), Destination: queueName, Parent: true}}
	defer func() {
		if err != nil {
			tm.end(logger)
		}
	}()
	if cfg.OTLP != "" {
		if err := tm.trace(cfg, sys); err != nil {
			return nil, fmt.Errorf("traces: %w", err)
		}
	}
	if cfg.Metrics != "" {
		if err := tm.serveMetrics(cfg, sys, logger); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	return tm, nil
}

// trace exports a trace of each event of a client's: what it leads to belongs to it, through the queue and to the broadcast.
func (tm *telemetry) trace(cfg Config, sys *actor.ActorSystem) error {
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(strings.TrimSuffix(cfg.OTLP, "/")+"/v1/traces"))
	if err != nil {
		return err
	}
	// What OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER and OTEL_BSP_SCHEDULE_DELAY say goes for the SDK as everywhere.
	res, err := resource.Merge(resource.NewSchemaless(semconv.ServiceName("protoloop-example")), resource.Environment())
	if err != nil {
		return err
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(res))
	tm.close = append(tm.close, provider.Shutdown)
	tm.tracing, err = otelloop.New(otelloop.Options{
		TracerProvider: provider,
		Roots:          func(w inspect.Work) bool { return strings.HasPrefix(w.Name(), "socketio event ") },
	})
	if err != nil {
		return err
	}
	stop := tm.tracing.Observe(sys)
	tm.close = append(tm.close, func(context.Context) error { stop(); return nil })
	return nil
}

// serveMetrics serves them to Prometheus.
func (tm *telemetry) serveMetrics(cfg Config, sys *actor.ActorSystem, logger *slog.Logger) error {
	registry := prom.NewRegistry()
	exporter, err := prometheus.New(prometheus.WithRegisterer(registry), prometheus.WithProducer(otelloop.NewProducer(sys, otelloop.ProducerOptions{})))
	if err != nil {
		return err
	}
	tm.close = append(tm.close, metric.NewMeterProvider(metric.WithReader(exporter)).Shutdown)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	names := cfg
	names.Addr = cfg.Metrics
	srv := &http.Server{Handler: known(mux, names.hosts()...), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: time.Minute}
	l, err := net.Listen("tcp", cfg.Metrics)
	if err != nil {
		return err
	}
	logger.Info("metrics", "url", "http://"+l.Addr().String()+"/metrics")
	go func() { _ = srv.Serve(l) }() // until Close
	tm.close = append(tm.close, func(context.Context) error { return srv.Close() })
	return nil
}

// end exports what is left. It is no error of the run's if that cannot be done.
func (tm *telemetry) end(logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), telemetryCloseWithin)
	defer cancel()
	for i := len(tm.close) - 1; i >= 0; i-- {
		if err := tm.close[i](ctx); err != nil {
			logger.Warn("telemetry was not exported to its end", "err", err)
		}
	}
}

// handler is h with a span for each run of it.
func (tm *telemetry) handler(h consumer.Handler) consumer.Handler {
	if tm.tracing == nil {
		return h
	}
	return tm.tracing.Handler(tm.queue, h)
}

// startSend has a message carry the task's trace. end is called when it is sent.
func (tm *telemetry) startSend(t *actors.Task, m *consumer.Message) (end func(error)) {
	if tm.tracing == nil {
		return func(error) {}
	}
	ms := []consumer.Message{*m}
	_, end = tm.tracing.StartSend(t.Context(), tm.queue, ms)
	*m = ms[0]
	return end
}

// traceOf is the task's trace, for what happens when the task may have ended; nil: there is none.
func (tm *telemetry) traceOf(t *actors.Task) context.Context {
	if tm.tracing == nil {
		return nil
	}
	if in := trace.SpanContextFromContext(t.Context()); in.IsValid() {
		return trace.ContextWithSpanContext(context.Background(), in)
	}
	return nil
}

// within has a message carry a trace of traceOf.
func (tm *telemetry) within(ctx context.Context, message any) any {
	if ctx == nil {
		return message
	}
	return tm.tracing.WithTrace(ctx, message)
}

// noteBroadcast adds to the task's span that all clients are told. Without telemetry, tm is nil, it does nothing.
func (tm *telemetry) noteBroadcast(t *actors.Task, event string) {
	if tm != nil && tm.tracing != nil {
		trace.SpanFromContext(t.Context()).AddEvent("broadcast " + event)
	}
}

// messagingSystem is what OpenTelemetry calls the queue's.
func (c Config) messagingSystem() string {
	switch scheme, _ := queueScheme(c.Queue); scheme {
	case Embedded:
		return "nats"
	case "http", "https":
		return "aws_sqs"
	case "gcppubsub":
		return "gcp_pubsub"
	default:
		return scheme
	}
}
