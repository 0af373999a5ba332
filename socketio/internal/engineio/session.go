// SPDX-License-Identifier: Apache-2.0

package engineio

import (
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// state of a session, in the order in which they follow each other.
type state uint8

const (
	opened  state = iota // sends and receives
	closing              // by the server: what is queued goes out, then a close
	closed
)

// Session is one client, by whatever transport. Its methods may be called from
// any goroutine, and none of them blocks.
type Session struct {
	srv     *Server
	id      string
	handler Handler    // set by begin, with mu held; constant from then on
	in      sync.Mutex // held while the handler receives
	paused  atomic.Int32

	mu     sync.Mutex
	state  state
	queue  []*Frame
	queued int // bytes in queue, and of what is being written
	missed int // of these and of what is written to a poll: those that do not count for MaxBuffered
	beat   heartbeat
	drain  drain

	poll      *poll                    // the GET that waits
	answering *poll                    // the GET to which frames are being written
	posting   bool                     // a POST is being read, and handled
	body      *http.ResponseController // of the POST, while it is read; nil: none is
	owesNoop  bool                     // closed by the client's POST: its GET may be under way
	told      bool                     // a poll has got the close packet
	upgrading *wsConn
	ws        *wsConn // nil: polling
	counted   bool    // it is one of those that are open, by WebSocket
	writing   bool    // a goroutine writes to ws, or has written the last
	cut       bool    // ended before all that was queued had been written
	slow      bool    // closing because of MaxBuffered
}

func newSession(s *Server) *Session { return &Session{srv: s, id: NewID()} }

// ID is the session's id. Whoever knows it can speak for the client.
func (s *Session) ID() string { return s.id }

// WebSocket reports whether that is the session's transport now, and not polling.
func (s *Session) WebSocket() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ws != nil
}

// Buffered is how many bytes wait to be sent, as they count for MaxBuffered.
func (s *Session) Buffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queued + s.unread()
}

// handshakeData is the body of the open packet.
type handshakeData struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int64    `json:"pingInterval"` // ms
	PingTimeout  int64    `json:"pingTimeout"`  // ms
	MaxPayload   int64    `json:"maxPayload"`
}

// begin opens the session: the handshake is queued first.
func (s *Session) begin(r *http.Request) {
	o := &s.srv.opts
	upgrades := []string{}
	if s.ws == nil && !o.NoUpgrades && !o.NoWebSocket {
		upgrades = append(upgrades, "websocket")
	}
	data, _ := json.Marshal(handshakeData{s.id, upgrades, o.PingInterval.Milliseconds(), o.PingTimeout.Milliseconds(), o.MaxPayload})
	s.Send(control(packetOpen, data))
	h := o.Connect(s, r)
	s.mu.Lock()
	s.handler = h
	over := s.state == closed // by a stop of the server
	if !over {
		s.startHeartbeat()
	}
	s.mu.Unlock()
	if over {
		h.Closed(ForcedClose)
	}
}

// Send queues frames, which stay together and in order. false: the session has
// ended, or ends, and they are dropped.
func (s *Session) Send(frames ...*Frame) bool { return s.send(frames, false) }

// SendMissed is Send without the bound of MaxBuffered, for what a client has
// missed: it is no fault of its own that there is so much.
func (s *Session) SendMissed(frames ...*Frame) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != opened {
		return false
	}
	s.missed += sizeOf(frames)
	s.enqueue(frames)
	return true
}

// SendVolatile is Send if the client could be written to at once: otherwise
// the frames are dropped.
func (s *Session) SendVolatile(frames ...*Frame) bool { return s.send(frames, true) }

func (s *Session) send(frames []*Frame, volatile bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != opened || volatile && !s.writable() {
		return false
	}
	before := s.queued + s.unread() - s.missed
	// One that is too large by itself is let through: it is the server's own.
	if before > 0 && before+sizeOf(frames) > s.srv.opts.MaxBuffered {
		s.overflow()
		return false
	}
	s.enqueue(frames)
	return true
}

// enqueue queues frames, and has somebody write them. With mu held.
func (s *Session) enqueue(frames []*Frame) {
	s.queued += sizeOf(frames)
	s.queue = append(s.queue, frames...)
	s.drain.queued += uint64(len(frames))
	s.kick()
}

func sizeOf(frames []*Frame) (size int) {
	for _, f := range frames {
		size += f.size()
	}
	return size
}

// wrote counts out frames that have been written, the missed first: it was queued
// before what counts. What it returns is called without mu. With mu held.
func (s *Session) wrote(frames, size int) (tell func()) {
	s.missed = max(s.missed-size, 0)
	return s.drain.wrote(frames)
}

func (s *Session) writable() bool {
	if s.ws != nil {
		return !s.writing
	}
	return s.poll != nil && s.answering == nil && len(s.queue) == 0
}

// overflow ends the session of a client that does not take what it is sent.
// On a goroutine of its own: the sender may hold locks that the handler needs.
func (s *Session) overflow() {
	s.state = closing // nothing more is queued
	s.cut, s.slow = true, true
	s.srv.counts.slowClients.Add(1)
	go s.end(SlowClient, ending{cut: true})
}

// kick has somebody write what is queued. With mu held. over: there is nothing
// left for the poll of a closing session, and the caller has to end it.
func (s *Session) kick() (over bool) {
	switch {
	case s.ws != nil:
		if !s.writing {
			s.writing = true
			s.ws.writers.Add(1)
			go s.write(s.ws)
		}
	case s.poll == nil || s.answering != nil:
	case len(s.queue) > 0:
		s.answerPoll()
	case s.state == closing:
		// Not together with the last packets: the reference's client takes a
		// close before the packets in front of it.
		return true
	}
	return false
}

// Close ends the session from the server's side: what is queued goes out first,
// for CloseTimeout at the most. The handler hears of it when that is done.
func (s *Session) Close() {
	s.mu.Lock()
	if s.state != opened {
		s.mu.Unlock()
		return
	}
	s.state = closing
	s.beat.set(s.srv.opts.CloseTimeout)
	if s.ws != nil {
		s.ws.nc.writeBy(s.srv.opts.CloseTimeout)
	}
	over := s.kick()
	s.mu.Unlock()
	if over {
		s.end(ForcedClose, ending{})
	}
}

// Abort ends the session at once: what is queued is dropped.
func (s *Session) Abort() { s.end(ForcedClose, ending{cut: true}) }

// Flushed reports, of a session that has ended, whether all that was queued
// for it had been written.
func (s *Session) Flushed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.cut
}

// Pause keeps the heartbeat from ending the session while its handler does not
// take what comes in, and so holds up the pong, too. Resume ends that.
func (s *Session) Pause() { s.paused.Add(1) }

// Resume ends a Pause.
func (s *Session) Resume() { s.paused.Add(-1) }

// ending is how a session ends.
type ending struct {
	byClient bool // its close packet came, by a POST
	broken   bool // the connection is no good any more
	cut      bool // do not wait for the client
}

// end ends the session, once. Not with mu held.
func (s *Session) end(reason Reason, how ending) {
	s.mu.Lock()
	if s.state == closed {
		ws := s.ws
		s.mu.Unlock()
		if ws != nil && how.cut {
			_ = ws.nc.Close()
		}
		return
	}
	if s.state == closing {
		reason = ForcedClose
		if s.slow { // whoever comes first to end it
			reason = SlowClient
		}
	}
	s.state = closed
	s.beat.stop()
	tell := s.drain.end()
	s.srv.counts.dropped.Add(int64(len(s.queue)))
	s.cut = s.cut || how.cut || s.queued > 0
	s.queue = nil
	keep := time.Duration(0)
	if p := s.poll; p != nil {
		s.poll = nil
		last := byte(packetClose)
		if how.byClient {
			last = packetNoop
		}
		p.answer <- pollAnswer{http.StatusOK, []byte{last}}
		s.told = true
	} else if how.byClient && s.ws == nil {
		s.owesNoop, keep = true, noopOwed
	}
	if s.body != nil { // it may never end
		_ = s.body.SetReadDeadline(time.Now())
	}
	if p := s.answering; p != nil { // nor may that
		_ = p.control.SetWriteDeadline(time.Now().Add(closeLinger))
	}
	ws, probe, handler := s.ws, s.upgrading, s.handler
	if s.counted {
		s.counted = false
		s.srv.counts.websockets.Add(-1)
	}
	if ws != nil && !how.broken && !how.cut {
		ws.nc.linger()
		s.kick() // the close frame
	}
	s.mu.Unlock()
	tell()
	if ws != nil && (how.broken || how.cut) {
		_ = ws.nc.Close()
	}
	if probe != nil {
		_ = probe.nc.Close()
	}
	s.srv.ended(s, keep)
	if handler != nil { // else begin will tell it
		handler.Closed(reason)
	}
}

// noopOwed is for how long the GET of a client that has closed by POST is
// answered by a noop. Clients send both at the same time, and either may be
// the first to be served.
const noopOwed = 50 * time.Millisecond
