// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid/etcd/embedded"
	"github.com/protoloop/protoloop/internal/testtools"
)

// serverVariable has the serverOptions of a process.
const serverVariable = "PROTOLOOP_TEST_ETCD"

type serverOptions struct {
	embedded.Options
	Verbose bool // it logs
}

func TestMain(m *testing.M) {
	if !testtools.ChildOf(serverVariable, serve) {
		actortest.Main(m)
	}
}

// serve is a server process.
func serve(o serverOptions) (string, func(), error) {
	if !o.Verbose {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	srv, err := embedded.Start(o.Options)
	if err != nil {
		return "", nil, err
	}
	go func() {
		if err := <-srv.Failed(); err != nil {
			panic(err)
		}
	}()
	return "", srv.Shutdown, nil
}

// cluster is three server processes.
type cluster struct {
	*testing.T
	processes []*process
}

type process struct {
	*testtools.Process
	o serverOptions
}

// startCluster starts three. Their addresses have to be known before they are, so they listen at a fixed port of an address of
// this machine that nobody else has.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("a cluster of processes")
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8")
	}
	c := &cluster{T: t}
	host := fmt.Sprintf("127.%d.%d.", 1+rand.N(250), rand.N(250))
	servers := map[string]string{}
	for i := range 3 {
		name := fmt.Sprint("server-", i)
		servers[name] = fmt.Sprint(host, i+1, ":2380")
		c.processes = append(c.processes, &process{o: serverOptions{
			Options: embedded.Options{Dir: t.TempDir(), Name: name, ClientAddr: fmt.Sprint(host, i+1, ":2379"), Servers: servers, StartWithin: 10 * time.Minute},
			Verbose: testing.Verbose(),
		}})
	}
	c.startAll()
	return c
}

func (c *cluster) startAll() {
	c.Helper()
	for _, p := range c.processes {
		c.start(p)
	}
	for _, p := range c.processes {
		p.Ready()
	}
}

// start starts a server that has not been started, or was killed. It is ready when there are enough of them.
func (c *cluster) start(p *process) {
	c.Helper()
	p.Process = testtools.SpawnUnraced(c, serverVariable, p.o)
}

// connect is a client of all servers.
func (c *cluster) connect() *clientv3.Client {
	c.Helper()
	var endpoints []string
	for _, p := range c.processes {
		endpoints = append(endpoints, "http://"+p.o.ClientAddr)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop(), DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 2 * time.Second})
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { client.Close() })
	return client
}

// leader is the process that leads the others, as some server says.
func (c *cluster) leader() *process {
	c.Helper()
	client := c.connect()
	var leader *process
	eventually(c.T, "there is a leader", func(ctx context.Context) error {
		for _, p := range c.processes {
			if p.Ended() {
				continue
			}
			status, err := client.Status(ctx, "http://"+p.o.ClientAddr)
			if err != nil {
				return err
			}
			if status.Header.MemberId == status.Leader {
				leader = p
				return nil
			}
		}
		return errors.New("none of them leads")
	})
	return leader
}

// eventually tries what cannot be done before the servers have elected who leads them.
func eventually(t *testing.T, what string, f func(ctx context.Context) error) {
	t.Helper()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := f(ctx)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
