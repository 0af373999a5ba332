// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"log/slog"

	"go.uber.org/zap"
)

// LoggerOf is what a server logs to.
func LoggerOf(l *slog.Logger) *zap.Logger {
	logger, _ := newLogger(l)
	return logger
}

// WithCheapPasswords is o for a server that checks passwords quickly.
func WithCheapPasswords(o Options) Options {
	o.cheapPasswords = true
	return o
}

// Hang has the server fail as it does when it cannot commit: with the lock of its storage held. It returns what lets go of that.
func (s *Server) Hang(why string) (release func()) {
	tx := s.e.Server.Backend().BatchTx()
	tx.LockOutsideApply()
	failed := make(chan struct{})
	go func() {
		defer close(failed)
		s.log.Fatal(why) // ends the goroutine
	}()
	<-failed
	return tx.Unlock
}
