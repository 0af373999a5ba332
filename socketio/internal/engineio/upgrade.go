// SPDX-License-Identifier: Apache-2.0

package engineio

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// serveUpgrade probes a WebSocket that a polling session wants to go on with:
//
//	client            server
//	2probe  ────────▶
//	        ◀──────── 3probe, and a noop to the poll that waits
//	5       ────────▶ from here on this is the transport
func (s *Session) serveUpgrade(w http.ResponseWriter, r *http.Request) {
	if !s.srv.addReader() {
		s.srv.refuse(w, errUnavailable)
		return
	}
	c := s.srv.accept(w, r)
	if c == nil {
		s.srv.readers.Done()
		return
	}
	s.mu.Lock()
	ok := s.ws == nil && s.upgrading == nil && s.state != closed && !s.srv.opts.NoUpgrades
	if ok {
		s.upgrading = c
	}
	s.mu.Unlock()
	if !ok {
		// Accepted and then closed, as by the reference: clients take a refused
		// handshake for an error of the network.
		go func() {
			defer s.srv.readers.Done()
			c.nc.linger()
			_, _ = c.nc.Write(closeFrame)
			_, _, _ = c.c.Reader(context.Background())
			c.close()
		}()
		return
	}
	go func() {
		defer s.srv.readers.Done()
		if s.upgrade(c) {
			s.read(c)
		}
		c.close()
	}()
}

// upgrade reads the client's part, and makes c the transport. If it returns
// false, c is of no use, and the session goes on as before.
func (s *Session) upgrade(c *wsConn) bool {
	c.timeoutIn(s.srv.opts.UpgradeTimeout)
	for {
		b, err := c.probe()
		switch {
		case err == nil && string(b) == "2probe":
			if _, err = c.nc.Write(probeFrame.ws); err == nil {
				s.releasePoll()
				continue
			}
		case err == nil && len(b) == 1 && b[0] == packetUpgrade:
			return s.switchTo(c)
		}
		s.mu.Lock()
		s.upgrading = nil
		s.mu.Unlock()
		return false
	}
}

var probeFrame = control(packetPong, []byte("probe"))

// probe reads one short text message.
func (c *wsConn) probe() ([]byte, error) {
	typ, r, err := c.c.Reader(context.Background())
	if err != nil || typ != websocket.MessageText {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, 16))
}

// releasePoll ends the poll that waits, so that the client can go on.
func (s *Session) releasePoll() {
	s.mu.Lock()
	p := s.poll
	s.mu.Unlock()
	if p != nil {
		s.answerNoop(p)
	}
}

// switchTo makes c the session's transport.
func (s *Session) switchTo(c *wsConn) bool {
	s.mu.Lock()
	s.upgrading = nil
	if s.state == closed {
		s.mu.Unlock()
		return false
	}
	if p := s.poll; p != nil { // one that began after the probe
		s.poll = nil
		p.answer <- pollAnswer{status: http.StatusBadRequest}
	}
	s.ws, s.counted = c, true
	_ = c.nc.SetReadDeadline(time.Time{})
	s.srv.counts.upgrades.Add(1)
	s.srv.counts.websockets.Add(1)
	if s.state == opened {
		// A ping may have gone down with the old transport.
		s.beat.awaiting = false
		s.beat.set(s.srv.opts.PingInterval)
	} else {
		c.nc.writeBy(s.srv.opts.CloseTimeout)
	}
	if len(s.queue) > 0 || s.state == closing {
		s.kick()
	}
	handler := s.handler
	s.mu.Unlock()
	if handler != nil { // else it has not begun
		handler.Upgraded()
	}
	return true
}
