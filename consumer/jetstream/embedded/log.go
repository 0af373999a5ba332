// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"fmt"
	"log/slog"
	"sync"
)

// serverLog is the server's logger: it hands on warnings and errors.
type serverLog struct {
	l *slog.Logger

	mu    sync.Mutex
	last  string // error
	fatal bool
}

func (l *serverLog) failed(fatal bool, format string, args []any) {
	text := fmt.Sprintf(format, args...)
	l.l.Error("embedded: " + text)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.fatal = text, l.fatal || fatal
}

func (l *serverLog) lastError() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// gaveUp reports whether the server has called Fatalf, after which it would not
// expect to run.
func (l *serverLog) gaveUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

func (l *serverLog) Fatalf(format string, args ...any) { l.failed(true, format, args) }
func (l *serverLog) Errorf(format string, args ...any) { l.failed(false, format, args) }
func (l *serverLog) Warnf(format string, args ...any) {
	l.l.Warn("embedded: " + fmt.Sprintf(format, args...))
}
func (l *serverLog) Noticef(string, ...any) {}
func (l *serverLog) Debugf(string, ...any)  {}
func (l *serverLog) Tracef(string, ...any)  {}
