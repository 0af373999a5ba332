// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/etcd"
	"github.com/protoloop/protoloop/grid/etcd/embedded"
)

// faulty is a client with faults. Set them while nothing is called.
type faulty struct {
	// unary is in the place of a call.
	unary func(ctx context.Context, method string, call func(context.Context) error) error
	// send is in the place of each message of a stream.
	send func(stream int, m any, send func(any) error) error
	// received is told each message that a stream has received.
	received func(stream int, m any)
	// streams counts those that were opened, by method.
	mu      sync.Mutex
	streams map[string]int
}

func (f *faulty) connect(t testing.TB, srv *embedded.Server) *clientv3.Client {
	t.Helper()
	return f.connectTo(t, srv.Endpoint())
}

func (f *faulty) connectTo(t testing.TB, endpoint string) *clientv3.Client {
	t.Helper()
	f.streams = map[string]int{}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop(), DialOptions: []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			call := func(ctx context.Context) error { return invoker(ctx, method, req, reply, cc, opts...) }
			if f.unary == nil {
				return call(ctx)
			}
			return f.unary(ctx, method, call)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			f.mu.Lock()
			f.streams[method]++
			n := f.streams[method]
			f.mu.Unlock()
			s, err := streamer(ctx, desc, cc, method, opts...)
			return faultyStream{s, f, n}, err
		}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

type faultyStream struct {
	grpc.ClientStream
	f *faulty
	n int // of its method
}

func (s faultyStream) SendMsg(m any) error {
	if s.f.send == nil {
		return s.ClientStream.SendMsg(m)
	}
	return s.f.send(s.n, m, s.ClientStream.SendMsg)
}

func (s faultyStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil && s.f.received != nil {
		s.f.received(s.n, m)
	}
	return err
}

const txn = "/etcdserverpb.KV/Txn"

var allShards = []int{0, 1, 2, 3}

func join(t testing.TB, store grid.Store, name string) grid.Session {
	t.Helper()
	s, err := store.Join(t.Context(), grid.Node{Name: name, Kinds: []string{"k"}, Shards: len(allShards)}, time.Hour)
	if err == nil {
		err = s.Renew(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func claim(t testing.TB, s grid.Session, shards ...int) map[int]grid.Token {
	t.Helper()
	tokens, err := s.Claim(t.Context(), shards)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// held is a faulty client that holds transactions back.
type held struct {
	faulty
	on   atomic.Bool
	mu   sync.Mutex
	late []func() error
}

func hold() *held {
	h := &held{}
	h.unary = func(ctx context.Context, method string, call func(context.Context) error) error {
		if method != txn || !h.on.Load() {
			return call(ctx)
		}
		h.mu.Lock()
		h.late = append(h.late, func() error { return call(context.WithoutCancel(ctx)) })
		h.mu.Unlock()
		<-ctx.Done()
		return ctx.Err()
	}
	return h
}

// giveUp makes a call that does not come to the server, and returns what lets it come there, and says whether it was taken.
func (h *held) giveUp(t *testing.T, call func(ctx context.Context) error) (come func()) {
	t.Helper()
	h.on.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- call(ctx) }()
	actortest.Eventually(t, "the call is held", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.late) > 0
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("a call that was given up: %v", err)
	}
	h.on.Store(false)
	h.mu.Lock()
	late := h.late
	h.late = nil
	h.mu.Unlock()
	return func() {
		t.Helper()
		for _, come := range late {
			must(t, come())
		}
	}
}

// TestCallsComeLate: what a node has given up comes to the server after its later calls, and changes nothing.
func TestCallsComeLate(t *testing.T) {
	srv := startServer(t)
	h := hold()
	a := join(t, newStore(t, h.connect(t, srv), "c"), "a")
	watching := newStore(t, connect(t, srv), "c")
	b := join(t, watching, "b")
	for _, again := range []bool{true, false} {
		come := h.giveUp(t, func(ctx context.Context) error { _, err := a.Claim(ctx, allShards); return err })
		if again {
			claim(t, a, 0)
		}
		must(t, a.Release(t.Context(), allShards))
		come()
		if got := claim(t, b, allShards...); len(got) != len(allShards) {
			t.Fatalf("a claim that came after a release has taken what is not in %v", got)
		}
		must(t, b.Release(t.Context(), allShards))
	}
	come := h.giveUp(t, func(ctx context.Context) error { return a.Release(ctx, allShards) })
	first := claim(t, a, allShards...)
	come()
	if got := claim(t, a, allShards...); !maps.Equal(got, first) || len(got) != len(allShards) {
		t.Fatalf("a release that came after a claim has left %v of %v", got, first)
	}
	come = h.giveUp(t, func(ctx context.Context) error { return a.Release(ctx, allShards) })
	must(t, a.Drain(t.Context()))
	come()
	if got := claim(t, a, allShards...); !maps.Equal(got, first) {
		t.Fatalf("a release that came after a drain has left %v of %v", got, first)
	}
	must(t, a.Release(t.Context(), allShards))
	come = h.giveUp(t, func(ctx context.Context) error { _, err := a.Claim(ctx, allShards); return err })
	must(t, a.Leave(t.Context()))
	come()
	if got := claim(t, b, allShards...); len(got) != len(allShards) {
		t.Fatalf("a claim that came after the end has taken what is not in %v", got)
	}
}

// TestShowComesLate: the first renewal does not undo a drain.
func TestShowComesLate(t *testing.T) {
	srv := startServer(t)
	h := hold()
	store := newStore(t, h.connect(t, srv), "c")
	s, err := store.Join(t.Context(), grid.Node{Name: "a", Shards: 4}, time.Hour)
	must(t, err)
	come := h.giveUp(t, s.Renew)
	must(t, s.Drain(t.Context()))
	come()
	must(t, s.Renew(t.Context()))
	if v := <-newStore(t, connect(t, srv), "c").View(); len(v.Nodes) != 1 || !v.Nodes[0].Draining {
		t.Errorf("%+v", v.Nodes)
	}
}

// TestAnswersAreLost: what is called again has the effect of one call.
func TestAnswersAreLost(t *testing.T) {
	srv := startServer(t)
	f := &faulty{}
	var lose atomic.Int64
	f.unary = func(ctx context.Context, method string, call func(context.Context) error) error {
		err := call(ctx)
		if err == nil && (method == txn || strings.HasPrefix(method, "/etcdserverpb.Lease/")) && lose.Add(-1) >= 0 {
			<-ctx.Done()
			return ctx.Err()
		}
		return err
	}
	store := newStore(t, f.connect(t, srv), "c")
	lose.Store(2) // of the lease, and of the session
	s, err := store.Join(t.Context(), grid.Node{Name: "a", Shards: 4}, time.Hour)
	must(t, err)
	lose.Store(1)
	must(t, s.Renew(t.Context()))
	other := newStore(t, connect(t, srv), "c")
	for v := range other.View() {
		if len(v.Nodes) == 1 && v.Nodes[0].Session == s.Node().Session {
			break
		}
	}
	lasting := join(t, store, "lasting")
	lose.Store(1)
	first := claim(t, lasting, allShards...)
	if got := claim(t, lasting, allShards...); len(got) != len(allShards) || !maps.Equal(got, first) {
		t.Errorf("%v, and then %v", first, got)
	}
	lose.Store(1)
	must(t, lasting.Release(t.Context(), allShards))
	lose.Store(1)
	must(t, lasting.Leave(t.Context()))
	if err := lasting.Leave(t.Context()); !errors.Is(err, actors.ErrFenced) {
		t.Error(err)
	}
	b := join(t, other, "b")
	if got := claim(t, b, allShards...); len(got) != len(allShards) {
		t.Error(got)
	}
}

// cut is a way to a server that can be cut.
type cut struct {
	net.Listener
	to string

	mu    sync.Mutex
	is    bool
	conns []net.Conn
	all   sync.WaitGroup
}

func cutTo(t *testing.T, srv *embedded.Server) *cut {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := &cut{Listener: l, to: srv.ClientAddr()}
	c.all.Go(c.run)
	t.Cleanup(func() {
		l.Close()
		c.cut()
		c.all.Wait()
	})
	return c
}

func (c *cut) run() {
	for {
		from, err := c.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", c.to)
		c.mu.Lock()
		if err != nil || c.is {
			from.Close()
			if err == nil {
				to.Close()
			}
			c.mu.Unlock()
			continue
		}
		c.conns = append(c.conns, from, to)
		c.mu.Unlock()
		for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
			c.all.Go(func() {
				_, _ = io.Copy(way[0], way[1])
				way[0].Close()
			})
		}
	}
}

func (c *cut) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.is = true
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

func (c *cut) heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.is = false
}

// compact removes all revisions but the last.
func compact(t *testing.T, client *clientv3.Client) {
	t.Helper()
	resp, err := client.Put(t.Context(), "any", "")
	must(t, err)
	_, err = client.Compact(t.Context(), resp.Header.Revision)
	must(t, err)
}

// TestCutOff: a node that was cut off, and of whose absence no revision is left, sees who is there, and is told what is free.
func TestCutOff(t *testing.T) {
	srv := startServer(t)
	c := cutTo(t, srv)
	client := connect(t, srv)
	log := &lines{}
	store, err := etcd.New((&faulty{}).connectTo(t, "http://"+c.Addr().String()), etcd.Options{Cluster: "c", Logger: slog.New(slog.NewTextHandler(log, nil))})
	must(t, err)
	defer store.Close()
	is := join(t, store, "a")
	owner := join(t, newStore(t, client, "c"), "owner")
	left := join(t, newStore(t, client, "c"), "left")
	claim(t, owner, 0, 1, 2)
	claim(t, left, 3)
	if got := claim(t, is, allShards...); len(got) > 0 {
		t.Fatal(got)
	}
	sees := func(sessions ...grid.Session) {
		t.Helper()
		var want, got []uint64
		for _, s := range sessions {
			want = append(want, s.Node().Session)
		}
		for !slices.Equal(want, got) {
			select {
			case v := <-store.View():
				got = nil
				for _, n := range v.Nodes {
					got = append(got, n.Session)
				}
			case <-t.Context().Done():
				t.Fatalf("it sees %v, and not %v", got, want)
			}
		}
	}
	isFree := func(shards ...int) {
		t.Helper()
		for range len(shards) {
			if shard := <-is.Free(); !slices.Contains(shards, shard) {
				t.Errorf("free is %d, not one of %v", shard, shards)
			}
		}
	}
	sees(is, owner, left)
	c.cut()
	must(t, owner.Release(t.Context(), []int{0, 1}))
	must(t, left.Leave(t.Context()))
	next := join(t, newStore(t, client, "c"), "next")
	claim(t, next, 1) // it was free in between
	compact(t, client)
	c.heal()
	sees(is, owner, next)
	isFree(0, 1, 3)
	if got := claim(t, is, allShards...); len(got) != 2 || got[0].Rev == 0 || got[3].Rev == 0 {
		t.Errorf("1 and 2 are others': %v", got)
	}
	c.cut()
	compact(t, client)
	c.heal()
	must(t, owner.Release(t.Context(), []int{2}))
	isFree(2)
	must(t, next.Release(t.Context(), []int{1}))
	isFree(1)
	if text := log.String(); !strings.Contains(text, "cannot be seen") || strings.Contains(text, "duplicate") {
		t.Errorf("logged: %s", text)
	}
}

// TestCompactedBeforeWatch: a compaction between the reading of the nodes and the begin of their watch.
func TestCompactedBeforeWatch(t *testing.T) {
	srv := startServer(t)
	client := connect(t, srv)
	f := &faulty{}
	var once sync.Once
	f.send = func(_ int, m any, send func(any) error) error {
		if r, is := m.(*etcdserverpb.WatchRequest); is && r.GetCreateRequest() != nil {
			once.Do(func() {
				join(t, newStore(t, client, "c"), "new")
				compact(t, client)
				compact(t, client)
			})
		}
		return send(m)
	}
	store := newStore(t, f.connect(t, srv), "c")
	for v := range store.View() {
		if len(v.Nodes) == 1 {
			break
		}
	}
	join(t, newStore(t, client, "c"), "newer")
	for v := range store.View() {
		if len(v.Nodes) == 2 {
			break
		}
	}
}

// TestQuietCluster: where nothing is written the server gives a sign of life when it is asked, to a store that has only begun, and
// to one that waits for shards. Without that the stream would be given up every three seconds, with a warning.
func TestQuietCluster(t *testing.T) {
	srv := startServer(t)
	f := &faulty{}
	var mu sync.Mutex
	var stream, asked, answered, before int // before: asked when the last watch was begun
	waits := false                          // for a shard
	of := func(n int) {
		if n > stream {
			stream, asked, answered, before, waits = n, 0, 0, 0, false
		}
	}
	f.send = func(n int, m any, send func(any) error) error {
		if r, is := m.(*etcdserverpb.WatchRequest); is {
			mu.Lock()
			of(n)
			switch {
			case r.GetProgressRequest() != nil:
				asked++
			case r.GetCreateRequest() != nil:
				before, waits = asked, r.GetCreateRequest().WatchId > 1
			}
			mu.Unlock()
		}
		return send(m)
	}
	f.received = func(n int, m any) {
		if r, is := m.(*etcdserverpb.WatchResponse); is && r.WatchId == clientv3.InvalidWatchID {
			mu.Lock()
			defer mu.Unlock()
			if of(n); n == stream {
				answered++
			}
		}
	}
	store := newQuietStore(t, f.connect(t, srv), "c") // on a machine that is slow it may warn
	actortest.Eventually(t, "a sign of life", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return answered > before
	})
	claim(t, join(t, newStore(t, connect(t, srv), "c"), "owner"), allShards...)
	claim(t, join(t, store, "waits"), allShards...)
	actortest.Eventually(t, "a sign of life while it waits for shards", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return waits && answered > before
	})
}

// TestStreams: many sessions of a store are renewed on one stream, and what they watch is on one.
func TestStreams(t *testing.T) {
	srv := startServer(t)
	f := &faulty{}
	client := f.connect(t, srv)
	const stores = 10
	sessions := 100
	if testing.Short() {
		sessions = 20
	}
	var all sync.WaitGroup
	for range stores {
		store := newStore(t, client, "c")
		all.Go(func() {
			for range sessions {
				s, err := store.Join(t.Context(), grid.Node{Name: "a", Shards: 4}, time.Hour)
				if err == nil {
					_, err = s.Claim(t.Context(), allShards) // they wait for most
				}
				for range 3 {
					if err == nil {
						err = s.Renew(t.Context())
					}
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	for method, n := range f.streams {
		// A machine that does not renew within a second opens another, or looks for a watch that is alive.
		t.Logf("%s: %d streams", method, n)
		if n > stores*sessions {
			t.Errorf("%s: %d streams for %d renewals", method, n, 3*stores*sessions)
		}
	}
}

// TestStreamIsStuck: a renewal that is not answered is followed by one on another stream, while the first stays.
func TestStreamIsStuck(t *testing.T) {
	srv := startServer(t)
	f := &faulty{}
	f.send = func(stream int, m any, send func(any) error) error {
		if _, is := m.(*etcdserverpb.LeaseKeepAliveRequest); is && stream <= 2 {
			return nil // it goes nowhere, as to a server that hangs
		}
		return send(m)
	}
	s, err := newStore(t, f.connect(t, srv), "c").Join(t.Context(), grid.Node{Name: "a", Shards: 4}, time.Hour)
	must(t, err)
	renewed := make(chan error)
	go func() { renewed <- s.Renew(t.Context()) }()
	for err := error(context.Canceled); err != nil; { // as a member does: one that is not answered does not hold up the next
		ctx, end := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err = s.Renew(ctx)
		end()
	}
	must(t, <-renewed) // it was made again on the stream that answers
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.streams["/etcdserverpb.Lease/LeaseKeepAlive"]; n < 3 {
		t.Errorf("%d streams", n)
	}
}

// TestTTL: a lease is of whole seconds, and never shorter than what was asked for.
func TestTTL(t *testing.T) {
	store := newStore(t, connect(t, startServer(t)), "c")
	for ask, want := range map[time.Duration]time.Duration{
		time.Millisecond: time.Second, time.Second: time.Second, 1001 * time.Millisecond: 2 * time.Second, 2 * time.Second: 2 * time.Second, 2500 * time.Millisecond: 3 * time.Second,
	} {
		s, err := store.Join(t.Context(), grid.Node{Name: "a", Shards: 4}, ask)
		must(t, err)
		if s.TTL() != want {
			t.Errorf("%v: it lasts %v, not %v", ask, s.TTL(), want)
		}
	}
}

// TestFence: a value is put by the owner of the shard alone.
func TestFence(t *testing.T) {
	srv := startServer(t)
	client := connect(t, srv)
	store, other := newStore(t, client, "c"), newStore(t, client, "c")
	a, b := join(t, store, "a"), join(t, other, "b")
	token := claim(t, a, 1)[1]
	value := func() string {
		t.Helper()
		resp, err := client.Get(t.Context(), "app/key")
		must(t, err)
		if len(resp.Kvs) == 0 {
			return ""
		}
		return string(resp.Kvs[0].Value)
	}
	must(t, store.Put(t.Context(), token, "app/key", "first"))
	fenced := func(token grid.Token) {
		t.Helper()
		before := value()
		if err := store.Put(t.Context(), token, "app/key", "stale"); !errors.Is(err, actors.ErrFenced) || value() != before {
			t.Errorf("a put with %v: %v, %q", token, err, value())
		}
	}
	fenced(grid.Token{Shard: 1, Rev: token.Rev - 1})
	fenced(grid.Token{Shard: 2, Rev: token.Rev})
	fenced(grid.Token{Shard: 1})
	must(t, a.Release(t.Context(), []int{1}))
	fenced(token)
	next := claim(t, b, 1)[1]
	fenced(token)
	must(t, other.Put(t.Context(), next, "app/key", "second"))
	resp, err := client.Txn(t.Context()).If(store.Fence(next)).Then(clientv3.OpPut("app/key", "third")).Commit()
	must(t, err)
	if !resp.Succeeded || value() != "third" {
		t.Error(value())
	}
	must(t, b.Leave(t.Context()))
	fenced(next)
	for _, key := range []string{"", "/pl/c/shards/1"} {
		if mistake := (*actors.OptionError)(nil); !errors.As(store.Put(t.Context(), next, key, ""), &mistake) {
			t.Errorf("a put to %q is taken", key)
		}
	}
}

// TestClosedStore: what it had going on has ended, and its calls fail.
func TestClosedStore(t *testing.T) {
	client := connect(t, startServer(t))
	store, err := etcd.New(client, etcd.Options{Cluster: "c"})
	must(t, err)
	s := join(t, store, "a")
	claim(t, join(t, newStore(t, client, "c"), "b"), 1)
	claim(t, s, 1)
	store.Close()
	store.Close()
	if err := s.Renew(t.Context()); err == nil || errors.Is(err, actors.ErrFenced) || !strings.Contains(err.Error(), "closed") {
		t.Error(err)
	}
}

// TestOptions: what cannot be meant is refused.
func TestOptions(t *testing.T) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"127.0.0.1:1"}, Logger: zap.NewNop()})
	must(t, err)
	defer client.Close()
	for field, try := range map[string]func() error{
		"client":          func() error { _, err := etcd.New(nil, etcd.Options{Cluster: "c"}); return err },
		"Options.Cluster": func() error { _, err := etcd.New(client, etcd.Options{}); return err },
		"Shards": func() error {
			s, err := etcd.New(client, etcd.Options{Cluster: "c"})
			must(t, err)
			defer s.Close()
			_, err = s.Join(t.Context(), grid.Node{Name: "a"}, time.Second)
			return err
		},
	} {
		if mistake := (*actors.OptionError)(nil); !errors.As(try(), &mistake) || mistake.Field != field {
			t.Errorf("%s: %v", field, try())
		}
	}
	for _, name := range []string{"a/b", "ä", "a b", "\x00"} {
		if _, err := etcd.New(client, etcd.Options{Cluster: name}); err == nil {
			t.Errorf("the name %q is taken", name)
		}
	}
}

// TestNobodyAnswers: the error says so, and the log once.
func TestNobodyAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	addr := l.Addr().String()
	l.Close()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + addr}, Logger: zap.NewNop()})
	must(t, err)
	defer client.Close()
	log := &lines{}
	store, err := etcd.New(client, etcd.Options{Cluster: "c", Logger: slog.New(slog.NewTextHandler(log, nil))})
	must(t, err)
	defer store.Close()
	actortest.Eventually(t, "the log says so", func() bool { return strings.Contains(log.String(), "cannot be seen") })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = store.Join(ctx, grid.Node{Name: "a", Shards: 4}, time.Second)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no server answers") || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("a join: %v", err)
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "no server answers") {
		t.Errorf("logged: %s", text)
	}
}

// lines is what was logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
