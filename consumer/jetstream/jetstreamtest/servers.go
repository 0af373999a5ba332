// SPDX-License-Identifier: Apache-2.0

// Package jetstreamtest starts servers of NATS JetStream in processes of their own, for tests of what happens when one is killed. Such
// a process is the test binary once more:
//
//	func TestMain(m *testing.M) {
//		if !jetstreamtest.IsServer() {
//			os.Exit(m.Run())
//		}
//	}
package jetstreamtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/internal/testtools"
)

// serverVariable has the options of a process.
const serverVariable = "PROTOLOOP_TEST_JETSTREAM"

// options are those of a process.
type options struct {
	Dir         string
	Name        string   // of a cluster's; empty: it is alone
	Addr        string   // where it listens to clients; empty: anywhere
	ClusterAddr string   // … to the others, likewise
	Routes      []string // to the others
}

// IsServer is what TestMain begins with. In the process of a server it returns true when that is to end.
func IsServer() bool { return testtools.ChildOf(serverVariable, serve) }

// startWithin is for a machine that is very slow.
const startWithin = 5 * time.Minute

func serve(of options) (says string, stop func(), err error) {
	o := &server.Options{JetStream: true, StoreDir: of.Dir, NoSigs: true, NoLog: true}
	if o.Host, o.Port, err = hostPort(of.Addr); err != nil {
		return "", nil, err
	}
	if of.Name != "" {
		o.ServerName, o.Cluster.Name = of.Name, "protoloop"
		if o.Cluster.Host, o.Cluster.Port, err = hostPort(of.ClusterAddr); err != nil {
			return "", nil, err
		}
		o.Routes = server.RoutesFromStr(strings.Join(of.Routes, ","))
	}
	s, err := server.NewServer(o)
	if err != nil {
		return "", nil, err
	}
	s.Start()
	if !s.ReadyForConnections(startWithin) {
		return "", nil, errors.New("the server is not ready")
	}
	if of.Name != "" {
		says = s.ClusterAddr().String()
	}
	return fmt.Sprint(s.Addr(), " ", says), s.Shutdown, nil
}

// hostPort takes addr apart. Without one the port is any that is free.
func hostPort(addr string) (string, int, error) {
	if addr == "" {
		port, err := testtools.FreePorts(1)
		return "127.0.0.1", port, err
	}
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return "", 0, err // it is a server's own
	}
	return a.IP.String(), a.Port, nil
}

// Server is a server with a folder of its own. It is killed when its test ends.
type Server struct {
	t testing.TB
	o options
	p *testtools.Process
	c *Cluster // nil: it is alone
}

// StartServer starts one that is alone.
func StartServer(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, o: options{Dir: t.TempDir()}}
	s.Start()
	return s
}

// Start starts a server that was killed, at its former addresses and with its folder.
func (s *Server) Start() {
	s.t.Helper()
	s.o.Routes = nil
	if s.c != nil {
		for _, other := range s.c {
			if other != nil && other != s {
				s.o.Routes = append(s.o.Routes, "nats://"+other.o.ClusterAddr)
			}
		}
	}
	s.p = testtools.Spawn(s.t, serverVariable, s.o)
	s.o.Addr, s.o.ClusterAddr, _ = strings.Cut(s.p.Ready(), " ")
}

// Kill is kill -9.
func (s *Server) Kill() { s.p.Kill() }

// Addr is where it listens to clients, as host:port.
func (s *Server) Addr() string { return s.o.Addr }

// Name is what a cluster's server is called in JetStream.
func (s *Server) Name() string { return s.o.Name }

// Cluster is three servers: the fewest of which one can be lost.
type Cluster [3]*Server

// StartCluster starts one. With -short the test is skipped: a cluster takes seconds for each election.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("a cluster takes seconds for each election")
	}
	c := new(Cluster)
	for i := range c {
		s := &Server{t: t, o: options{Dir: t.TempDir(), Name: fmt.Sprint("server-", i)}, c: c}
		s.Start()
		c[i] = s
	}
	return c
}

// URL is that of the whole cluster, as a user writes it.
func (c *Cluster) URL() string {
	var all []string
	for _, s := range c {
		all = append(all, "nats://"+s.o.Addr)
	}
	return strings.Join(all, ",")
}

// Find is the server of a name or an address; nil: there is none.
func (c *Cluster) Find(nameOrAddr string) *Server {
	for _, s := range c {
		if nameOrAddr != "" && (nameOrAddr == s.o.Addr || nameOrAddr == s.o.Name) {
			return s
		}
	}
	return nil
}

// Leader is the server that leads a stream.
func (c *Cluster) Leader(ctx context.Context, t testing.TB, js jetstream.JetStream, stream string) (leader *Server) {
	t.Helper()
	Patiently(ctx, t, "find who leads "+stream, func(ctx context.Context) error {
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		of := s.CachedInfo().Cluster
		if of != nil {
			leader = c.Find(of.Leader)
		}
		if leader == nil {
			return fmt.Errorf("%+v", of)
		}
		return nil
	})
	return leader
}

// Patiently tries what a cluster cannot do before it has elected who leads it. Each try has a context of five seconds.
func Patiently(ctx context.Context, t testing.TB, what string, f func(ctx context.Context) error) {
	t.Helper()
	for {
		within, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := f(within)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
