// SPDX-License-Identifier: Apache-2.0

package otelloop

import (
	"time"
	"weak"

	"github.com/protoloop/protoloop/socketio"
)

// ioSums tracks what was last read of each server of Socket.IO, for the sums of those that are gone: no sum shrinks.
type ioSums struct {
	servers    map[weak.Pointer[socketio.Server]]ioRead
	gone       ioRead
	namespaces names
	events     names
}

// ioRead is what is read of a server.
type ioRead struct {
	stats  socketio.Stats
	events map[eventName]socketio.EventStats
}

// eventName is an event as an attribute.
type eventName struct{ namespace, event string }

// addServers adds what there is of all Socket.IO servers together. Events have the names that handlers are registered for.
func (p *producer) addServers(b *builder) {
	s := &p.io
	if s.servers == nil {
		s.servers = map[weak.Pointer[socketio.Server]]ioRead{}
		s.namespaces.most, s.events.most = maxNamespaces, maxEvents
	}
	now := map[weak.Pointer[socketio.Server]]bool{}
	for i, srv := range socketio.All(p.sys) {
		if at := weak.Make(srv); i < maxServers {
			now[at] = true
			s.servers[at] = s.read(srv)
		}
	}
	sum := ioRead{events: map[eventName]socketio.EventStats{}}
	for at, last := range s.servers {
		if now[at] {
			sum.add(last)
			continue
		}
		srv := at.Value()
		if srv != nil { // its stop may have counted more
			last = s.read(srv)
			s.servers[at] = last
		}
		last.stats.Sessions, last.stats.WebSockets, last.stats.Sockets = 0, 0, nil
		if srv == nil {
			s.gone.add(last)
			delete(s.servers, at)
			continue
		}
		sum.add(last)
	}
	sum.add(s.gone)
	if sum.stats.Handshakes == 0 && len(now) == 0 {
		return
	}
	st := &sum.stats
	const sessions = "Clients of Socket.IO, by how they are connected."
	b.upDown("protoloop.socketio.session", "{session}", sessions, int64(st.WebSockets), transportKey.String("websocket"))
	b.upDown("protoloop.socketio.session", "{session}", sessions, int64(max(0, st.Sessions-st.WebSockets)), transportKey.String("polling"))
	for name, n := range st.Sockets {
		b.upDown("protoloop.socketio.socket", "{socket}", "Clients of Socket.IO in a namespace.", int64(n), namespaceKey.String(name))
	}
	b.count("protoloop.socketio.handshake", "{session}", "Sessions that have begun.", st.Handshakes)
	b.count("protoloop.socketio.io", "By", "Bytes of packets, without headers.", st.BytesIn, directionKey.String("receive"))
	b.count("protoloop.socketio.io", "By", "Bytes of packets, without headers.", st.BytesOut, directionKey.String("transmit"))
	b.count("protoloop.socketio.unhandled", "{event}", "Events that have come and have no handler.", st.Unhandled)
	for name, e := range sum.events {
		is, of := namespaceKey.String(name.namespace), eventKey.String(name.event)
		const events = "Events that have come and have a handler, by whether that has failed."
		b.count("protoloop.socketio.event", "{event}", events, e.Count-e.Failed, is, of, outcomeKey.String("finished"))
		b.count("protoloop.socketio.event", "{event}", events, e.Failed, is, of, outcomeKey.String("failed"))
		if e.Timed > 0 {
			b.gaugeSeconds("protoloop.socketio.event_duration", "How long handlers of an event have taken on average, with what they have awaited; one in 64 is measured.",
				e.Time/time.Duration(e.Timed), is, of)
		}
	}
	const closed = "Sessions that were closed because of their client."
	for _, why := range []struct {
		reason string
		n      int64
	}{
		{"malformed", st.Malformed}, {"too_large", st.TooLarge}, {"overload", st.Overloads}, {"slow_client", st.SlowClients}, {"ping_timeout", st.PingTimeouts},
	} {
		b.count("protoloop.socketio.closed", "{session}", closed, why.n, closeReasonKey.String(why.reason))
	}
}

// read reads a server, with names that are attributes.
func (s *ioSums) read(srv *socketio.Server) ioRead {
	r := ioRead{stats: srv.Stats(), events: map[eventName]socketio.EventStats{}}
	sockets := map[string]int{}
	for name, n := range r.stats.Sockets {
		sockets[s.namespaces.label(name)] += n
	}
	r.stats.Sockets = sockets
	for _, e := range srv.EventStats() {
		at := eventName{s.namespaces.label(e.Namespace), s.events.label(e.Event)}
		r.events[at] = addEvents(r.events[at], e)
	}
	return r
}

// add adds up what is exported.
func (r *ioRead) add(more ioRead) {
	a, b := &r.stats, &more.stats
	a.Sessions += b.Sessions
	a.WebSockets += b.WebSockets
	a.Handshakes += b.Handshakes
	a.BytesIn += b.BytesIn
	a.BytesOut += b.BytesOut
	a.Unhandled += b.Unhandled
	a.Malformed += b.Malformed
	a.TooLarge += b.TooLarge
	a.Overloads += b.Overloads
	a.SlowClients += b.SlowClients
	a.PingTimeouts += b.PingTimeouts
	for name, n := range b.Sockets {
		if a.Sockets == nil {
			a.Sockets = map[string]int{}
		}
		a.Sockets[name] += n
	}
	for name, e := range more.events {
		if r.events == nil {
			r.events = map[eventName]socketio.EventStats{}
		}
		r.events[name] = addEvents(r.events[name], e)
	}
}

func addEvents(a, b socketio.EventStats) socketio.EventStats {
	a.Count += b.Count
	a.Failed += b.Failed
	a.Timed += b.Timed
	a.Time += b.Time
	return a
}
