// SPDX-License-Identifier: Apache-2.0

// Package embedded is a NATS server with JetStream within the process, with
// file storage and no port, for the queues of
// [github.com/protoloop/protoloop/consumer/jetstream]:
//
//	srv, err := embedded.Start(embedded.Options{Dir: "data"})
//	nc, err := srv.Connect()
//	q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS"})
//
// It is a package of its own because it links the whole server. A program that
// only connects to a server outside links the client alone.
//
// What the server finds wrong with its files it tells Options.Logger, and goes
// on with what is left. Of a block that is cut or changed it may say nothing, or
// not start.
package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/internal/dirlock"
	"github.com/protoloop/protoloop/internal/safelog"
)

// Options of a server. Only Dir is required.
type Options struct {
	// Dir is the folder of the files. It is made if it does not exist.
	Dir string
	// SyncAlways has each write reach the disk before it is confirmed. Without
	// it what was confirmed survives the end of the process, kill -9 included,
	// and at a loss of power up to the last two minutes can be lost.
	SyncAlways bool
	// StartWithin bounds the start, in which the server reads its files. 0:
	// 30 s.
	StartWithin time.Duration
	// Logger is told the server's warnings and errors, such as that a file is
	// damaged and what was in it is lost. nil: slog.Default().
	Logger *slog.Logger
}

// Server is a server that runs.
type Server struct {
	s      *server.Server
	unlock func()
}

// Start starts a server and waits until it is ready. A Dir can have one
// server at a time, of all processes: until that has shut down, or its process has
// ended, another start fails at once. For that there is a file named lock in the Dir.
// Where the system is no Unix, other processes are not kept off.
//
// A start that takes too long, as one on damaged files may that never ends,
// cannot be cut off: it is abandoned, and as long as it goes on the Dir is
// refused to others.
func Start(o Options) (*Server, error) {
	if o.Dir == "" {
		return nil, &actors.OptionError{Of: "embedded: Start", Field: "Options.Dir", Why: "is missing"}
	}
	o.StartWithin = cmp.Or(o.StartWithin, 30*time.Second)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	dir, err := filepath.Abs(o.Dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("embedded: start the server: %w", err)
	}
	unlock, err := dirlock.Lock(dir)
	if errors.Is(err, dirlock.ErrInUse) {
		err = fmt.Errorf("%w by another server, or by one whose start has not ended; then its files may be damaged", err)
	}
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "protoloop", DontListen: true, JetStream: true, StoreDir: dir,
		SyncAlways: o.SyncAlways, NoSigs: true, NoLog: true,
	})
	if err != nil {
		unlock()
		return nil, fmt.Errorf("embedded: start the server: %w", err)
	}
	log := &serverLog{l: safelog.Contain(o.Logger).With("dir", o.Dir)}
	s.SetLoggerV2(log, false, false, false)
	return start(s, o, log, unlock)
}

// start starts s. If it does not come up its folder is unlocked when it has ended, be it
// long after start has returned.
func start(s *server.Server, o Options, log *serverLog, unlock func()) (*Server, error) {
	ready := make(chan bool)
	late, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		s.Start()
		ok := !log.gaveUp() && s.ReadyForConnections(o.StartWithin) && s.JetStreamEnabled()
		select {
		case ready <- ok:
		case <-late:
			ok = false
		}
		if !ok {
			(&Server{s, unlock}).Shutdown()
		}
	}()
	timer := time.NewTimer(o.StartWithin)
	defer timer.Stop()
	select {
	case ok := <-ready:
		<-ended
		if ok {
			return &Server{s, unlock}, nil
		}
		return nil, fmt.Errorf("embedded: the server cannot use %s: %s", o.Dir, cmp.Or(log.lastError(), "it does not say why"))
	case <-timer.C:
		close(late)
		return nil, fmt.Errorf("embedded: the server on %s is not ready after %v; its files may be damaged", o.Dir, o.StartWithin)
	}
}

// Connect connects to the server. opts are added to those of [jetstream.Connect].
func (s *Server) Connect(opts ...nats.Option) (*nats.Conn, error) {
	return jetstream.Connect("", append([]nats.Option{nats.InProcessServer(s.s)}, opts...)...)
}

// Health is what is wrong with the server, as its own health check says, or nil.
// A server that cannot write, because the disk is full, switches JetStream or a
// stream off, and on again only when it is started anew.
func (s *Server) Health() error {
	h := s.s.Healthz(&server.HealthzOptions{})
	if h.Error == "" && h.StatusCode < 300 {
		return nil
	}
	return fmt.Errorf("embedded: the server is %s: %s", h.Status, h.Error)
}

// Shutdown stops the server and waits until its files are written. Close
// connections to it first.
func (s *Server) Shutdown() {
	s.s.Shutdown()
	s.s.WaitForShutdown()
	s.unlock()
}
