// SPDX-License-Identifier: Apache-2.0

package actors

import (
	"context"
	"fmt"
	"reflect"

	"github.com/asynkron/protoactor-go/actor"
)

// Method is what a worker can be asked, declared once for the worker and for all who ask
// it: a message of another type, or an answer of another, does not compile.
//
//	var Price actors.Method[PriceOf, Money]
//
//	Price.Handle(w, func(t *actors.Task, item PriceOf) (Money, error) { … }) // in setup
//	price, err := Price.Ask(t, prices, PriceOf{"tea"})                       // in a task
//	price, err := Price.Call(ctx, root, prices, PriceOf{"tea"})              // elsewhere
//
// It has no state and no name of its own: a worker finds the handler by the type of the
// message, so two methods of a worker need two types of requests. The handler of one
// without a value, a Method[Req, None], is registered by [Method.On].
type Method[Req, Resp any] struct{}

// Handle is the function [Handle].
func (Method[Req, Resp]) Handle(w *Worker, h func(t *Task, req Req) (Resp, error), opts ...HandlerOption) {
	Handle(w, h, opts...)
}

// On is the function [On], for a Method[Req, None]: its handler has no value to return. It
// panics if the method has another Resp, which the handler could not return.
func (Method[Req, Resp]) On(w *Worker, h func(t *Task, req Req) error, opts ...HandlerOption) {
	if reflect.TypeFor[Resp]() != reflect.TypeFor[None]() {
		panic(fmt.Sprintf("actors: Method.On called for %T, whose answer has a value: use Handle", Method[Req, Resp]{}))
	}
	On(w, h, opts...)
}

// Ask is the function [Ask].
func (Method[Req, Resp]) Ask(t *Task, to *actor.PID, req Req, opts ...CallOption) (Resp, error) {
	return Ask[Resp](t, to, req, opts...)
}

// Request is [RequestFuture].
func (Method[Req, Resp]) Request(s actor.SenderContext, to *actor.PID, req Req, opts ...CallOption) *Future[Resp] {
	return requestFuture[Resp](s, to, req, "Method.Request", opts)
}

// Call is the function [Call].
func (Method[Req, Resp]) Call(ctx context.Context, s actor.SenderContext, to *actor.PID, req Req, opts ...CallOption) (Resp, error) {
	return Call[Resp](ctx, s, to, req, opts...)
}
