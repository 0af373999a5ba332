// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/failure"
)

// tellFailure tells the hooks of inspect.OnFailure what a handler of the socket has failed
// with.
func (s *Socket) tellFailure(what string, err error) {
	h := failure.Of(s.sess.srv.system)
	if !h.Wanted() {
		return
	}
	f := failure.Failure{Kind: failure.Unobserved, Task: what, Err: err}
	if p, panicked := err.(*actors.PanicError); panicked {
		f.Kind, f.Stack = failure.CallbackPanic, p.Stack
	}
	s.sess.mu.Lock()
	f.Worker = s.sess.pid
	s.sess.mu.Unlock()
	h.Tell(f)
}

// noNews has a future that has failed with ErrDisconnected count as looked at: that a
// client has gone is no failure that somebody has to see.
func noNews[T any](f *actors.Future[T]) *actors.Future[T] {
	_, _ = f.TryResult()
	return f
}
