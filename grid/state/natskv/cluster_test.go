// SPDX-License-Identifier: Apache-2.0

package natskv_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	protojs "github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/grid/state"
	"github.com/protoloop/protoloop/grid/state/statetest"
	"github.com/protoloop/protoloop/internal/testtools"
)

// serverVariable has the serverOptions of a process.
const serverVariable = "PROTOLOOP_TEST_NATSKV"

type serverOptions struct {
	Name, Dir   string
	Addr        string // where it listens to clients; empty: anywhere
	ClusterAddr string // … to the others
	Routes      []string
}

func TestMain(m *testing.M) {
	if !testtools.ChildOf(serverVariable, serve) {
		actortest.Main(m)
	}
}

// serve is a server process. It says where it listens.
func serve(of serverOptions) (string, func(), error) {
	o := &server.Options{JetStream: true, StoreDir: of.Dir, NoSigs: true, NoLog: true, ServerName: of.Name}
	o.Host, o.Port = hostPort(of.Addr)
	o.Cluster.Name = "protoloop"
	o.Cluster.Host, o.Cluster.Port = hostPort(of.ClusterAddr)
	o.Routes = server.RoutesFromStr(strings.Join(of.Routes, ","))
	s, err := server.NewServer(o)
	if err != nil {
		return "", nil, err
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return "", nil, errors.New("the server is not ready")
	}
	return fmt.Sprint(s.Addr(), " ", s.ClusterAddr()), s.Shutdown, nil
}

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

// cluster is three server processes, by their names.
type cluster struct {
	*testing.T
	servers map[string]*process
}

type process struct {
	*testtools.Process
	o serverOptions
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("a cluster takes seconds for each election")
	}
	c := &cluster{t, map[string]*process{}}
	for i := range 3 {
		c.start(fmt.Sprint("server-", i))
	}
	return c
}

// start starts a server, at its former addresses if it had any.
func (c *cluster) start(name string) {
	c.Helper()
	p := c.servers[name]
	if p == nil {
		p = &process{o: serverOptions{Name: name, Dir: c.TempDir()}}
		c.servers[name] = p
	}
	p.o.Routes = nil
	for other, q := range c.servers {
		if other != name {
			p.o.Routes = append(p.o.Routes, "nats://"+q.o.ClusterAddr)
		}
	}
	p.Process = testtools.Spawn(c, serverVariable, p.o)
	p.o.Addr, p.o.ClusterAddr, _ = strings.Cut(p.Ready(), " ")
}

// eventually tries what a cluster cannot do before it has elected who leads it.
func (c *cluster) eventually(what string, f func(ctx context.Context) error) {
	c.Helper()
	for {
		ctx, cancel := context.WithTimeout(c.Context(), 5*time.Second)
		err := f(ctx)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-c.Context().Done():
			c.Fatalf("%s: %v", what, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// bucket is a replicated one.
func (c *cluster) bucket() bucket {
	c.Helper()
	var urls []string
	for _, p := range c.servers {
		urls = append(urls, "nats://"+p.o.Addr)
	}
	nc, err := protojs.Connect(strings.Join(urls, ","), nats.Timeout(time.Minute))
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		c.Fatal(err)
	}
	var kv jetstream.KeyValue
	c.eventually("make the bucket", func(ctx context.Context) (err error) {
		kv, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "STATE", Replicas: 3})
		return err
	})
	return bucket{js, kv}
}

func TestCluster(t *testing.T) {
	c := startCluster(t)
	statetest.Run(t, store(t, c.bucket()))
}

// TestLeaderIsKilled kills the server that leads the bucket, twice, while owners save. No save that was
// acknowledged is missing or there twice, none is out of order, and a fenced owner saves nothing.
func TestLeaderIsKilled(t *testing.T) {
	c := startCluster(t)
	b := c.bucket()
	s := store(t, b)
	const keys = 8
	var acknowledged [keys]atomic.Int64
	stop := make(chan struct{})
	var all sync.WaitGroup
	stale := make([]state.Owner, keys)
	tokens := make([]uint64, keys)
	key := func(i int) string { return fmt.Sprint("key ", i) }
	for i := range keys {
		var o state.Owner
		var r state.Record
		c.eventually("open", func(ctx context.Context) (err error) {
			stale[i], r, err = s.Open(ctx, key(i))
			return err
		})
		tokens[i] = r.Token
		c.eventually("open again", func(ctx context.Context) (err error) {
			o, r, err = s.Open(ctx, key(i))
			return err
		})
		all.Go(func() {
			for seq := uint64(1); ; seq++ {
				select {
				case <-stop:
					return
				default:
				}
				w := state.Write{Token: r.Token, Seq: seq, Changes: [][]byte{fmt.Append(nil, seq)}}
				c.eventually("save", func(ctx context.Context) error {
					err := o.Save(ctx, w)
					if errors.Is(err, actors.ErrFenced) {
						t.Errorf("%s is fenced, and has no other owner: %v", key(i), err)
						return nil
					}
					return err
				})
				acknowledged[i].Store(int64(seq))
				time.Sleep(2 * time.Millisecond) // each save writes all changes before it, too
			}
		})
	}
	goOn := func(what string) {
		t.Helper()
		for i := range keys {
			before := acknowledged[i].Load()
			c.eventually(what, func(context.Context) error {
				if got := acknowledged[i].Load() - before; got < 10 {
					return fmt.Errorf("%s: %d saves", key(i), got)
				}
				return nil
			})
		}
	}
	fenced := func() {
		t.Helper()
		for i, o := range stale {
			c.eventually("be fenced", func(ctx context.Context) error {
				err := o.Save(ctx, state.Write{Token: tokens[i], Seq: 1, Snapshot: []byte("stale")})
				if err == nil {
					t.Errorf("a fenced owner of %s has saved", key(i))
				}
				if errors.Is(err, actors.ErrFenced) {
					return nil
				}
				return err
			})
		}
	}
	for range 2 {
		goOn("before the kill")
		var leader string
		c.eventually("find the leader", func(ctx context.Context) error {
			stream, err := b.Stream(ctx, "KV_STATE")
			if err != nil {
				return err
			}
			if info := stream.CachedInfo().Cluster; info != nil {
				leader = info.Leader
			}
			if c.servers[leader] == nil {
				return fmt.Errorf("%q leads", leader)
			}
			return nil
		})
		c.servers[leader].Kill()
		fenced()
		goOn("while it is away")
		c.start(leader)
		goOn("when it is back")
	}
	close(stop)
	all.Wait()
	fenced()
	for i := range keys {
		c.eventually("read", func(ctx context.Context) error {
			_, r, err := s.Open(ctx, key(i))
			if err != nil {
				return err
			}
			if got, want := int64(len(r.Changes)), acknowledged[i].Load(); got != want || r.Snapshot != nil {
				t.Errorf("%s: %d changes of %d that were acknowledged, a snapshot %q", key(i), got, want, r.Snapshot)
			}
			for n, change := range r.Changes {
				if string(change) != fmt.Sprint(n+1) {
					t.Errorf("%s: change %d is %q", key(i), n+1, change)
				}
			}
			return nil
		})
	}
	t.Log("acknowledged: ", acknowledged[0].Load(), " of the first key")
}

// gate is a connection whose reads wait until it is opened.
type gate struct {
	net.Conn
	closed *atomic.Pointer[chan struct{}] // nil: it is open
}

func (g gate) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if c := g.closed.Load(); c != nil {
		<-*c
	}
	return n, err
}

// Dial is that of a nats.CustomDialer.
func (g gate) Dial(network, addr string) (net.Conn, error) {
	conn, err := net.Dial(network, addr)
	g.Conn = conn
	return g, err
}

// TestManySaveAtATime: saves of many keys are on their way together. None waits for the answer of another.
func TestManySaveAtATime(t *testing.T) {
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	defer srv.WaitForShutdown()
	defer srv.Shutdown()
	if !srv.ReadyForConnections(time.Minute) {
		t.Fatal("the server is not ready")
	}
	connect := func(opts ...nats.Option) jetstream.JetStream {
		t.Helper()
		nc, err := protojs.Connect(srv.ClientURL(), append(opts, nats.Timeout(time.Minute))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		return js
	}
	g := gate{closed: new(atomic.Pointer[chan struct{}])}
	js, other := connect(nats.SetCustomDialer(g), nats.PingInterval(time.Hour)), connect()
	kv, err := js.CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "STATE"})
	if err != nil {
		t.Fatal(err)
	}
	s := store(t, bucket{js, kv})
	const n = 500
	owners, tokens := make([]state.Owner, n), make([]uint64, n)
	for i := range owners {
		o, r, err := s.Open(t.Context(), fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		owners[i], tokens[i] = o, r.Token
	}
	stored := func() uint64 {
		t.Helper()
		stream, err := other.Stream(t.Context(), "KV_STATE")
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().State.LastSeq
	}
	before := stored()
	closed := make(chan struct{})
	g.closed.Store(&closed)
	var all sync.WaitGroup
	for i, o := range owners {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // else the client's own, of seconds
			defer cancel()
			if err := o.Save(ctx, state.Write{Token: tokens[i], Seq: 1, Snapshot: []byte("x")}); err != nil {
				t.Error(err)
			}
		})
	}
	for stored() < before+n {
		select {
		case <-t.Context().Done():
			t.Fatalf("%d of %d saves are stored while none is answered", stored()-before, n)
		case <-time.After(time.Millisecond):
		}
	}
	close(closed)
	all.Wait()
	if got := stored() - before; got != n {
		t.Errorf("%d saves took %d writes", n, got)
	}
}
