// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/futuretest"
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

// The short names of what package futuretest has.
var (
	discard     = futuretest.Discard
	none        = futuretest.None // for setups that can do without
	promises    = futuretest.Promises
	checkCounts = futuretest.CheckCounts
)

const hang = futuretest.Hang

func result[T any](f *actors.Future[T]) (T, error) { return futuretest.Result(f) }

func want[T comparable](t testing.TB, f *actors.Future[T], v T) {
	t.Helper()
	futuretest.Want(t, f, v)
}

func wantErr[T any](t testing.TB, f *actors.Future[T], target error) {
	t.Helper()
	futuretest.WantErr(t, f, target)
}

func wantPending[T any](t testing.TB, what string, f *actors.Future[T]) {
	t.Helper()
	futuretest.WantPending(t, what, f)
}

func wantNow[T any](t testing.TB, what string, f *actors.Future[T], v T) {
	t.Helper()
	futuretest.WantNow(t, what, f, v)
}

func wantFailed[T any](t testing.TB, what string, f *actors.Future[T], target error) {
	t.Helper()
	futuretest.WantFailed(t, what, f, target)
}

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
	return (&futuretest.World{T: w.T, Sys: w.sys, Root: w.root}).Stopped(pid, grace)
}

// did is a Submit for its effect.
func did(s actor.SenderContext, pid *actor.PID, f func(t *actors.Task) error, opts ...actors.CallOption) *actors.Future[actors.None] {
	return actors.SubmitErr(s, pid, f, opts...)
}

// ofLoops are in the stacks of the goroutines that are of an event loop: runners and coroutines.
var ofLoops = []string{"internal/loop.", "internal/coro."}
