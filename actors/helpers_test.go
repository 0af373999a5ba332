// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// world is an actor system in a synctest bubble. What it spawns is stopped at
// the end of the bubble.
type world struct {
	*testing.T
	sys  *actor.ActorSystem
	root *actor.RootContext
}

// bubble runs f in a bubble of its own: time is virtual there, and what is
// left behind at its end fails the test.
func bubble(t *testing.T, f func(w *world)) {
	t.Helper()
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		f(&world{T: t, sys: sys, root: sys.Root})
	})
}

func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// none is for setups that can do without.
func none(*actors.Worker) error { return nil }

// worker spawns a worker under the root.
func (w *world) worker(name string, o actors.Options, setup func(w *actors.Worker) error) *actor.PID {
	w.Helper()
	return actortest.Spawn(w, w.root, name, setup, o)
}

// dropIn spawns a plain actor on an EventLoop under the root.
func (w *world) dropIn(o actors.Options, receive actor.ReceiveFunc) *actor.PID {
	return w.root.Spawn(actor.PropsFromFunc(receive, actors.EventLoop(o)))
}

// plain spawns an ordinary Proto.Actor actor.
func (w *world) plain(receive actor.ReceiveFunc, opts ...actor.PropsOption) *actor.PID {
	return w.root.Spawn(actor.PropsFromFunc(receive, opts...))
}

// stopped stops pid gracefully and returns its final account, which it checks.
func (w *world) stopped(pid *actor.PID, grace time.Duration) actors.Counts {
	w.Helper()
	s, err := result(actors.RequestStop(w.root, pid, grace))
	if err != nil {
		w.Fatalf("stop of %s: %v", pid.Id, err)
	}
	checkCounts(w, s)
	return s
}

// checkCounts checks what holds for the account of a worker that has ended.
func checkCounts(t testing.TB, c actors.Counts) {
	t.Helper()
	if !c.Agree() {
		t.Errorf("the account contradicts itself: %+v", c)
	}
	if c.Pending != 0 {
		t.Errorf("%d pending after the end: %v", c.Pending, c)
	}
}

// hang is longer than anything takes, in virtual time and in real time.
const hang = time.Minute

// result waits for a future that has to complete.
func result[T any](f *actors.Future[T]) (T, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), hang, errHang)
	defer cancel()
	return f.Wait(ctx)
}

var errHang = errors.New("the future never completed")

// want fails the test unless f ends with v.
func want[T comparable](t testing.TB, f *actors.Future[T], v T) {
	t.Helper()
	if got, err := result(f); err != nil || got != v {
		t.Errorf("got %v, %v; want %v", got, err, v)
	}
}

// wantErr fails the test unless f ends with an error that is target.
func wantErr[T any](t testing.TB, f *actors.Future[T], target error) {
	t.Helper()
	if v, err := result(f); !errors.Is(err, target) {
		t.Errorf("got %v, %v; want the error %q", v, err, target)
	}
}

// did is a Submit for its effect.
func did(s actor.SenderContext, pid *actor.PID, f func(t *actors.Task) error, opts ...actors.CallOption) *actors.Future[actors.None] {
	return actors.SubmitErr(s, pid, f, opts...)
}

// loopGoroutines returns the stacks of all goroutines that are of an event
// loop: runners and coroutines.
func loopGoroutines() (stacks []string) {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	for s := range strings.SplitSeq(string(buf), "\n\n") {
		if strings.Contains(s, "internal/loop.") || strings.Contains(s, "internal/coro.") {
			stacks = append(stacks, s)
		}
	}
	return stacks
}

// promises makes n promises, and their futures.
func promises(n int) (ps []*actors.Promise[int], fs []*actors.Future[int]) {
	for range n {
		p := new(actors.Promise[int])
		ps, fs = append(ps, p), append(fs, p.Future())
	}
	return ps, fs
}

// wantPending fails the test if f is done.
func wantPending[T any](t testing.TB, what string, f *actors.Future[T]) {
	t.Helper()
	if v, err := f.TryResult(); !errors.Is(err, actors.ErrPending) {
		t.Errorf("%s: got %v, %v; want it to be pending", what, v, err)
	}
}

// wantNow fails the test unless f is done, with v.
func wantNow[T any](t testing.TB, what string, f *actors.Future[T], v T) {
	t.Helper()
	if got, err := f.TryResult(); err != nil || fmt.Sprint(got) != fmt.Sprint(v) {
		t.Errorf("%s: got %v, %v; want %v", what, got, err, v)
	}
}

// wantFailed fails the test unless f has failed with target.
func wantFailed[T any](t testing.TB, what string, f *actors.Future[T], target error) {
	t.Helper()
	if v, err := f.TryResult(); !errors.Is(err, target) {
		t.Errorf("%s: got %v, %v; want the error %q", what, v, err, target)
	}
}
