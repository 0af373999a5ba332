// SPDX-License-Identifier: Apache-2.0

// Package natsrefusal ends calls to a NATS server that it has refused. Nobody answers those: the server tells the
// connection alone that it may not publish to a subject, and the call would last until its context ends.
package natsrefusal

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// lookEvery is how often the connection is asked for its last error. It can have one handler of errors, which is the user's.
const lookEvery = 20 * time.Millisecond

// Subject is what an error says may not be published to, or empty. The error is the client's ErrPermissionViolation.
func Subject(err error) string {
	_, rest, is := strings.Cut(err.Error(), `Violation for Publish to "`)
	subject, _, end := strings.Cut(rest, `"`)
	if !is || !end {
		return ""
	}
	return subject
}

// Watch makes a call whose context ends when the server has refused what it publishes to a subject that has one of names, such as that of a
// stream, between its dots. Then the error is the server's. last is LastError of the connection.
func Watch(ctx context.Context, last func() error, names []string, call func(ctx context.Context) error) error {
	before := last() // of an earlier call
	within, cancel := context.WithCancelCause(ctx)
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-within.Done():
				return
			case <-tick.C:
				if err := last(); err != nil && err != before && isAbout(err, names) {
					cancel(refusal{err})
					return
				}
			}
		}
	})
	err := call(within)
	cancel(nil)
	ended.Wait()
	if why, is := errors.AsType[refusal](context.Cause(within)); is && err != nil {
		return why.error
	}
	return err
}

// refusal tells an error of the server from what else may end a context.
type refusal struct{ error }

func isAbout(err error, names []string) bool {
	for token := range strings.SplitSeq(Subject(err), ".") {
		if slices.Contains(names, token) {
			return true
		}
	}
	return false
}
