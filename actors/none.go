// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/emptypb"
)

// None is the value of work that has none: a Future[None] says only whether, and how,
// it has failed. Handlers of [On] answer with it, and so do [SubmitErr], [Task.Go] and
// all others whose function returns nothing but an error.
//
// To a plain actor, and to another machine, it goes as an *emptypb.Empty, and a
// Future[None] takes that for an answer.
type None = struct{}

// AnyFuture is a [Future] of whatever type: only that implements it.
type AnyFuture interface{ base() *core }

// submittedErr is the function of a task without a value.
type submittedErr func(t *Task) error

// SubmitErr is [Submit] of a function that returns nothing but an error.
func SubmitErr(s actor.SenderContext, worker *actor.PID, fn func(t *Task) error, opts ...CallOption) *Future[None] {
	if fn == nil {
		panic("actors: SubmitErr called with a nil function")
	}
	return submit[None](s, worker, submittedErr(fn), "SubmitErr", opts)
}

// Go is [Start] of a function that returns nothing but an error.
func (t *Task) Go(fn func(t *Task) error, opts ...CallOption) *Future[None] {
	t.checkCurrent("Go")
	if fn == nil {
		panic("actors: Task.Go called with a nil function")
	}
	f, child := newChild[None](t, submittedErr(fn), opts)
	if child != nil && !t.loopTask().Start(&child.lt) {
		child.endUnstarted(t)
	}
	t.mb.enterAgain(t)
	return f
}

// Await is the function [Await] of a future whose value is not needed: it returns how f
// has failed, nil if it has not, or why the task was ended.
func (t *Task) Await(f AnyFuture) error {
	var c *core
	if f != nil {
		c = f.base()
	}
	if c == nil {
		panicNilFuture("Task.Await")
	}
	if err := t.awaitCore(c, "Await"); err != nil {
		return err
	}
	return c.lookAtResult()
}

// AwaitOffload is [Offload] and [Await] in one. If the await ends first, because the
// task was ended, so does fn's context.
func AwaitOffload[T any](t *Task, fn func(ctx context.Context) (T, error), opts ...CallOption) (T, error) {
	t.checkCurrent("AwaitOffload")
	if fn == nil {
		panic("actors: AwaitOffload called with a nil function")
	}
	return Await(t, offload[T](t, fn, opts))
}

// AwaitOffload is the function [AwaitOffload] for an fn that returns nothing but an
// error.
func (t *Task) AwaitOffload(fn func(ctx context.Context) error, opts ...CallOption) error {
	t.checkCurrent("AwaitOffload")
	if fn == nil {
		panic("actors: Task.AwaitOffload called with a nil function")
	}
	return t.Await(offload[None](t, fn, opts))
}

// sentAs is an answer as it goes to a PID. None has a form that travels.
func sentAs(v any) any {
	if _, none := v.(None); none {
		return &emptypb.Empty{}
	}
	return v
}

// noneOf lets an answer without a value be either of the two forms of that.
func noneOf[T any](v any) (x T, ok bool) {
	switch v.(type) {
	case *emptypb.Empty:
		x, ok = any(None{}).(T)
	case None:
		x, ok = any(&emptypb.Empty{}).(T)
	}
	return x, ok
}
