// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// limitedWarning tracks a warning that an outage repeats for each message: the first is logged, and then a line a second at most, with how many
// there were in between. Any goroutine.
type limitedWarning struct {
	text string

	mu     sync.Mutex
	next   time.Time // when the next line may be
	missed int       // since the last
}

// warn logs it, unless there was a line within the last second.
func (l *limitedWarning) warn(ctx context.Context, log *slog.Logger, args ...any) {
	now := time.Now()
	l.mu.Lock()
	if now.Before(l.next) {
		l.missed++
		l.mu.Unlock()
		return
	}
	missed := l.missed
	l.next, l.missed = now.Add(time.Second), 0
	l.mu.Unlock()
	if missed > 0 {
		args = append(args, "more since the last line", missed)
	}
	log.WarnContext(ctx, "consumer: "+l.text, args...)
}
