package jetstream

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// ServerOptions are those of a server within the process.
type ServerOptions struct {
	// Dir is the folder of the files. It is made if it does not exist.
	Dir string
	// SyncAlways has each write reach the disk before it is confirmed. Without
	// it what was confirmed survives the end of the process, kill -9 included,
	// and at a loss of power up to the last two minutes can be lost.
	SyncAlways bool
}

// Server is a NATS server with JetStream within the process. It listens on no
// port.
type Server struct{ s *server.Server }

// startWithin bounds the start of a server, which reads its files.
const startWithin = 30 * time.Second

// StartServer starts a server and waits until it is ready. A Dir can have one
// server at a time.
func StartServer(o ServerOptions) (*Server, error) {
	if o.Dir == "" {
		return nil, errors.New("jetstream: ServerOptions.Dir is empty")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("jetstream: start the server: %w", err)
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "protoloop", DontListen: true, JetStream: true, StoreDir: o.Dir,
		SyncAlways: o.SyncAlways, NoSigs: true, NoLog: true,
	})
	if err != nil {
		return nil, fmt.Errorf("jetstream: start the server: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(startWithin) || !s.JetStreamEnabled() {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("jetstream: the server on %s is not ready after %v, or cannot use that folder", o.Dir, startWithin)
	}
	return &Server{s}, nil
}

// Connect connects to the server. opts are added to those of [Connect].
func (s *Server) Connect(opts ...nats.Option) (*nats.Conn, error) {
	return Connect("", append([]nats.Option{nats.InProcessServer(s.s)}, opts...)...)
}

// Shutdown stops the server and waits until its files are written. Close
// connections to it first.
func (s *Server) Shutdown() {
	s.s.Shutdown()
	s.s.WaitForShutdown()
}

// Connect connects to a server or cluster outside, by a URL such as
// nats://host:4222. Unlike [nats.Connect] it does not give up reconnecting,
// and fails what is published meanwhile: a queue tells its caller rather than
// to keep messages in memory.
func Connect(url string, opts ...nats.Option) (*nats.Conn, error) {
	all := append([]nats.Option{
		nats.Name("protoloop"), nats.MaxReconnects(-1), nats.ReconnectWait(time.Second),
		nats.ReconnectJitter(500*time.Millisecond, time.Second), nats.ReconnectBufSize(-1),
		nats.PingInterval(20 * time.Second),
	}, opts...)
	nc, err := nats.Connect(url, all...)
	if err != nil {
		return nil, fmt.Errorf("jetstream: connect to %q: %w", url, err)
	}
	return nc, nil
}
