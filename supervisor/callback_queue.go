// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
	"github.com/protoloop/protoloop/internal/callqueue"
)

// callbackQueue calls functions of users. Any goroutine.
type callbackQueue struct{ callqueue.Queue }

// whenIdle is done when everything so far has been called.
func (s *callbackQueue) whenIdle() *actors.Future[actors.None] {
	if s.Idle() {
		return futures.Resolved(actors.None{})
	}
	idle := new(actors.Promise[actors.None])
	s.Call(func() { idle.Resolve(actors.None{}) }, nil)
	return idle.Future()
}
