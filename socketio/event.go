// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"context"
	"errors"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio/internal/parser"
)

// exclusive is an event whose handler is. It is a message, and not a
// submission, because only a message's handler can hold the loop.
type exclusive struct{ queued }

// event queues an event, on the goroutine that reads.
func (s *Socket) event(p *parser.Packet) error {
	srv := s.sess.srv
	srv.counts.events.Add(1)
	if srv.activity.wants(EventReceived) {
		srv.activity.tell(activity{kind: EventReceived, s: s, received: p})
	}
	h := s.ns.event(p.Name)
	if h == nil { // the reference ignores it, too
		srv.counts.unhandled.Add(1)
		return nil
	}
	s.mu.Lock()
	connecting := s.state == socketConnecting
	s.mu.Unlock()
	if connecting {
		return errState
	}
	_, err := s.sess.take(queued{s: s, what: queuedEvent, h: h, p: p})
	return err
}

// enqueue has q run after all that was handed to the socket before.
func (s *Socket) enqueue(q queued) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holding {
		s.backlog = append(s.backlog, q)
		return
	}
	q.post()
}

// opened lets the events go: OnConnect has returned.
func (s *Socket) opened() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == socketOpening {
		s.state = socketOpen
	}
	s.holding = false
	for _, q := range s.backlog {
		q.post()
	}
	s.backlog = nil
}

// post hands q to the worker.
func (q queued) post() {
	c := q.s.sess
	switch {
	case q.what == queuedEnd:
		c.runOnWorker("socketio disconnect "+q.s.ns.name, q.s.disconnected)
	case q.h.exclusive:
		c.noteRefusal(actors.RequestFuture[actors.None](c.srv.root, c.pid, exclusive{q}))
	default:
		c.runOnWorker(q.h.label, q.run)
	}
}

// runOnWorker has the worker run f behind what it was handed before.
func (c *session) runOnWorker(name string, f func(t *actors.Task)) {
	c.noteRefusal(actors.SubmitErr(c.srv.root, c.pid, func(t *actors.Task) error {
		f(t)
		return nil
	}, actors.Name(name)))
}

// noteRefusal notes that a worker which ends, or has ended, does not take what the client
// has sent. Then the session ends next, which tells the client, and the server's report
// counts it as cut off. An OnDisconnect is not lost by it: see disconnectLeft. What the
// worker has taken and drops at its end is noted there.
func (c *session) noteRefusal(f *actors.Future[actors.None]) {
	if _, err := f.TryResult(); err != nil && !errors.Is(err, actors.ErrPending) {
		c.cut.Store(true)
	}
}

// onExclusive runs an exclusive event as a child of its message's handler, so
// that a Goexit of user code ends no more than the child.
func onExclusive(t *actors.Task, e exclusive) error {
	_ = t.Await(t.Go(func(t *actors.Task) error {
		e.run(t)
		return nil
	}, actors.Name(e.h.label)))
	return nil // run has told whoever has to know
}

// run calls the handler and sends the acknowledgement.
func (q queued) run(t *actors.Task) {
	s := q.s
	defer s.sess.release()
	if s.gone.Load() {
		return
	}
	var args *parser.Args
	err := error(errGoexit)
	defer func() { q.answer(t, args, err) }() // also after a Goexit
	timed := q.h.count.Add(1)%timedEvery == 1
	var began time.Time
	if timed {
		began = time.Now()
	}
	err = guard(func() (err error) {
		args, err = q.h.call(t, s, q.p)
		return err
	})
	if timed {
		q.h.noteTime(time.Since(began))
	}
	if err != nil {
		q.h.failed.Add(1)
	}
	// Another worker's ErrStopped, which a handler may pass on, is no end of this one.
	if errors.Is(err, actors.ErrStopped) && errors.Is(context.Cause(t.Context()), actors.ErrStopped) {
		s.sess.cut.Store(true)
	}
}

// answer acknowledges the event, if the client has asked for it.
func (q queued) answer(t *actors.Task, args *parser.Args, err error) {
	s := q.s
	srv := s.sess.srv
	srv.counts.handled.Add(1)
	if _, wrong := err.(*argumentError); wrong {
		srv.counts.badArguments.Add(1)
	}
	if q.p.ID != parser.NoID {
		q.acknowledge(args, err)
	}
	_, panicked := err.(*actors.PanicError)
	if panicked || err == errGoexit || err != nil && q.p.ID == parser.NoID {
		s.failed(t.Context(), q.h.label, err) // behind the acknowledgement: it may close the session
	}
}

// acknowledge answers the client, also one that has left the namespace
// meanwhile: the reference's client drops it.
func (q queued) acknowledge(args *parser.Args, err error) {
	if args == nil || err != nil {
		args = &parser.Args{}
	}
	if err != nil {
		if args.Append(map[string]*Error{"error": forClient(err)}) != nil { // the data cannot be encoded
			args = &parser.Args{}
			_ = args.Append(map[string]*Error{"error": {Message: err.Error()}})
		}
	}
	q.s.sess.eio.Send(q.s.ns.frames(parser.Ack, q.p.ID, args)...)
}

// disconnected runs OnDisconnect.
func (s *Socket) disconnected(t *actors.Task) {
	c := s.sess
	if s.gone.Swap(true) { // it was cut off
		return
	}
	defer c.done(s)
	c.mu.Lock()
	c.boundRunning(true) // this has as long as what was before it
	c.mu.Unlock()
	n := s.ns
	n.srv.counts.disconnects.Add(1)
	n.handlersMu.RLock()
	h := n.onDisconnect
	n.handlersMu.RUnlock()
	if h == nil {
		return
	}
	s.mu.Lock()
	reason := s.reason
	s.mu.Unlock()
	err := guard(func() error {
		h(t, s, reason)
		return nil
	})
	if err != nil {
		s.failed(t.Context(), "disconnect", err)
	}
}
