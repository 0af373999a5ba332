// SPDX-License-Identifier: Apache-2.0

package engineio

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// poll is a GET that waits for something to be sent.
type poll struct {
	answer  chan pollAnswer // buffered
	control *http.ResponseController
	frames  int // in the answer
	size    int // of those, as they count for MaxBuffered
}

type pollAnswer struct {
	status int
	body   []byte
}

// upgradeWait is for how long a poll that begins during an upgrade waits for
// the upgrade to be completed before it is answered by a noop: the reference
// looks every 100 ms whether there is one.
const upgradeWait = 100 * time.Millisecond

// untimed takes the http.Server's WriteTimeout from a request that may have to
// wait: over HTTP/2 it ends the request, and a heartbeat that is not answered
// ends the wait. What is written then has a deadline of its own.
func untimed(control *http.ResponseController) { _ = control.SetWriteDeadline(time.Time{}) }

// servePoll answers a GET with what is queued, or waits for it.
func (s *Session) servePoll(w http.ResponseWriter, r *http.Request) {
	p := &poll{answer: make(chan pollAnswer, 1), control: http.NewResponseController(w)}
	untimed(p.control)
	s.mu.Lock()
	switch {
	case s.state == closed && s.owesNoop:
		s.owesNoop = false
		s.mu.Unlock()
		_ = respond(w, []byte{packetNoop})
		return
	case s.state == closed:
		s.mu.Unlock()
		s.srv.refuse(w, errSession)
		return
	case s.overdue():
		s.mu.Unlock()
		s.tick()
		s.srv.refuse(w, errSession)
		return
	case s.ws != nil:
		s.mu.Unlock()
		s.srv.refuse(w, errRequest)
		return
	case s.poll != nil: // one poll at a time
		s.mu.Unlock()
		s.srv.counts.malformed.Add(1)
		s.end(TransportError, ending{})
		s.srv.refuse(w, errRequest)
		return
	}
	s.poll = p
	over := s.kick()
	if s.poll == p && s.upgrading != nil {
		timer := time.AfterFunc(upgradeWait, func() { s.answerNoop(p) })
		defer timer.Stop()
	}
	s.mu.Unlock()
	if over {
		s.end(ForcedClose, ending{})
	}
	select {
	case a := <-p.answer:
		s.finishPoll(w, p, a)
	case <-r.Context().Done():
		s.mu.Lock()
		left := s.poll == p
		if left {
			s.poll = nil
		}
		s.mu.Unlock()
		if left {
			s.end(TransportError, ending{})
			return
		}
		s.finishPoll(w, p, <-p.answer)
	}
}

func (s *Session) finishPoll(w http.ResponseWriter, p *poll, a pollAnswer) {
	if a.status != http.StatusOK {
		s.srv.refuse(w, errRequest)
		return
	}
	s.timeAnswer(p.control)
	err := respond(w, a.body)
	if err == nil {
		// Not left to net/http: the frames count until they are written.
		if err = p.control.Flush(); errors.Is(err, http.ErrNotSupported) {
			err = nil
		}
	}
	s.answered(p, err)
}

// timeAnswer bounds what is written from now on.
func (s *Session) timeAnswer(control *http.ResponseController) {
	s.mu.Lock() // against the deadline of an end
	defer s.mu.Unlock()
	limit := s.srv.opts.PingInterval + s.srv.opts.PingTimeout
	if s.state == closed {
		limit = closeLinger
	}
	_ = control.SetWriteDeadline(time.Now().Add(limit))
}

func respond(w http.ResponseWriter, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	_, err := w.Write(body)
	return err
}

// answerPoll answers the poll with all that is queued. With mu held.
func (s *Session) answerPoll() {
	p := s.poll
	body := appendPayload(make([]byte, 0, s.queued), s.queue)
	s.srv.counts.sent.Add(int64(len(s.queue)))
	s.srv.counts.sentBytes.Add(int64(len(body)))
	p.frames, p.size = len(s.queue), s.queued
	s.queue, s.queued = nil, 0
	p.answer <- pollAnswer{http.StatusOK, body}
	s.poll, s.answering = nil, p
}

// unread is what is being written to a poll. With mu held.
func (s *Session) unread() int {
	if s.answering == nil {
		return 0
	}
	return s.answering.size
}

// answered is called when the answer of a poll has been written. The client
// may have it before, and poll again: that poll has waited for this.
func (s *Session) answered(p *poll, err error) {
	s.mu.Lock()
	if s.answering != p { // it had no frames
		s.mu.Unlock()
		return
	}
	s.answering = nil
	tell := func() {}
	if err == nil {
		tell = s.wrote(p.frames, p.size)
	}
	over := err == nil && s.kick()
	s.mu.Unlock()
	tell()
	switch {
	case err != nil: // frames are lost
		s.end(TransportError, ending{cut: true})
	case over:
		s.end(ForcedClose, ending{})
	}
}

// answerNoop ends a poll that has nothing to wait for.
func (s *Session) answerNoop(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poll == p {
		s.poll = nil
		p.answer <- pollAnswer{http.StatusOK, []byte{packetNoop}}
	}
}

// servePost takes in what the client sends.
func (s *Session) servePost(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	s.mu.Lock()
	code := errRequest
	refused := true
	switch {
	case s.state == closed:
		code = errSession
	case s.ws != nil:
	case s.posting, r.Header.Get("Content-Type") == "application/octet-stream":
		s.mu.Unlock()
		s.srv.counts.malformed.Add(1)
		s.end(TransportError, ending{})
		s.srv.refuse(w, code)
		return
	default:
		s.posting, refused = true, false
		s.body = control
	}
	s.mu.Unlock()
	if refused {
		s.srv.refuse(w, code)
		return
	}
	defer func() {
		s.mu.Lock()
		s.posting = false
		s.mu.Unlock()
	}()

	scratch := s.srv.buffers.Get().(*[]byte)
	defer s.srv.release(scratch)
	body, err := readAll(io.LimitReader(r.Body, s.srv.opts.MaxPayload+1), (*scratch)[:0])
	*scratch = body
	s.mu.Lock()
	s.body = nil
	s.mu.Unlock()
	switch {
	case err != nil:
		s.end(TransportError, ending{})
		s.srv.refuse(w, errRequest)
		return
	case int64(len(body)) > s.srv.opts.MaxPayload:
		s.srv.counts.tooLarge.Add(1)
		s.srv.counts.refused.Add(1)
		w.Header().Set("Connection", "close") // the rest is not read
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	untimed(control) // its packets may have to wait
	defer s.timeAnswer(control)
	switch s.receivePayload(body) {
	case failed:
		// If the client learns it by its poll, an error here as well would race
		// with that: it would take one or the other for the reason.
		s.mu.Lock()
		told := s.told
		s.mu.Unlock()
		if !told {
			s.srv.refuse(w, errRequest)
			return
		}
	case closeAsked:
		s.end(TransportClose, ending{byClient: true})
	}
	h := w.Header()
	// Not text/plain: some browsers would offer it as a download (as the
	// reference has it).
	h.Set("Content-Type", "text/html")
	h.Set("Content-Length", "2")
	h.Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, "ok")
}

// readAll reads r to its end, behind what buf has.
func readAll(r io.Reader, buf []byte) ([]byte, error) {
	b := bytes.NewBuffer(buf)
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// release keeps a buffer for the next reader or writer, unless it has grown
// large: it would stay.
func (s *Server) release(buf *[]byte) {
	if cap(*buf) <= maxKept {
		*buf = (*buf)[:0]
		s.buffers.Put(buf)
	}
}

const maxKept = 64 << 10
