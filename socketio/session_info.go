// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"cmp"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// SessionInfo is a session as it was at one moment: values only.
type SessionInfo struct {
	ID        string     // Socket.SessionID
	Worker    *actor.PID // of its handlers; nil before it is connected to a namespace
	Transport string     // "polling" or "websocket"
	Address   string     // of the client, see Options.ClientIP
	Since     time.Time
	Sockets   []SocketInfo // by namespace
	// Buffered is how many bytes wait to be sent to the client. At MaxBuffered, which is that of the Options, it
	// is a slow client, and the session ends.
	Buffered, MaxBuffered int
	// Running is how many events are with the worker, and Held how many wait for one of them to end.
	Running, Held int
}

// SocketInfo is a socket of a session.
type SocketInfo struct {
	ID, Namespace string
	Rooms         int // that it has joined
}

// maxSessionInfos is how many sessions are shown by default.
const maxSessionInfos = 200

// lookedAtOnce is how many sessions are gone through while no other begins or ends.
const lookedAtOnce = 1000

// Sessions returns the sessions that most bytes wait to be sent to, the slowest clients, at most
// so many of them; 0: 200. Those for which nothing waits come last, the oldest first.
func (srv *Server) Sessions(most int) []SessionInfo {
	type measured struct {
		c        *session
		buffered int
	}
	var all []measured
	srv.eachSession(func(c *session) { all = append(all, measured{c: c}) })
	for i := range all {
		all[i].buffered = all[i].c.eio.Buffered()
	}
	slices.SortFunc(all, func(a, b measured) int {
		return cmp.Or(cmp.Compare(b.buffered, a.buffered), cmp.Compare(a.c.number, b.c.number))
	})
	all = all[:min(len(all), max(cmp.Or(most, maxSessionInfos), 0))]
	out := make([]SessionInfo, len(all))
	for i, m := range all {
		out[i] = m.c.info()
		out[i].Buffered, out[i].MaxBuffered = m.buffered, srv.opts.MaxBuffered
	}
	return out
}

// eachSession calls f for each session, in no order, with mu held for reading; some may come or go
// in between.
func (srv *Server) eachSession(f func(c *session)) {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	seen := 0
	for c := range srv.sessions {
		f(c)
		if seen++; seen%lookedAtOnce == 0 {
			srv.mu.RUnlock()
			srv.mu.RLock()
		}
	}
}

func (c *session) info() SessionInfo {
	i := SessionInfo{ID: c.ID(), Transport: c.transport(), Address: c.srv.clientIP(c.request), Since: c.began}
	c.mu.Lock()
	i.Worker, i.Running, i.Held = c.pid, c.in.running, len(c.in.held)
	sockets := slices.Clone(c.sockets)
	c.mu.Unlock()
	for _, s := range sockets {
		s.ns.mu.RLock()
		i.Sockets = append(i.Sockets, SocketInfo{s.id, s.ns.name, len(s.rooms)})
		s.ns.mu.RUnlock()
	}
	slices.SortFunc(i.Sockets, func(a, b SocketInfo) int { return cmp.Compare(a.Namespace, b.Namespace) })
	return i
}
