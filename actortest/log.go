// SPDX-License-Identifier: Apache-2.0

package actortest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// Log is a [slog.Handler] that keeps what is logged, at every level, to be
// asked for it. Make one with [NewLog]; it may be used from any goroutine.
type Log struct {
	kept   *kept
	attrs  []slog.Attr // of WithAttrs, their keys complete
	prefix string      // of WithGroup
}

// kept is what a Log and those derived from it share.
type kept struct {
	mu      sync.Mutex
	records []Record
}

// Record is one record of a [Log].
type Record struct {
	Level   slog.Level
	Message string
	// Attrs has the attributes of the record and of its logger. The key of
	// one in a group is "group.key".
	Attrs []slog.Attr
}

// Attr returns the value of an attribute; nil if the record has none of that
// key.
func (r Record) Attr(key string) any {
	for _, a := range slices.Backward(r.Attrs) {
		if a.Key == key {
			return a.Value.Any()
		}
	}
	return nil
}

// String returns the record as one line of text. Of a value with more, such
// as a stack, it has the first.
func (r Record) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", r.Level, r.Message)
	for _, a := range r.Attrs {
		v, _, more := strings.Cut(a.Value.String(), "\n")
		fmt.Fprintf(&b, " %s=%s", a.Key, v)
		if more {
			b.WriteString("…")
		}
	}
	return b.String()
}

// NewLog returns an empty Log.
func NewLog() *Log { return &Log{kept: &kept{}} }

// LogOf returns the Log of a system that was made by [Run] or [NewSystem]. It
// panics if the system logs elsewhere.
func LogOf(sys *actor.ActorSystem) *Log {
	l, ok := sys.Logger().Handler().(*Log)
	if !ok {
		panic("actortest: LogOf called with an actor system that was not made by actortest")
	}
	return l
}

// Records returns all records, oldest first.
func (l *Log) Records() []Record {
	l.kept.mu.Lock()
	defer l.kept.mu.Unlock()
	return slices.Clone(l.kept.records)
}

// Len returns the number of records.
func (l *Log) Len() int {
	l.kept.mu.Lock()
	defer l.kept.mu.Unlock()
	return len(l.kept.records)
}

// Find returns the records of at least that level whose message contains
// part, oldest first.
func (l *Log) Find(level slog.Level, part string) []Record {
	return slices.DeleteFunc(l.Records(), func(r Record) bool {
		return r.Level < level || !strings.Contains(r.Message, part)
	})
}

// String returns all records as text.
func (l *Log) String() string {
	var b strings.Builder
	for _, r := range l.Records() {
		b.WriteString(r.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// Enabled is true: a Log keeps every level.
func (l *Log) Enabled(context.Context, slog.Level) bool { return true }

// Handle keeps r.
func (l *Log) Handle(_ context.Context, r slog.Record) error {
	rec := Record{Level: r.Level, Message: r.Message, Attrs: slices.Clone(l.attrs)}
	r.Attrs(func(a slog.Attr) bool {
		rec.Attrs = appendAttr(rec.Attrs, l.prefix, a)
		return true
	})
	l.kept.mu.Lock()
	defer l.kept.mu.Unlock()
	l.kept.records = append(l.kept.records, rec)
	return nil
}

// WithAttrs returns a Log that adds attrs, and keeps to the same records.
func (l *Log) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *l
	next.attrs = slices.Clip(next.attrs)
	for _, a := range attrs {
		next.attrs = appendAttr(next.attrs, l.prefix, a)
	}
	return &next
}

// WithGroup returns a Log that puts name before the keys of what is added,
// and keeps to the same records.
func (l *Log) WithGroup(name string) slog.Handler {
	next := *l
	if name != "" {
		next.prefix += name + "."
	}
	return &next
}

// appendAttr appends a with prefix before its key, and a group as its members.
func appendAttr(to []slog.Attr, prefix string, a slog.Attr) []slog.Attr {
	a.Value = a.Value.Resolve()
	switch {
	case a.Equal(slog.Attr{}):
		return to
	case a.Value.Kind() != slog.KindGroup:
		a.Key = prefix + a.Key
		return append(to, a)
	case a.Key != "":
		prefix += a.Key + "."
	}
	for _, member := range a.Value.Group() {
		to = appendAttr(to, prefix, member)
	}
	return to
}
