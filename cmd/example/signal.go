// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// interrupted is why a run ended that a signal has stopped.
type interrupted struct{ signal syscall.Signal }

func (e *interrupted) Error() string { return e.signal.String() }

func (e *interrupted) exitCode() int { return 128 + int(e.signal) }

// untilSignal returns a context that ends at SIGINT or SIGTERM, with an
// *interrupted as its cause. [signal.NotifyContext] would keep to itself
// which of the two it was, and the exit code tells.
//
// Once a signal has come, a further one ends the process at once, in case the
// clean way out takes longer than the user likes; but not within a second,
// for one signal may arrive twice: timeout(1) sends it to the process and then
// to its group.
func untilSignal(parent context.Context) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		defer signal.Stop(signals)
		select {
		case sig := <-signals:
			cancel(&interrupted{sig.(syscall.Signal)})
			time.Sleep(time.Second)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}
