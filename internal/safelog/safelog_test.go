// SPDX-License-Identifier: Apache-2.0

package safelog

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
)

// broken is a handler of which one method panics.
type broken struct {
	slog.Handler
	method string
}

func (b broken) at(method string) {
	if b.method == method {
		panic(method)
	}
}

func (b broken) Enabled(ctx context.Context, l slog.Level) bool {
	b.at("Enabled")
	return b.Handler.Enabled(ctx, l)
}

func (b broken) Handle(ctx context.Context, r slog.Record) error {
	b.at("Handle")
	return b.Handler.Handle(ctx, r)
}

func (b broken) WithAttrs(a []slog.Attr) slog.Handler {
	b.at("WithAttrs")
	return broken{b.Handler.WithAttrs(a), b.method}
}

func (b broken) WithGroup(name string) slog.Handler {
	b.at("WithGroup")
	return broken{b.Handler.WithGroup(name), b.method}
}

type brokenValue struct{}

func (brokenValue) LogValue() slog.Value { panic("a value") }

func TestContain(t *testing.T) {
	for method, want := range map[string]string{
		"":          "msg=text worker=w group.n=1",
		"Enabled":   "",
		"Handle":    "",
		"WithAttrs": "msg=text group.n=1",
		"WithGroup": "msg=text worker=w n=1",
	} {
		var out bytes.Buffer
		l := Contain(slog.New(broken{slog.NewTextHandler(&out, nil), method}))
		l.With("worker", "w").WithGroup("group").Info("text", "n", 1)
		l.Info("more", "value", brokenValue{})
		if !strings.Contains(out.String(), want) || want == "" && out.Len() > 0 {
			t.Errorf("%s: %q, want %q", method, out.String(), want)
		}
	}
	l := Contain(slog.Default())
	if Contain(l) != l {
		t.Error("it is contained twice")
	}
}
