// SPDX-License-Identifier: Apache-2.0

package otelloop

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// LogHandler returns a handler that adds trace_id, span_id and trace_flags to records whose context has a span, at their top even
// within groups. Records of a Task's Logger have the task's context, and so have those of the library that are about a task.
func LogHandler(next slog.Handler) slog.Handler {
	if next == nil {
		panic("otelloop: LogHandler called with a nil handler")
	}
	return &logHandler{next: next, outer: next}
}

// logHandler is next with what an open group hides: outer is next before the first group, and inner what has been done to it since.
type logHandler struct {
	next, outer slog.Handler
	inner       []func(slog.Handler) slog.Handler
}

// Enabled implements slog.Handler, as do the others here.
func (h *logHandler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	in := trace.SpanContextFromContext(ctx)
	if !in.IsValid() {
		return h.next.Handle(ctx, r)
	}
	attrs := []slog.Attr{
		slog.String("trace_id", in.TraceID().String()), slog.String("span_id", in.SpanID().String()), slog.String("trace_flags", in.TraceFlags().String()),
	}
	if len(h.inner) == 0 {
		r = r.Clone()
		r.AddAttrs(attrs...)
		return h.next.Handle(ctx, r)
	}
	next := h.outer.WithAttrs(attrs)
	for _, add := range h.inner {
		next = add(next)
	}
	return next.Handle(ctx, r)
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	next := h.next.WithAttrs(attrs)
	if len(h.inner) == 0 {
		return &logHandler{next: next, outer: next}
	}
	return h.with(next, func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.with(h.next.WithGroup(name), func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

func (h *logHandler) with(next slog.Handler, add func(slog.Handler) slog.Handler) *logHandler {
	return &logHandler{next: next, outer: h.outer, inner: append(h.inner[:len(h.inner):len(h.inner)], add)}
}
