// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"context"
	"encoding/json"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/panicstack"
	"github.com/protoloop/protoloop/socketio/internal/engineio"
	"github.com/protoloop/protoloop/socketio/internal/parser"
)

// connected is the payload of the packet that tells a client it is.
type connectedData struct {
	SID string `json:"sid"`
	PID string `json:"pid,omitempty"`
}

// recoveryAuth is what a client that wants its state back sends.
type recoveryAuth struct {
	PID    any `json:"pid"`
	Offset any `json:"offset"`
}

// connectTo begins to connect the client to a namespace, on the goroutine that
// reads.
func (c *session) connectTo(p *parser.Packet) error {
	n := c.srv.lookup(p.Namespace)
	if n == nil {
		return c.refuse(p.Namespace, &Error{Message: "Invalid namespace"})
	}
	s := &Socket{ns: n, sess: c}
	if len(p.Args) > 0 {
		s.auth = p.Args[0]
	}
	n.identify(s)
	known, full, err := c.admit(s)
	taken := false
	if known {
		taken, err = c.take(queued{s: s, what: queuedConnect})
	}
	if !taken { // the session ends, or has enough of them
		s.leave(ForcedClose, nil)
		c.done(s)
	}
	if full { // told last: a client that then comes back finds its state, which the socket has had until it left
		return c.refuse(n.name, &Error{Message: "Too many namespaces"})
	}
	return err
}

// admit makes the socket one of the session's, which has a worker then, unless the
// session is full.
func (c *session) admit(s *Socket) (ok, full bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended || c.stop != nil:
		return false, false, nil
	case len(c.sockets) >= c.srv.opts.MaxNamespaces:
		return false, true, nil
	}
	if err := c.startWorker(); err != nil {
		return false, false, err
	}
	c.sockets = append(c.sockets, s)
	c.live = append(c.live, s)
	return true, false, nil
}

// identify gives the socket its ids and, if the client may have them back, its
// old ones with rooms and data.
func (n *Namespace) identify(s *Socket) {
	if n.history != nil {
		var auth recoveryAuth
		_ = json.Unmarshal(s.auth, &auth) // of a client that is no recovering one
		if private, ok := auth.PID.(string); ok {
			n.mu.Lock()
			s.restored = n.history.restore(private, auth.Offset)
			n.mu.Unlock()
		}
		if old := s.restored; old != nil {
			s.id, s.private, s.recovered, s.data = old.id, old.private, true, old.data
			return
		}
		s.private = engineio.NewID()
	}
	s.id = engineio.NewID()
}

// refuse tells the client that it is not connected to the namespace.
func (c *session) refuse(namespace string, e *Error) error {
	frame, err := objectFrame(parser.ConnectError, namespace, e)
	if err != nil { // the data cannot be encoded
		frame, err = objectFrame(parser.ConnectError, namespace, &Error{Message: e.Message})
	}
	if err == nil {
		c.eio.Send(frame)
	}
	return nil
}

// connect runs the middlewares, tells the client, and runs OnConnect.
func (s *Socket) connect(t *actors.Task) {
	n := s.ns
	s.mu.Lock()
	late := s.state == socketClosed
	s.mu.Unlock()
	if late { // it has left while this was held
		s.sess.done(s)
		return
	}
	opened, refusal := false, errGoexit
	defer func() { // also after a Goexit
		if opened {
			return
		}
		s.leave(ServerDisconnect, nil)
		if refusal != nil {
			n.srv.counts.refused.Add(1)
			_ = s.sess.refuse(n.name, forClient(refusal))
			if _, panicked := refusal.(*actors.PanicError); panicked || refusal == errGoexit {
				s.failed(t.Context(), "middleware", refusal)
			}
		}
		s.sess.done(s)
	}()
	n.handlersMu.RLock()
	middlewares := n.middlewares
	n.handlersMu.RUnlock()
	if s.recovered && n.history.opts.SkipMiddlewares {
		middlewares = nil
	}
	for _, m := range middlewares {
		if err := guard(func() error { return m(t, s) }); err != nil {
			refusal = err
			return
		}
	}
	refusal = nil
	if !s.accept() {
		return
	}
	opened = true
	defer s.opened()
	n.handlersMu.RLock()
	h := n.onConnect
	n.handlersMu.RUnlock()
	if h == nil {
		return
	}
	if err := guard(func() error { return h(t, s) }); err != nil {
		s.failed(t.Context(), "connect", err)
		s.Disconnect()
	}
}

// accept makes the socket one of the namespace's and tells the client. false:
// the client has gone, or has to come again.
func (s *Socket) accept() bool {
	frame, err := objectFrame(parser.Connect, s.ns.name, connectedData{s.id, s.private})
	if err != nil {
		return false
	}
	ok, late := s.enter(frame)
	if late {
		s.sess.eio.Close()
	}
	return ok
}

// enter is accept in one step for whoever broadcasts. late: the middlewares have
// taken so long that events that the client has missed are gone. It comes again,
// and begins anew.
func (s *Socket) enter(frame *engineio.Frame) (ok, late bool) {
	n := s.ns
	n.mu.Lock()
	defer n.mu.Unlock()
	var missed []*engineio.Frame
	if n.history != nil {
		s.position.since = n.history.last
	}
	if old := s.restored; old != nil {
		frames, last, all := n.history.missed(old)
		if !all {
			s.restored = nil
			return false, true
		}
		missed, s.position = frames, position{old.since, max(old.sent, last)}
	}
	s.mu.Lock()
	ok = s.state == socketConnecting
	if ok {
		s.state, s.told, s.holding = socketOpening, true, true
	}
	s.mu.Unlock()
	if !ok {
		return false, false
	}
	n.add(s)
	if n.srv.activity.wants(SocketConnected) { // before what it joins, and what it is sent
		n.srv.activity.tell(activity{kind: SocketConnected, s: s})
	}
	if old := s.restored; old != nil {
		s.restored = nil
		s.leftOwn = true // unless it is among these
		for _, room := range old.rooms {
			n.join(s, room)
		}
		// In the reference's order: before the connect packet. Clients keep them
		// until that comes.
		s.sess.eio.SendMissed(missed...)
		n.srv.counts.recovered.Add(1)
	}
	n.srv.counts.connects.Add(1) // before the client can know
	s.sess.connected()
	s.sess.eio.Send(frame)
	return true, false
}

// connected ends the time within which a namespace has to be connected to.
func (c *session) connected() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
}

// guard calls user code and turns its panic into an error.
func guard(f func() error) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		// nil: runtime.Goexit, which goes on; the task's end tells of it.
		if v := recover(); v != nil {
			err = &actors.PanicError{Value: v, Stack: panicstack.Take(0)}
		}
	}()
	err = f()
	returned = true
	return err
}

// failed logs what a handler of the socket has failed with, and acts on a
// panic. ctx is that of the handler's task, for the log.
func (s *Socket) failed(ctx context.Context, what string, err error) {
	srv := s.sess.srv
	s.tellFailure(what, err)
	args := []any{"namespace", s.ns.name, "socket", s.id, "error", err}
	p, panicked := err.(*actors.PanicError)
	if !panicked {
		srv.counts.failed.Add(1)
		srv.logger().WarnContext(ctx, "socketio: "+what+" failed", args...)
		return
	}
	srv.counts.panics.Add(1)
	srv.logger().ErrorContext(ctx, "socketio: "+what+" panicked", append(args, "stack", string(p.Stack))...)
	if srv.opts.OnPanic == CloseSession {
		s.Close()
	}
}
