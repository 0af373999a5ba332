// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/safelog"
	"github.com/protoloop/protoloop/internal/supervision"
	"github.com/protoloop/protoloop/socketio/internal/engineio"
	"github.com/protoloop/protoloop/socketio/internal/parser"
)

// Server is a Socket.IO server: an [http.Handler] for one path, by convention
// "/socket.io/". Its methods may be called from anywhere.
//
//	mux.Handle("/socket.io/", io)
type Server struct {
	opts   Options
	system *actor.ActorSystem
	root   *actor.RootContext
	eio    *engineio.Server
	props  *actor.Props // of the sessions' workers
	name   string       // prefix of their names
	counts counters
	main   *Namespace

	id        string // part of the ids of sessions
	activity  activities
	lastAckID atomic.Uint32

	mu         sync.RWMutex
	namespaces map[string]*Namespace
	sessions   map[*session]struct{}
	lastID     uint64              // of a session
	starting   map[string]*session // by the name of the worker
	spawned    uint64
	stop       *shutdown // nil: the server runs
}

// NewServer returns a server whose sessions are workers of the actor system. It
// serves at once; [Server.Stop] ends it, and so does the worker of
// [Server.Props]. Options that cannot be meant are all in one error, each an
// [*actors.OptionError].
func NewServer(system *actor.ActorSystem, o Options) (*Server, error) {
	errs := o.listMistakes()
	if system == nil {
		errs = append(errs, &actors.OptionError{Of: "socketio: NewServer", Field: "system", Why: "is missing"})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	srv := &Server{
		opts: o.resolved(), system: system, root: system.Root,
		namespaces: map[string]*Namespace{}, sessions: map[*session]struct{}{}, starting: map[string]*session{},
		name: "socketio-" + system.ProcessRegistry.NextId() + "/", id: engineio.NewID()[:8],
	}
	srv.lastAckID.Store(rand.Uint32())
	e := srv.opts.engine()
	e.Connect = srv.connect
	srv.eio = engineio.NewServer(e)
	srv.props = actors.Props(srv.setup, actors.EventLoop(actors.Options{StopGrace: unwindGrace, Logger: o.Logger}))
	srv.main = srv.Of("/")
	registryOf(system).add(srv)
	return srv, nil
}

// ServeHTTP serves the requests of Socket.IO clients.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { srv.eio.ServeHTTP(w, r) }

func (srv *Server) registrar() *Namespace { return srv.main }

// Of returns the namespace of that name, and makes it if there is none: from
// then on clients may connect to it. The name begins with a slash, and is at most
// 256 bytes of UTF-8 without "," and "?", which end it in a packet.
func (srv *Server) Of(name string) *Namespace {
	if name == "" {
		name = "/"
	}
	if name[0] != '/' {
		panic(fmt.Sprintf("socketio: Of: namespace %q does not begin with a slash", name))
	}
	if !parser.ValidNamespace(name) {
		panic(fmt.Sprintf("socketio: Of: no client can connect to namespace %q: a name is at most 256 bytes of UTF-8 without \",\" and \"?\"", name))
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	n := srv.namespaces[name]
	if n == nil {
		n = newNamespace(srv, name)
		srv.namespaces[name] = n
	}
	return n
}

func (srv *Server) lookup(name string) *Namespace {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	return srv.namespaces[name]
}

// OnConnect is [Namespace.OnConnect] of the main namespace.
func (srv *Server) OnConnect(h func(t *actors.Task, s *Socket) error) { srv.main.OnConnect(h) }

// OnDisconnect is [Namespace.OnDisconnect] of the main namespace.
func (srv *Server) OnDisconnect(h func(t *actors.Task, s *Socket, reason Reason)) {
	srv.main.OnDisconnect(h)
}

// Use is [Namespace.Use] of the main namespace.
func (srv *Server) Use(m func(t *actors.Task, s *Socket) error) { srv.main.Use(m) }

// Emit is [Namespace.Emit] of the main namespace.
func (srv *Server) Emit(event string, args ...any) error { return srv.main.Emit(event, args...) }

// To is [Namespace.To] of the main namespace.
func (srv *Server) To(rooms ...string) Broadcast { return srv.main.To(rooms...) }

// Except is [Namespace.Except] of the main namespace.
func (srv *Server) Except(rooms ...string) Broadcast { return srv.main.Except(rooms...) }

// Volatile is [Namespace.Volatile] of the main namespace.
func (srv *Server) Volatile() Broadcast { return srv.main.Volatile() }

// SocketsJoin is [Namespace.SocketsJoin] of the main namespace.
func (srv *Server) SocketsJoin(rooms ...string) error { return srv.main.SocketsJoin(rooms...) }

// SocketsLeave is [Namespace.SocketsLeave] of the main namespace.
func (srv *Server) SocketsLeave(rooms ...string) { srv.main.SocketsLeave(rooms...) }

// DisconnectSockets is [Namespace.DisconnectSockets] of the main namespace.
func (srv *Server) DisconnectSockets(closeSessions bool) { srv.main.DisconnectSockets(closeSessions) }

// Namespaces returns the namespaces that there are, by name.
func (srv *Server) Namespaces() []*Namespace {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	return slices.SortedFunc(maps.Values(srv.namespaces), func(a, b *Namespace) int { return strings.Compare(a.name, b.name) })
}

// Sockets is [Namespace.Sockets] of the main namespace.
func (srv *Server) Sockets() []*Socket { return srv.main.Sockets() }

// Socket is [Namespace.Socket] of the main namespace.
func (srv *Server) Socket(id string) *Socket { return srv.main.Socket(id) }

// spawn starts the worker of a session. It does not wait for its setup, which
// registers one handler.
func (srv *Server) spawn(c *session) (*actor.PID, error) {
	srv.mu.Lock()
	srv.spawned++
	name := srv.name + strconv.FormatUint(srv.spawned, 10)
	srv.starting[name] = c
	srv.mu.Unlock()
	pid, err := srv.root.SpawnNamed(srv.props, name)
	if err != nil {
		srv.mu.Lock()
		delete(srv.starting, name)
		srv.mu.Unlock()
		return nil, fmt.Errorf("socketio: the session's worker: %w", err)
	}
	return pid, nil
}

// setup is that of a session's worker.
func (srv *Server) setup(w *actors.Worker) error {
	name := w.Self().Id
	srv.mu.RLock()
	c := srv.starting[name]
	srv.mu.RUnlock()
	if c == nil {
		return fmt.Errorf("socketio: worker %s has no session: %w", name, supervision.ErrDoNotRestart)
	}
	actors.On(w, onExclusive, actors.Exclusive())
	w.OnStop(func(t *actors.Task) error {
		if restarts(t) {
			return nil
		}
		srv.mu.Lock()
		delete(srv.starting, name)
		srv.mu.Unlock()
		c.mu.Lock()
		if c.in.running > 0 {
			c.cut.Store(true)
		}
		c.mu.Unlock()
		c.disconnectLeft(t)
		return nil
	})
	return nil
}

// remember makes a session known, and reports whether it came too late.
func (srv *Server) remember(c *session) (stopping bool) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.sessions[c] = struct{}{}
	srv.lastID++
	c.number = srv.lastID
	return srv.stop != nil
}

// forget is called once for each session, when nothing of it is left.
func (srv *Server) forget(c *session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.sessions, c)
	if srv.stop != nil {
		srv.stop.lost(c)
	}
}

func (srv *Server) clientIP(r *http.Request) string {
	if srv.opts.ClientIP != nil {
		return srv.opts.ClientIP(r)
	}
	return engineio.RemoteIP(r)
}

func (srv *Server) logger() *slog.Logger {
	if srv.opts.Logger != nil {
		return safelog.Contain(srv.opts.Logger)
	}
	return safelog.Contain(srv.system.Logger())
}
