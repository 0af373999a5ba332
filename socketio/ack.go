// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio/internal/parser"
)

// pendingAck is an event that the client is to acknowledge.
type pendingAck struct {
	take  func(args []json.RawMessage, bins [][]byte) error // error: not what was asked for
	fail  func(err error) bool
	timer *time.Timer // nil: none
}

// EmitAck sends an event and returns the future of the client's acknowledgement:
// its first argument, decoded to a Reply; of an empty one the zero value. The
// future fails with [ErrDisconnected] when the client has gone, with
// [ErrAckTimeout] after Options.AckTimeout, and at once with [ErrTooManyAcks].
// An event that cannot be encoded fails it, too. When the future is cancelled,
// by itself or by an [futures.WithTimeout], the acknowledgement is dropped if it
// comes.
//
// Await it in a task; in plain goroutines use Wait. The acknowledgement is read
// while the handler awaits, an Exclusive one, too.
func EmitAck[Reply any](s *Socket, event string, args ...any) *actors.Future[Reply] {
	p := new(actors.Promise[Reply])
	a, err := encodeArgs(event, args)
	if err != nil {
		p.Reject(err)
		return p.Future()
	}
	ack := &pendingAck{fail: p.Reject}
	ack.take = func(args []json.RawMessage, bins [][]byte) error {
		var v Reply
		// Decoding may call methods of Reply's.
		err := guard(func() (err error) {
			v, err = decode[Reply](args, bins)
			return err
		})
		if err != nil {
			p.Reject(err)
			return err
		}
		p.Resolve(v)
		return nil
	}
	id, err := s.addAck(ack)
	if err != nil {
		if p.Reject(err); err == ErrDisconnected {
			noNews(p.Future())
		}
		return p.Future()
	}
	p.Future().OnDone(func(Reply, error) { s.takeAck(id) }) // it may have been cancelled
	s.ns.srv.counts.emits.Add(1)
	s.send(parser.Event, id, a, false)
	return p.Future()
}

// nextAckID returns an id for an acknowledgement. One that comes late, for a
// socket that has left or from before a reconnect, must not answer the question
// of another socket; so the ids are the server's, and begin anywhere. They have
// 31 bits: some clients keep them in an int.
func (srv *Server) nextAckID() int64 { return int64(srv.lastAckID.Add(1) & math.MaxInt32) }

// addAck returns the id that the acknowledgement will have.
func (s *Socket) addAck(a *pendingAck) (id int64, err error) {
	srv := s.ns.srv
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.connected():
		return 0, ErrDisconnected
	case len(s.acks) >= srv.opts.MaxPendingAcks:
		return 0, fmt.Errorf("%w: %d", ErrTooManyAcks, len(s.acks))
	}
	if s.acks == nil {
		s.acks = map[int64]*pendingAck{}
	}
	id = srv.nextAckID()
	for s.acks[id] != nil { // 2^31 later
		id = srv.nextAckID()
	}
	s.acks[id] = a
	if d := srv.opts.AckTimeout; d > 0 {
		a.timer = time.AfterFunc(d, func() {
			if s.takeAck(id) != nil {
				a.fail(ErrAckTimeout)
			}
		})
	}
	return id, nil
}

// takeAck returns what waits for the id, once.
func (s *Socket) takeAck(id int64) *pendingAck {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.acks[id]
	delete(s.acks, id)
	if a != nil && a.timer != nil {
		a.timer.Stop()
	}
	return a
}

// acknowledged is an acknowledgement that has come. One that nobody waits for
// is dropped, as by the reference.
func (s *Socket) acknowledged(p *parser.Packet) {
	a := s.takeAck(p.ID)
	if a == nil {
		return
	}
	s.ns.srv.counts.acks.Add(1)
	if err := a.take(p.Args, p.Attachments); err != nil {
		s.ns.srv.counts.badArguments.Add(1)
		var panicked *actors.PanicError
		if errors.As(err, &panicked) {
			s.failed(context.Background(), "decoding an acknowledgement", err)
		}
	}
}
