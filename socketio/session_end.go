// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"slices"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio/internal/engineio"
)

// Closed is the Engine.IO session's.
func (c *session) Closed(reason engineio.Reason) {
	c.mu.Lock()
	c.ended = true
	c.timer.Stop()
	c.wake()
	c.boundRunning(false)
	sockets := slices.Clone(c.sockets)
	c.mu.Unlock()
	for _, s := range sockets {
		s.leave(Reason(reason), nil)
	}
	c.finish()
	c.settle()
}

// shutdown begins to end the session because the server stops.
func (c *session) shutdown(stop *shutdown) {
	c.mu.Lock()
	c.stop = stop
	c.wake()
	c.boundRunning(false)
	sockets := slices.Clone(c.sockets)
	c.mu.Unlock()
	for _, s := range sockets {
		s.leave(ServerShutdown, nil)
	}
	c.finish()
}

// grace is how long what runs may run on. With mu held.
func (c *session) grace() time.Duration {
	switch grace := c.srv.opts.HandlerGrace; {
	case c.stop == nil:
		return grace
	case c.ended:
		return min(grace, c.stop.handlerGrace())
	default:
		return c.stop.handlerGrace()
	}
}

// boundRunning bounds what is left to run, when the client has gone or the server
// stops. It prolongs an earlier bound only if it begins again. With mu held.
func (c *session) boundRunning(again bool) {
	if c.pid == nil || c.gone || !c.ended && c.stop == nil {
		return
	}
	grace := max(c.grace(), 1)
	at := time.Now().Add(grace)
	switch {
	case c.limit == nil:
		c.limit = time.AfterFunc(grace, c.cutWorker)
	case again || at.Before(c.limitAt):
		c.limit.Reset(grace)
	default:
		return
	}
	c.limitAt = at
}

// done is called when a socket, which has left, has nothing left to run.
func (c *session) done(s *Socket) {
	c.mu.Lock()
	if i := slices.Index(c.live, s); i >= 0 {
		c.live = slices.Delete(c.live, i, i+1)
	}
	if s.counted {
		c.letGo()
	}
	c.mu.Unlock()
	c.finish()
}

// finish stops the worker when nothing will be run on it any more; handlers
// that await go on for a while.
func (c *session) finish() {
	c.mu.Lock()
	if len(c.live) > 0 || c.stopped || !c.ended && c.stop == nil {
		c.mu.Unlock()
		return
	}
	c.stopped = true
	pid, grace := c.pid, c.grace()
	c.mu.Unlock()
	if pid == nil {
		c.workerGone()
		return
	}
	// The limit comes first, and notes that something was cut off.
	actors.RequestStop(c.srv.root, pid, grace+unwindGrace)
}

// cutWorker cuts off what runs; disconnectLeft is all that runs after that.
func (c *session) cutWorker() {
	c.mu.Lock()
	pid := c.pid
	c.stopped = true
	if len(c.live) > 0 || c.in.running > 0 {
		c.cut.Store(true)
	}
	c.mu.Unlock()
	if pid == nil {
		c.workerGone()
		return
	}
	actors.RequestStop(c.srv.root, pid, actors.NoGrace)
}

// cutOff ends what is left of the session at once.
func (c *session) cutOff() {
	c.eio.Abort()
	c.cutWorker()
}

// disconnectLeft runs OnDisconnect for the sockets that have not had it when
// the worker ends: it was cut off, or somebody else has stopped it.
func (c *session) disconnectLeft(t *actors.Task) {
	c.mu.Lock()
	left := slices.Clone(c.live)
	c.mu.Unlock()
	if len(left) == 0 {
		c.workerGone()
		return
	}
	// The worker says when it is gone: behind a handler that does not return
	// there is nothing that could.
	actors.RequestStop(c.srv.root, t.Self(), actors.NoGrace).OnDone(func(actors.Counts, error) { c.workerGone() })
	for _, s := range left {
		s.leave(ForcedClose, nil) // if it has not
		s.mu.Lock()
		told := s.told
		s.mu.Unlock()
		if told {
			t.Go(func(t *actors.Task) error {
				s.disconnected(t)
				return nil
			}, actors.Name("socketio disconnect "+s.ns.name))
		}
	}
}

// workerGone is called when nothing of the session runs any more.
func (c *session) workerGone() {
	c.eio.Close() // behind what the last handlers have sent
	c.mu.Lock()
	c.gone = true
	if c.limit != nil {
		c.limit.Stop()
	}
	c.mu.Unlock()
	c.settle()
}

// settle has the server forget the session, once, when both its halves are
// over.
func (c *session) settle() {
	c.mu.Lock()
	over := c.ended && c.gone && !c.over
	c.over = c.over || over
	c.mu.Unlock()
	if over {
		c.srv.forget(c)
	}
}
