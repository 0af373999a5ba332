// SPDX-License-Identifier: Apache-2.0

package engineio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Server is the Engine.IO server, an [http.Handler] for one path.
type Server struct {
	opts    Options
	counts  counters
	limiter limiter
	origins []OriginPattern
	buffers sync.Pool // of *[]byte, to read into and to join frames in

	mu       sync.Mutex
	sessions map[string]*Session
	open     int // of them; the others are about to be forgotten
	stopping bool
	readers  sync.WaitGroup // goroutines that read a connection
}

// NewServer returns a server that accepts sessions.
func NewServer(o Options) *Server {
	if o.ClientIP == nil {
		o.ClientIP = RemoteIP
	}
	var origins []OriginPattern
	for _, text := range o.AllowedOrigins {
		p, err := ParseOrigin(text)
		if err != nil {
			panic(fmt.Sprintf("engineio: NewServer: allowed origin %q: %v", text, err)) // whoever calls this has looked
		}
		origins = append(origins, p)
	}
	return &Server{
		origins: origins,
		opts:    o, sessions: map[string]*Session{},
		limiter: limiter{rate: max(float64(o.HandshakesPer), 0)},
		buffers: sync.Pool{New: func() any { return new([]byte) }},
	}
}

// refusal is an error answer: the reference's code and words, and the status.
type refusal struct {
	status  int
	Code    int    `json:"code"`
	Message string `json:"message"`
}

var (
	errTransport   = refusal{http.StatusBadRequest, 0, "Transport unknown"}
	errSession     = refusal{http.StatusBadRequest, 1, "Session ID unknown"}
	errMethod      = refusal{http.StatusBadRequest, 2, "Bad handshake method"}
	errRequest     = refusal{http.StatusBadRequest, 3, "Bad request"}
	errForbidden   = refusal{http.StatusForbidden, 4, "Forbidden"}
	errProtocol    = refusal{http.StatusBadRequest, 5, "Unsupported protocol version"}
	errUnavailable = refusal{http.StatusServiceUnavailable, 6, "Service unavailable"} // not one of the reference
	errTooMany     = refusal{http.StatusTooManyRequests, 7, "Too many handshakes"}    // neither
)

func (s *Server) refuse(w http.ResponseWriter, e refusal) {
	s.counts.refused.Add(1)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if e.status >= http.StatusTooManyRequests {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(e.status)
	body, _ := json.Marshal(e)
	_, _ = w.Write(body)
}

// ServeHTTP serves a request of the Engine.IO path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.originAllowed(r) {
		s.refuse(w, errForbidden)
		return
	}
	s.allowOrigin(w, r)
	if r.Method == http.MethodOptions {
		s.preflight(w, r)
		return
	}
	query := r.URL.Query()
	transport, sid := query.Get("transport"), query.Get("sid")
	if !(transport == "polling" && !s.opts.NoPolling || transport == "websocket" && !s.opts.NoWebSocket) {
		s.refuse(w, errTransport)
		return
	}
	if sid == "" {
		s.handshake(w, r, transport, query.Get("EIO"))
		return
	}
	sess := s.find(sid)
	switch {
	case sess == nil:
		s.refuse(w, errSession)
	case transport == "websocket":
		sess.serveUpgrade(w, r)
	case r.Method == http.MethodGet:
		sess.servePoll(w, r)
	case r.Method == http.MethodPost:
		sess.servePost(w, r)
	default:
		s.refuse(w, errRequest)
	}
}

func (s *Server) handshake(w http.ResponseWriter, r *http.Request, transport, version string) {
	upgrade := r.Header.Get("Upgrade") != ""
	switch {
	case r.Method != http.MethodGet:
		s.refuse(w, errMethod)
		return
	case transport == "websocket" && !upgrade:
		s.refuse(w, errRequest)
		return
	case version != "4":
		s.refuse(w, errProtocol)
		return
	case !s.limiter.allow(s.opts.ClientIP(r), time.Now()):
		s.counts.limited.Add(1)
		s.refuse(w, errTooMany)
		return
	}
	sess := newSession(s)
	if !s.add(sess) {
		s.refuse(w, errUnavailable)
		return
	}
	if transport == "websocket" {
		sess.acceptWebSocket(w, r)
		return
	}
	sess.begin(r)
	sess.servePoll(w, r)
}

// add makes a session known; false: there is no room for it.
func (s *Server) add(sess *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping || s.open >= s.opts.MaxSessions {
		if !s.stopping {
			s.counts.limited.Add(1)
		}
		return false
	}
	s.open++
	s.sessions[sess.id] = sess
	s.counts.handshakes.Add(1)
	return true
}

// addReader counts a goroutine that reads a connection; false: the server is
// stopping.
func (s *Server) addReader() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.readers.Add(1)
	return true
}

func (s *Server) find(sid string) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[sid]
}

// ended is called once for each session. keep says for how long it has to be
// found still.
func (s *Server) ended(sess *Session, keep time.Duration) {
	s.mu.Lock()
	s.open--
	if keep <= 0 {
		delete(s.sessions, sess.id)
	}
	s.mu.Unlock()
	if keep > 0 {
		time.AfterFunc(keep, func() {
			s.mu.Lock()
			delete(s.sessions, sess.id)
			s.mu.Unlock()
		})
	}
}

// Sessions returns the sessions that are open now.
func (s *Server) Sessions() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Session, 0, s.open)
	for _, sess := range s.sessions {
		list = append(list, sess)
	}
	return list
}

// Stop refuses new sessions and upgrades from now on, with 503.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
}

// Restart accepts sessions again after a Stop and a Wait.
func (s *Server) Restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = false
}

// Wait waits, after Stop, until no goroutine of the server is left. When ctx
// ends it cuts all connections first.
func (s *Server) Wait(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.readers.Wait()
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	for _, sess := range s.Sessions() {
		sess.end(ForcedClose, ending{cut: true})
	}
	<-done
}

// NewID returns an id that nobody can guess: 120 random bits as 20 characters
// of base64url, the reference's form.
func NewID() string {
	var b [15]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}
