// SPDX-License-Identifier: Apache-2.0

// Package futuretest is what the tests of packages actors and futures expect of futures.
package futuretest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
)

// Hang is longer than anything takes, in virtual time and in real time.
const Hang = time.Minute

// ErrHang is why a wait for more than Hang ends.
var ErrHang = errors.New("the future never completed")

// Result waits for a future that has to complete.
func Result[T any](f *actors.Future[T]) (T, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), Hang, ErrHang)
	defer cancel()
	return f.Wait(ctx)
}

// Want fails the test unless f ends with v.
func Want[T comparable](t testing.TB, f *actors.Future[T], v T) {
	t.Helper()
	if got, err := Result(f); err != nil || got != v {
		t.Errorf("got %v, %v; want %v", got, err, v)
	}
}

// WantErr fails the test unless f ends with an error that is target.
func WantErr[T any](t testing.TB, f *actors.Future[T], target error) {
	t.Helper()
	if v, err := Result(f); !errors.Is(err, target) {
		t.Errorf("got %v, %v; want the error %q", v, err, target)
	}
}

// Promises makes n promises, and their futures.
func Promises(n int) (ps []*actors.Promise[int], fs []*actors.Future[int]) {
	for range n {
		p := new(actors.Promise[int])
		ps, fs = append(ps, p), append(fs, p.Future())
	}
	return ps, fs
}

// WantPending fails the test if f is done.
func WantPending[T any](t testing.TB, what string, f *actors.Future[T]) {
	t.Helper()
	if v, err := f.TryResult(); !errors.Is(err, actors.ErrPending) {
		t.Errorf("%s: got %v, %v; want it to be pending", what, v, err)
	}
}

// WantNow fails the test unless f is done, with v.
func WantNow[T any](t testing.TB, what string, f *actors.Future[T], v T) {
	t.Helper()
	if got, err := f.TryResult(); err != nil || fmt.Sprint(got) != fmt.Sprint(v) {
		t.Errorf("%s: got %v, %v; want %v", what, got, err, v)
	}
}

// WantFailed fails the test unless f has failed with target.
func WantFailed[T any](t testing.TB, what string, f *actors.Future[T], target error) {
	t.Helper()
	if v, err := f.TryResult(); !errors.Is(err, target) {
		t.Errorf("%s: got %v, %v; want the error %q", what, v, err, target)
	}
}
