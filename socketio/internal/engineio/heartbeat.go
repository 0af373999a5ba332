// SPDX-License-Identifier: Apache-2.0

package engineio

import "time"

// heartbeat tracks when the client is to be pinged, or has to have answered.
// It is guarded by the session's mu.
type heartbeat struct {
	timer    *time.Timer
	due      time.Time // an earlier firing is a late one of before a reset
	awaiting bool      // a ping has been sent, and no pong has come
	excused  bool      // a POST has prolonged the time for it
}

var pingFrames = []*Frame{control(packetPing, nil)}

func (s *Session) startHeartbeat() {
	if s.beat.timer != nil { // closing already
		return
	}
	d := max(s.srv.opts.PingInterval, 1)
	s.beat.due = time.Now().Add(d)
	s.beat.timer = time.AfterFunc(d, s.tick)
	if s.state == closing {
		s.beat.set(s.srv.opts.CloseTimeout)
	}
}

// set has the session's tick called after d, and not before.
func (b *heartbeat) set(d time.Duration) {
	d = max(d, 1)
	b.due = time.Now().Add(d)
	if b.timer != nil {
		b.timer.Reset(d)
	}
}

// expect has the tick called d after it was due, so that a late one does not
// prolong the client's time; but a process that was stopped for long leaves it
// half of that.
func (b *heartbeat) expect(d time.Duration) {
	b.set(max(time.Until(b.due.Add(d)), d/2))
}

// overdue reports whether the pong should have come: the tick may be late.
func (s *Session) overdue() bool {
	return s.state == opened && s.beat.awaiting && !s.excused() && !time.Now().Before(s.beat.due)
}

// excused reports whether the pong may have come, and wait to be read. A POST
// that is under way is an excuse once: its body may never end.
func (s *Session) excused() bool {
	return s.paused.Load() > 0 || s.posting && !s.beat.excused
}

func (b *heartbeat) stop() {
	if b.timer != nil {
		b.timer.Stop()
	}
}

// tick is the session's timer.
func (s *Session) tick() {
	s.mu.Lock()
	o := &s.srv.opts
	switch {
	case s.state == closed || time.Now().Before(s.beat.due):
		s.mu.Unlock()
	case s.state == closing: // the client has not taken the rest in time
		s.mu.Unlock()
		s.end(ForcedClose, ending{cut: true})
	case !s.beat.awaiting:
		s.beat.awaiting, s.beat.excused = true, false
		s.beat.expect(o.PingTimeout)
		s.enqueue(pingFrames)
		s.mu.Unlock()
	case s.paused.Load() > 0: // the handler bounds it
		s.beat.set(o.PingTimeout / 2)
		s.mu.Unlock()
	case s.excused():
		s.beat.excused = true
		s.beat.set(o.PingTimeout)
		s.mu.Unlock()
	default:
		s.mu.Unlock()
		s.srv.counts.pingTimeouts.Add(1)
		s.end(PingTimeout, ending{})
	}
}

// pong is the client's answer to a ping. It also counts without one, as in the
// reference.
func (s *Session) pong() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != opened {
		return
	}
	s.beat.awaiting = false
	s.beat.set(s.srv.opts.PingInterval)
}
