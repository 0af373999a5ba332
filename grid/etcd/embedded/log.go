// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// serverLog is the core of the server's logger. It hands on warnings and errors, and notes the last error.
type serverLog struct {
	zapcore.LevelEnabler
	l      *slog.Logger
	fields []zapcore.Field
	last   *lastError
}

// lastError is the last that the server has said was wrong.
type lastError struct {
	log  *slog.Logger
	mu   sync.Mutex
	text string
	gave chan struct{} // closed when it was fatal
	once sync.Once

	stopping atomic.Bool // then it complains that what it has closed is closed
	repeats  repeats
}

// repeats bounds how often the same is told: a server says hundreds of times a second that another one cannot be reached.
type repeats struct {
	mu   sync.Mutex
	seen map[string]*repeated
}

type repeated struct {
	since         time.Time
	told, dropped int
}

const (
	repeatsWithin = time.Minute
	mostRepeats   = 5
	mostSeen      = 256 // messages that are remembered
)

// admit reports whether it is to be told, and how often it was not since it was told last.
func (r *repeats) admit(text string) (dropped int, ok bool) {
	text = strings.Map(func(c rune) rune {
		if '0' <= c && c <= '9' { // of ports
			return -1
		}
		return c
	}, text)
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.seen[text]
	switch {
	case one == nil && len(r.seen) >= mostSeen:
		clear(r.seen)
	case one != nil && now.Sub(one.since) < repeatsWithin:
		if one.told < mostRepeats {
			one.told++
			return 0, true
		}
		one.dropped++
		return 0, false
	case one != nil:
		dropped = one.dropped
	}
	r.seen[text] = &repeated{since: now, told: 1}
	return dropped, true
}

func (e *lastError) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text
}

// newLogger returns a logger for a server. An error for which etcd would panic or end the process ends the goroutine
// that has it.
func newLogger(l *slog.Logger) (*zap.Logger, *lastError) {
	last := &lastError{log: l, gave: make(chan struct{}), repeats: repeats{seen: map[string]*repeated{}}}
	return zap.New(&serverLog{LevelEnabler: zapcore.WarnLevel, l: l, last: last}, zap.WithFatalHook(zapcore.WriteThenGoexit), zap.WithPanicHook(zapcore.WriteThenGoexit)), last
}

// With is [zapcore.Core]'s.
func (s *serverLog) With(fields []zapcore.Field) zapcore.Core {
	with := *s
	with.fields = append(s.fields[:len(s.fields):len(s.fields)], fields...)
	return &with
}

// Check is [zapcore.Core]'s.
func (s *serverLog) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if s.Enabled(e.Level) {
		return c.AddCore(e, s)
	}
	return c
}

// Write is [zapcore.Core]'s.
func (s *serverLog) Write(e zapcore.Entry, fields []zapcore.Field) error {
	all := zapcore.NewMapObjectEncoder()
	for _, f := range append(s.fields[:len(s.fields):len(s.fields)], fields...) {
		f.AddTo(all)
	}
	attrs := make([]slog.Attr, 0, len(all.Fields))
	reason := ""
	for key, value := range all.Fields {
		attrs = append(attrs, slog.Any(key, value))
		if text, is := value.(string); is && key == "error" {
			reason = ": " + text
		}
	}
	if s.last.stopping.Load() && slices.ContainsFunc(ofStop, func(end string) bool { return strings.HasSuffix(reason, end) }) {
		return nil
	}
	if usual[e.Message] {
		return nil
	}
	level := slog.LevelWarn
	if e.Level >= zapcore.ErrorLevel {
		level = slog.LevelError
		s.last.mu.Lock()
		s.last.text = e.Message + reason
		s.last.mu.Unlock()
	}
	if dropped, ok := s.last.repeats.admit(e.Message + reason); ok || e.Level >= zapcore.PanicLevel {
		if dropped > 0 {
			attrs = append(attrs, slog.Int("not told", dropped))
		}
		s.l.LogAttrs(context.Background(), level, "embedded: "+e.Message, attrs...)
	}
	if e.Level >= zapcore.PanicLevel {
		s.last.once.Do(func() { close(s.last.gave) })
	}
	return nil
}

// Sync is [zapcore.Core]'s.
func (s *serverLog) Sync() error { return nil }

// ofStop is what it finds wrong with what it has closed itself.
var ofStop = []string{"erver closed", "server has been stopped", "closed network connection", "request cancelled"}

// usual is what a server that is well warns of.
var usual = map[string]bool{
	"Running http and grpc server on single port. This is not recommended for production.": true,
	"simple token is not cryptographically signed":                                         true,
	"Failed to detect schema version":                                                      true, // of files that are new
	"failed to update storage version":                                                     true,
	"failed to apply request":                                                              true, // that client is told
}
