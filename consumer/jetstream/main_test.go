// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/consumertest"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/consumer/jetstream/embedded"
)

// The test binary is a NATS server itself when it is started with these.
const (
	dirVariable     = "PROTOLOOP_TEST_NATS_DIR"
	addrVariable    = "PROTOLOOP_TEST_NATS_ADDR"
	nameVariable    = "PROTOLOOP_TEST_NATS_NAME"    // of a cluster's server
	clusterVariable = "PROTOLOOP_TEST_NATS_CLUSTER" // where it listens to the others
	routesVariable  = "PROTOLOOP_TEST_NATS_ROUTES"  // where the others do, with commas between
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirVariable); dir != "" {
		serve(dir)
		return
	}
	actortest.Main(m)
}

// serve is a server process: it ends when it is killed. It prints where it
// listens, to clients and to the others of its cluster.
func serve(dir string) {
	o := &server.Options{JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true}
	o.Host, o.Port = hostPort(os.Getenv(addrVariable))
	if name := os.Getenv(nameVariable); name != "" {
		o.ServerName = name
		o.Cluster.Name = "protoloop"
		o.Cluster.Host, o.Cluster.Port = hostPort(os.Getenv(clusterVariable))
		o.Routes = server.RoutesFromStr(os.Getenv(routesVariable))
	}
	s, err := server.NewServer(o)
	if err != nil {
		panic(err)
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		panic("the server is not ready")
	}
	fmt.Println(s.Addr(), s.ClusterAddr())
	s.WaitForShutdown()
}

// hostPort takes addr apart. Without one the port is any that is free, which is
// the server's own to find: one that somebody else has found may be taken by
// then.
func hostPort(addr string) (string, int) {
	if addr == "" {
		return "127.0.0.1", server.RANDOM_PORT
	}
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		panic(err)
	}
	return a.IP.String(), a.Port
}

// process is a server in a process of its own.
type process struct {
	t             *testing.T
	dir, addr     string
	name, cluster string   // of a cluster's server
	routes        []string // … to the others
	cmd           *exec.Cmd
}

func startProcess(t *testing.T) *process {
	t.Helper()
	p := &process{t: t, dir: t.TempDir()}
	p.start()
	t.Cleanup(p.kill)
	return p
}

// start starts the server, at its former addresses if it had any.
func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), dirVariable+"="+p.dir, addrVariable+"="+p.addr,
		nameVariable+"="+p.name, clusterVariable+"="+p.cluster, routesVariable+"="+strings.Join(p.routes, ","))
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	var addr, cluster string
	if _, err := fmt.Fscanln(out, &addr, &cluster); err != nil {
		p.t.Fatalf("the server process said %q, %v", addr, err)
	}
	p.addr = addr
	if p.name != "" {
		p.cluster = cluster
	}
}

// kill is kill -9.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Error(err)
	}
	_ = p.cmd.Wait() // it says that it was killed
	p.cmd = nil
}

// connectEmbedded starts a server within the process and connects to it.
func connectEmbedded(t testing.TB, dir string) *nats.Conn {
	t.Helper()
	srv, err := embedded.Start(embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	nc, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// under is a queue as the suite wants it.
func under(t *testing.T, nc *nats.Conn, lease time.Duration) consumertest.Queue {
	t.Helper()
	q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS", Lease: lease, Wait: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return consumertest.Queue{
		Open: q.Open, Send: q.Send, Lease: lease, Largest: int(nc.MaxPayload()),
		Len:  func(ctx context.Context) (int, error) { return lenOf(ctx, nc, "ITEMS") },
		Dead: deadLetters(t, nc),
	}
}

// lenOf is how many messages are in a stream.
func lenOf(ctx context.Context, nc *nats.Conn, stream string) (int, error) {
	js, err := natsjs.New(nc)
	if err != nil {
		return 0, err
	}
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	return int(s.CachedInfo().State.Msgs), nil
}

// deadLetters are what a queue on the stream of them gives, so far.
func deadLetters(t *testing.T, nc *nats.Conn) func(ctx context.Context) ([]consumer.Message, error) {
	q, err := jetstream.New(nc, jetstream.Options{Name: "ITEMS_DEAD", NoDeadLetters: true, Lease: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var ms []consumer.Message
	return func(ctx context.Context) ([]consumer.Message, error) {
		src, err := q.Open(ctx)
		if err != nil {
			return nil, err
		}
		within, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		for within.Err() == nil {
			got, err := src.Receive(within, 100)
			if err != nil && within.Err() == nil {
				return nil, err
			}
			for _, m := range got {
				ms = append(ms, *m)
			}
			if len(got) > 0 {
				if err := src.Ack(ctx, got); err != nil {
					return nil, err
				}
			}
		}
		return ms, src.Close(ctx)
	}
}
