// SPDX-License-Identifier: Apache-2.0

package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"unicode/utf8"
)

// received is what a packet asks of the transport.
type received uint8

const (
	goOn       received = iota
	closeAsked          // the client's close packet
	failed              // the session has been ended
)

var errReceiving = errors.New("engineio: the session has ended")

// receiveText handles a text packet of either transport.
func (s *Session) receiveText(b []byte) received {
	s.srv.counts.received.Add(1)
	s.srv.counts.receivedBytes.Add(int64(len(b)))
	if len(b) == 0 || !utf8.Valid(b) {
		return s.malformed()
	}
	switch b[0] {
	case packetMessage:
		return s.deliver(func() error { return s.handler.Text(b[1:]) })
	case packetPong:
		s.pong()
	case packetPing: // the server pings, in this revision
		s.srv.counts.malformed.Add(1)
		s.end(TransportError, ending{})
		return failed
	case packetClose:
		return closeAsked
	case packetOpen, packetUpgrade, packetNoop: // the reference ignores them here
	case packetBinary:
		// Some clients leave the padding out.
		data, err := base64.RawStdEncoding.AppendDecode(nil, bytes.TrimRight(b[1:], "="))
		if err != nil {
			return s.malformed()
		}
		return s.deliver(func() error { return s.handler.Binary(data) })
	default:
		return s.malformed()
	}
	return goOn
}

// receiveBinary handles a binary WebSocket message. It keeps data.
func (s *Session) receiveBinary(data []byte) received {
	s.srv.counts.received.Add(1)
	s.srv.counts.receivedBytes.Add(int64(len(data)))
	return s.deliver(func() error { return s.handler.Binary(data) })
}

func (s *Session) malformed() received {
	s.srv.counts.malformed.Add(1)
	s.end(ParseError, ending{})
	return failed
}

// deliver calls the handler, one packet at a time: a client could use both
// transports at once.
func (s *Session) deliver(f func() error) received {
	s.in.Lock()
	err := errReceiving
	if s.receiving() {
		err = f()
	}
	s.in.Unlock()
	switch {
	case err == nil:
		return goOn
	case !errors.Is(err, errReceiving):
		s.srv.counts.malformed.Add(1)
		s.end(ForcedClose, ending{})
	}
	return failed
}

// receiving reports whether what comes in still counts.
func (s *Session) receiving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == opened
}

// receivePayload handles the body of a POST.
func (s *Session) receivePayload(body []byte) received {
	for {
		packet, rest, more := bytes.Cut(body, []byte{separator})
		if r := s.receiveText(packet); r != goOn || !more {
			return r
		}
		body = rest
	}
}
