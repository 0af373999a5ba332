// SPDX-License-Identifier: Apache-2.0

package nats_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest/nettest"
	"github.com/protoloop/protoloop/grid/nats"
)

func TestMain(m *testing.M) { actortest.Main(m) }

// startServer starts a server on loopback, at any port if o says none.
func startServer(t testing.TB, o server.Options) *server.Server {
	t.Helper()
	o.Host, o.NoSigs, o.NoLog = "127.0.0.1", true, true
	if o.Port == 0 {
		o.Port = -1
	}
	var s *server.Server
	actortest.Eventually(t, "the server to be ready", func() (ready bool) { // a client that dials may have its port for a moment
		var err error
		if s, err = server.NewServer(o.Clone()); err != nil {
			t.Fatal(err)
		}
		s.Start()
		if ready = s.ReadyForConnections(10 * time.Second); !ready {
			s.Shutdown()
			s.WaitForShutdown()
		}
		return ready
	})
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

var quiet = slog.New(slog.DiscardHandler)

// connect connects as a node of the cluster "shop" does. A test on a slow machine is not to lose its connection
// because nobody has answered a ping.
func connect(t testing.TB, o nats.Options) *nats.Net {
	t.Helper()
	if o.Cluster == "" {
		o.Cluster = "shop"
	}
	if o.Logger == nil {
		o.Logger = quiet
	}
	if o.Ping == 0 {
		o.Ping = time.Minute
	}
	o.Timeout = time.Minute
	n, err := nats.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

// TestSuite: it is a network as package grid wants it.
func TestSuite(t *testing.T) { nettest.Run(t, ofOneServer) }

// TestTopicSuite: so are its topics.
func TestTopicSuite(t *testing.T) { nettest.RunTopics(t, ofOneServer) }

// TestSuiteOfServers: the nodes are connected to one of two servers each.
func TestSuiteOfServers(t *testing.T) { nettest.Run(t, ofTwoServers) }

// TestTopicSuiteOfServers: and what is published goes from one to the other.
func TestTopicSuiteOfServers(t *testing.T) { nettest.RunTopics(t, ofTwoServers) }

var ofOneServer = nettest.Options{New: func(t *testing.T) func(string) grid.Net {
	s := startServer(t, server.Options{})
	return func(string) grid.Net { return connect(t, nats.Options{URL: s.ClientURL()}) }
}}

var ofTwoServers = nettest.Options{New: func(t *testing.T) func(string) grid.Net {
	first := startServer(t, server.Options{ServerName: "first", Cluster: server.ClusterOpts{Name: "shop", Host: "127.0.0.1", Port: -1}})
	second := startServer(t, server.Options{
		ServerName: "second", Cluster: server.ClusterOpts{Name: "shop", Host: "127.0.0.1", Port: -1},
		Routes: server.RoutesFromStr("nats://" + first.ClusterAddr().String()),
	})
	actortest.Eventually(t, "the servers to know each other", func() bool { return first.NumRoutes() > 0 && second.NumRoutes() > 0 })
	urls, i := []string{first.ClientURL(), second.ClientURL()}, 0
	return func(string) grid.Net {
		i++
		return connect(t, nats.Options{URL: urls[i%2]})
	}
}}
