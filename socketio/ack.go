package socketio

import (
	"encoding/json"
	"errors"
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
// future fails with [ErrDisconnected] when the client has gone, and with
// [ErrAckTimeout] after Options.AckTimeout. An event that cannot be encoded
// fails it, too.
//
// Await it in a task; in plain goroutines use Wait. The acknowledgement is read
// while the handler awaits, an Exclusive one, too.
func EmitAck[Reply any](s *Socket, event string, args ...any) *actors.Future[Reply] {
	p := actors.NewPromise[Reply]()
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
	id, ok := s.addAck(ack)
	if !ok {
		p.Reject(ErrDisconnected)
		return p.Future()
	}
	s.ns.srv.counts.emits.Add(1)
	s.send(parser.Event, id, a, false)
	return p.Future()
}

// addAck returns the id that the acknowledgement will have.
func (s *Socket) addAck(a *pendingAck) (id int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.connected() {
		return 0, false
	}
	id = s.lastAck
	s.lastAck++
	if s.acks == nil {
		s.acks = map[int64]*pendingAck{}
	}
	s.acks[id] = a
	if d := s.ns.srv.opts.AckTimeout; d > 0 {
		a.timer = time.AfterFunc(d, func() {
			if s.takeAck(id) != nil {
				a.fail(ErrAckTimeout)
			}
		})
	}
	return id, true
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
			s.failed("decoding an acknowledgement", err)
		}
	}
}
