// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid/etcd/embedded"
)

// The test binary is a server of a cluster when it is started with these.
const (
	dirVariable     = "PROTOLOOP_TEST_ETCD_DIR"
	nameVariable    = "PROTOLOOP_TEST_ETCD_NAME"
	clientVariable  = "PROTOLOOP_TEST_ETCD_CLIENT"  // where it listens to clients
	serversVariable = "PROTOLOOP_TEST_ETCD_SERVERS" // name=address, with commas between
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirVariable); dir != "" {
		serve(dir)
		return
	}
	actortest.Main(m)
}

// serve is a server process. It prints a line when it is ready, and ends when it is killed, or whoever has started it.
func serve(dir string) {
	o := embedded.Options{Dir: dir, Name: os.Getenv(nameVariable), ClientAddr: os.Getenv(clientVariable), StartWithin: 10 * time.Minute}
	if o.Name != "" {
		o.Servers = map[string]string{}
	}
	for _, server := range strings.Split(os.Getenv(serversVariable), ",") {
		if name, addr, is := strings.Cut(server, "="); is {
			o.Servers[name] = addr
		}
	}
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1)) // it ends with the other end of the pipe
		os.Exit(0)
	}()
	srv, err := embedded.Start(o)
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	panic(<-srv.Failed())
}

// cluster is three server processes.
type cluster struct {
	*testing.T
	processes []*process
	servers   string
}

type process struct {
	name, dir, client string
	cmd               *exec.Cmd
	ready             chan error
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
	var servers []string
	for i := range 3 {
		p := &process{name: fmt.Sprint("server-", i), dir: t.TempDir(), client: fmt.Sprint(host, i+1, ":2379")}
		servers = append(servers, fmt.Sprint(p.name, "=", host, i+1, ":2380"))
		c.processes = append(c.processes, p)
		t.Cleanup(func() { c.kill(p) })
	}
	c.servers = strings.Join(servers, ",")
	c.startAll()
	return c
}

func (c *cluster) startAll() {
	c.Helper()
	for _, p := range c.processes {
		c.start(p)
	}
	for _, p := range c.processes {
		c.isReady(p)
	}
}

// start starts a server that has not been started, or was killed. It is ready when there are enough of them.
func (c *cluster) start(p *process) {
	c.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), dirVariable+"="+p.dir, nameVariable+"="+p.name, clientVariable+"="+p.client, serversVariable+"="+c.servers)
	if testing.Verbose() {
		p.cmd.Stderr = os.Stderr
	}
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		_, err = p.cmd.StdinPipe() // which is closed at the end of this process
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		c.Fatalf("%s: %v", p.name, err)
	}
	p.ready = make(chan error, 1)
	go func() {
		_, err := fmt.Fscanln(out, new(string))
		p.ready <- err
	}()
}

func (c *cluster) isReady(p *process) {
	c.Helper()
	if err := <-p.ready; err != nil {
		c.Fatalf("%s has ended before it was ready: %v", p.name, err)
	}
}

// kill is kill -9.
func (c *cluster) kill(p *process) {
	if p.cmd == nil {
		return
	}
	if err := p.cmd.Process.Kill(); err != nil {
		c.Error(err)
	}
	_ = p.cmd.Wait() // it says that it was killed
	p.cmd = nil
}

func (c *cluster) signal(p *process, s syscall.Signal) {
	c.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		c.Fatal(err)
	}
}

// connect is a client of all servers.
func (c *cluster) connect() *clientv3.Client {
	c.Helper()
	var endpoints []string
	for _, p := range c.processes {
		endpoints = append(endpoints, "http://"+p.client)
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
			if p.cmd == nil {
				continue
			}
			status, err := client.Status(ctx, "http://"+p.client)
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
