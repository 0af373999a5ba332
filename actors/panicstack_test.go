// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// TestPanicStackHasWhatIsTheUsers: the stack of a handler's panic ends at what has called the
// handler, if that is ours, and has the middleware that has.
func TestPanicStackHasWhatIsTheUsers(t *testing.T) {
	handle := func(w *actors.Worker) error {
		actors.Handle(w, func(*actors.Task, string) (string, error) { panic("boom") })
		return nil
	}
	receive := func(c actor.Context) {
		if _, ok := c.Message().(string); ok {
			panic("boom")
		}
	}
	for what, c := range map[string]struct {
		props *actor.Props
		last  string // function of the last frame; "": one of the loop's
	}{
		"a worker":      {actors.Props(handle), "actors.Handle[...].func1"},
		"a plain actor": {actor.PropsFromFunc(receive, actors.EventLoop(actors.Options{})), "actor.ReceiveFunc.Receive"},
		"a middleware":  {actors.Props(handle, actor.WithReceiverMiddleware(passOn)), ""},
	} {
		bubble(t, func(w *world) {
			pid := w.root.Spawn(c.props)
			_, err := actors.RequestFuture[string](w.root, pid, "x").Wait(w.Context())
			var p *actors.PanicError
			if !errors.As(err, &p) {
				w.Fatalf("%s: %v", what, err)
			}
			stack := string(p.Stack)
			if !strings.Contains(stack, "actors_test.TestPanicStackHasWhatIsTheUsers") {
				w.Errorf("%s: the handler is not in\n%s", what, stack)
			}
			lines := strings.Split(strings.TrimSpace(stack), "\n")
			if last := lines[len(lines)-2]; c.last != "" && !strings.HasSuffix(last, c.last+"(...)") {
				w.Errorf("%s: the last frame is %s in\n%s", what, last, stack)
			}
			if c.last == "" && !strings.Contains(stack, "actors_test.passOn.func1(...)") {
				w.Errorf("%s: it is not in\n%s", what, stack)
			}
			w.stopped(pid, time.Second)
		})
	}
}

// passOn is a middleware.
func passOn(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(c actor.ReceiverContext, e *actor.MessageEnvelope) { next(c, e) }
}
