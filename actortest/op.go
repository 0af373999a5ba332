// SPDX-License-Identifier: Apache-2.0

package actortest

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
)

// ErrGoexit is the result of an [Op] whose function ended by
// [runtime.Goexit], as t.FailNow does.
var ErrGoexit = errors.New("actortest: the function called runtime.Goexit")

// Op is a call that may block, made on a goroutine of its own inside a
// bubble. It belongs to the test's goroutine.
type Op[T any] struct {
	t    testing.TB
	at   string // where it was started
	done chan struct{}
	v    T
	err  error
}

// Go calls f on a new goroutine. It must be called in a synctest bubble, and
// f must return before the bubble ends.
func Go[T any](t testing.TB, f func() (T, error)) *Op[T] {
	op := &Op[T]{t: t, at: "unknown", done: make(chan struct{}), err: ErrGoexit}
	if _, file, line, ok := runtime.Caller(1); ok {
		op.at = fmt.Sprintf("%s:%d", filepath.Base(file), line)
	}
	go func() {
		defer close(op.done)
		op.v, op.err = f()
	}()
	return op
}

// Blocked calls [synctest.Wait], and reports whether the call still blocks. No
// time passes.
func (o *Op[T]) Blocked() bool {
	synctest.Wait()
	select {
	case <-o.done:
		return false
	default:
		return true
	}
}

// Result calls [synctest.Wait], and returns what the call has returned. If the
// call still blocks, the test fails at once.
func (o *Op[T]) Result() (T, error) {
	o.t.Helper()
	if o.Blocked() {
		o.t.Fatalf("actortest: the call started at %s still blocks", o.at)
	}
	return o.v, o.err
}
