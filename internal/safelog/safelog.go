// SPDX-License-Identifier: Apache-2.0

// Package safelog keeps what the user's log handlers do from those who log.
package safelog

import (
	"context"
	"log/slog"
)

// Contain returns a logger that writes what l does, and does not panic if l's
// handler or a value that it formats does: that record is lost. Loops log where
// a panic would end the process.
func Contain(l *slog.Logger) *slog.Logger {
	if _, is := l.Handler().(contained); is {
		return l
	}
	return slog.New(contained{l.Handler()})
}

type contained struct{ slog.Handler }

func (h contained) Enabled(ctx context.Context, level slog.Level) bool {
	defer ignore()
	return h.Handler.Enabled(ctx, level)
}

func (h contained) Handle(ctx context.Context, r slog.Record) error {
	defer ignore()
	return h.Handler.Handle(ctx, r)
}

func (h contained) WithAttrs(attrs []slog.Attr) (with slog.Handler) {
	with = h
	defer ignore()
	return contained{h.Handler.WithAttrs(attrs)}
}

func (h contained) WithGroup(name string) (with slog.Handler) {
	with = h
	defer ignore()
	return contained{h.Handler.WithGroup(name)}
}

func ignore() { _ = recover() }
