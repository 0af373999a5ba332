// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/grid/hub/certs"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
)

// TestAlone: nodes of one hub, without certificates on loopback, find each other, and own what they claim.
func TestAlone(t *testing.T) {
	h := start(t, hub.Options{Queues: []string{"ORDERS"}})
	a := dial(t, hubclient.Options{Hubs: []string{h.Addr()}, Node: "a"})
	b := dial(t, hubclient.Options{Hubs: []string{h.Addr()}, Node: "b"})
	var earA, earB ear
	lineA, lineB := open(t, a, &earA), open(t, b, &earB)
	say(t, lineA, grid.Peer{Node: "b", Session: 1}, &earB, "hello b")
	say(t, lineB, grid.Peer{Node: "a", Session: 1}, &earA, "hello a")
	if err := h.Health(t.Context()); err != nil {
		t.Error(err)
	}
	s, err := a.Store().Join(t.Context(), grid.Node{Name: "a", Shards: 4, Kinds: []string{"account"}}, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	tokens, err := s.Claim(t.Context(), []int{1, 2})
	if err != nil || len(tokens) != 2 {
		t.Errorf("claimed %v, %v", tokens, err)
	}
	if err := s.Leave(t.Context()); err != nil {
		t.Error(err)
	}
	b.Close()
	earA.eventually(t, "gone b")
	select {
	case err := <-h.Failed():
		t.Error(err)
	default:
	}
}

// TestOneHubOnAFolder: another is refused until the first has shut down. What was acknowledged is there then.
func TestOneHubOnAFolder(t *testing.T) {
	dir := t.TempDir()
	h := start(t, hub.Options{Dir: dir})
	_, err := hub.Start(t.Context(), hub.Options{Cluster: "shop", Dir: dir, Logger: quiet})
	if err == nil || !strings.Contains(err.Error(), "in use by another hub") {
		t.Errorf("a second hub: %v", err)
	}
	join := func(h *hub.Hub) uint64 {
		t.Helper()
		c := dial(t, hubclient.Options{Hubs: []string{h.Addr()}, Node: "a"})
		defer c.Close()
		s, err := c.Store().Join(t.Context(), grid.Node{Name: "a", Shards: 4}, 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return s.Node().Session
	}
	first := join(h)
	h.Shutdown()
	h.Shutdown()
	if second := join(start(t, hub.Options{Dir: dir})); second <= first {
		t.Errorf("the session %d comes behind %d", second, first)
	}
}

// TestPortInUse says which.
func TestPortInUse(t *testing.T) {
	addr := addrs(t, 1)[0]
	_, port, _ := net.SplitHostPort(addr)
	var third int
	fmt.Sscan(port, &third)
	l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", third+2))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = hub.Start(t.Context(), hub.Options{Cluster: "shop", Dir: t.TempDir(), Hubs: map[string]string{"hub": addr}, Name: "hub", Logger: quiet})
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("a hub at a port that is in use: %v", err)
	}
}

// TestStartEnds: one of three hubs does not start without the others, and leaves nothing.
func TestStartEnds(t *testing.T) {
	all := addrs(t, 3)
	o := hub.Options{Cluster: "shop", Dir: t.TempDir(), Name: "hub-1", Hubs: map[string]string{"hub-1": all[0], "hub-2": all[1], "hub-3": all[2]}, Logger: quiet}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := hub.Start(ctx, o); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("started: %v", err)
	}
	o.StartWithin = 100 * time.Millisecond
	_, err := hub.Start(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "not started") {
		t.Errorf("started: %v", err)
	}
}

// trio is three hubs with certificates.
type trio struct {
	hubs  [3]*hub.Hub
	addrs []string
	o     [3]hub.Options
}

func startTrio(t testing.TB, o hub.Options, files func(name string) *certs.Files) *trio {
	t.Helper()
	tr := &trio{addrs: addrs(t, 3)}
	all := map[string]string{}
	for i, addr := range tr.addrs {
		all[fmt.Sprint("hub-", i+1)] = addr
	}
	var wg sync.WaitGroup
	for i := range tr.hubs {
		o := o
		o.Name, o.Hubs, o.Dir, o.Cluster, o.Logger = fmt.Sprint("hub-", i+1), all, t.TempDir(), "shop", quiet
		o.Certificates = files(o.Name)
		tr.o[i] = o
		wg.Go(func() {
			h, err := hub.Start(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			tr.hubs[i] = h
		})
	}
	wg.Wait()
	t.Cleanup(func() {
		for _, h := range tr.hubs {
			if h != nil {
				wg.Go(h.Shutdown)
			}
		}
		wg.Wait()
	})
	if t.Failed() {
		t.FailNow()
	}
	return tr
}

// patiently does again what cannot be done while hubs elect who leads them.
func patiently(t testing.TB, what string, f func(ctx context.Context) error) {
	t.Helper()
	var err error
	defer func() {
		if err != nil {
			t.Logf("%s: %v", what, err)
		}
	}()
	actortest.Eventually(t, what, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err = f(ctx)
		return err == nil
	})
}

// claims is what a session has claimed, one shard after the other.
type claims struct {
	grid.Session
	tokens []grid.Token
}

func join(t testing.TB, c *hubclient.Client) *claims {
	t.Helper()
	s := &claims{}
	patiently(t, "join", func(ctx context.Context) (err error) {
		s.Session, err = c.Store().Join(ctx, grid.Node{Name: c.Node(), Shards: 4, Kinds: []string{"account"}}, 2*time.Minute)
		return err
	})
	return s
}

// next claims one more.
func (s *claims) next(t testing.TB) {
	t.Helper()
	shard := len(s.tokens)
	patiently(t, "claim", func(ctx context.Context) error {
		if err := s.Renew(ctx); err != nil {
			return err
		}
		got, err := s.Claim(ctx, []int{shard})
		if err == nil && got[shard].Rev == 0 {
			err = errors.New("nothing was claimed")
		}
		if err == nil {
			s.tokens = append(s.tokens, got[shard])
		}
		return err
	})
	if shard > 0 && s.tokens[shard].Rev <= s.tokens[shard-1].Rev {
		t.Errorf("tokens %v", s.tokens)
	}
}

// TestThree: nodes at different hubs reach each other, and go on when a hub is shut down: they own what they own, and claim more.
func TestThree(t *testing.T) {
	ca := authority(t)
	tr := startTrio(t, hub.Options{}, func(name string) *certs.Files { return hubFiles(t, ca, name) })
	var earA, earB ear
	a := dial(t, hubclient.Options{Hubs: tr.addrs, Certificates: nodeFiles(t, ca, "a")})
	b := dial(t, hubclient.Options{Hubs: tr.addrs[1:], Certificates: nodeFiles(t, ca, "b")})
	lineA, lineB := open(t, a, &earA), open(t, b, &earB)
	say(t, lineA, grid.Peer{Node: "b", Session: 1}, &earB, "hello b")
	say(t, lineB, grid.Peer{Node: "a", Session: 1}, &earA, "hello a")
	s := join(t, a)
	s.next(t)
	for i := range 2 { // each is back before the next
		tr.hubs[i].Shutdown()
		say(t, lineA, grid.Peer{Node: "b", Session: 1}, &earB, fmt.Sprint("one hub less: ", i))
		say(t, lineB, grid.Peer{Node: "a", Session: 1}, &earA, fmt.Sprint("one hub less: ", i))
		s.next(t)
		h, err := hub.Start(t.Context(), tr.o[i])
		if err != nil {
			t.Fatal(err)
		}
		tr.hubs[i] = h
	}
	b.Close()
	earA.eventually(t, "gone b")
	if earB.has("gone a") && !earA.has("missed") { // on a slow machine it may have been gone for longer than 250 ms
		t.Errorf("b heard that a is gone, who has not lost its connection: %s", earB.all())
	}
}

// TestQueue: a node uses a queue that the hubs have, with the certificate of a node, and what is in it is there when a hub has been shut
// down.
func TestQueue(t *testing.T) {
	if testing.Short() {
		t.Skip("JetStream takes seconds for each election")
	}
	t.Parallel()
	ca := authority(t)
	tr := startTrio(t, hub.Options{Queues: []string{"ORDERS"}}, func(name string) *certs.Files { return hubFiles(t, ca, name) })
	a := dial(t, hubclient.Options{Hubs: tr.addrs, Certificates: nodeFiles(t, ca, "a")})
	nc, err := a.Queues()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	queue, err := jetstream.New(nc, jetstream.Options{Name: "ORDERS", Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	send := func(key string) {
		t.Helper()
		patiently(t, "send", func(ctx context.Context) error { return queue.Send(ctx, consumer.Message{Key: key, Body: []byte("x")}) })
	}
	send("before")
	tr.hubs[0].Shutdown()
	send("after")
	var source consumer.Source
	patiently(t, "open the queue", func(ctx context.Context) (err error) {
		source, err = queue.Open(ctx)
		return err
	})
	got := map[string]bool{}
	patiently(t, "receive", func(ctx context.Context) error {
		ms, err := source.Receive(ctx, 10)
		for _, m := range ms {
			got[m.Key] = true
		}
		if err == nil && len(got) < 2 {
			err = fmt.Errorf("received %v", got)
		}
		return err
	})
	if err := source.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if tr.hubs[0], err = hub.Start(t.Context(), tr.o[0]); err != nil {
		t.Fatal(err)
	}
	patiently(t, "the hub to be well", tr.hubs[0].Health)
}

// TestBucket: a node writes and reads the keys of a bucket at their revisions, and a hub that is started anew has them.
func TestBucket(t *testing.T) {
	ca, dir, addr := authority(t), t.TempDir(), addrs(t, 1)[0]
	o := hub.Options{Dir: dir, Hubs: map[string]string{"hub": addr}, Name: "hub", Certificates: hubFiles(t, ca, "hub"), Buckets: []string{"STATE"}}
	h := start(t, o)
	nc, err := dial(t, hubclient.Options{Hubs: []string{addr}, Certificates: nodeFiles(t, ca, "a")}).Queues()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(t.Context(), "STATE")
	if err != nil {
		t.Fatal(err)
	}
	large := bytes.Repeat([]byte("x"), 1_000_000) // the answer to a read is larger than what a client may send
	first, err := kv.Create(t.Context(), "ada", []byte("0"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := kv.Update(t.Context(), "ada", large, first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Update(t.Context(), "ada", []byte("stale"), first); err == nil {
		t.Error("a stale revision was written over")
	}
	if err := kv.Purge(t.Context(), "ada"); err == nil {
		t.Error("a key was purged")
	}
	h.Shutdown()
	start(t, o)
	patiently(t, "read", func(ctx context.Context) error {
		got, err := kv.Get(ctx, "ada")
		if err == nil && (got.Revision() != second || !bytes.Equal(got.Value(), large)) {
			t.Errorf("%d bytes at revision %d", len(got.Value()), got.Revision())
		}
		return err
	})
}

// TestQueuesLeaveAHeldHub: the connection for queues is pinged so often that a hub which does not answer is left soon. A hub that is killed is left at
// once, and one that is held only by that.
func TestQueuesLeaveAHeldHub(t *testing.T) {
	h := start(t, hub.Options{})
	nc, err := dial(t, hubclient.Options{Hubs: []string{h.Addr()}, Node: "a"}).Queues()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if after := nc.Opts.PingInterval * time.Duration(nc.Opts.MaxPingsOut+1); after > 5*time.Second {
		t.Errorf("a hub that does not answer is left after %v", after)
	}
}

// TestStoresNoMore: a hub whose JetStream was disabled, as for want of room, says that it has failed. It would not begin again when there
// is room.
func TestStoresNoMore(t *testing.T) {
	h := start(t, hub.Options{})
	if err := h.DisableJetStream(); err != nil {
		t.Fatal(err)
	}
	if err := <-h.Failed(); err == nil || !strings.Contains(err.Error(), "stores nothing any more") {
		t.Error(err)
	}
}

// TestNATSFails: a hub whose NATS server says that it cannot go on, or has ended, says that it has failed.
func TestNATSFails(t *testing.T) {
	for want, fail := range map[string]func(h *hub.Hub){
		"NATS has failed: the port is gone": func(h *hub.Hub) { h.FailNATS("the port is gone") },
		"NATS has ended by itself":          (*hub.Hub).EndNATS,
	} {
		h := start(t, hub.Options{})
		fail(h)
		if err := <-h.Failed(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, and not %q", err, want)
		}
	}
}

// TestPartitions: with the certificate of a node, parts of a queue are taken over and their messages acked. A consumer of
// anything else is refused.
func TestPartitions(t *testing.T) {
	ca := authority(t)
	h := start(t, hub.Options{
		Hubs: map[string]string{"hub": "127.0.0.1:0"}, Name: "hub", Certificates: hubFiles(t, ca, "hub"),
		Partitions: []string{"ORDERS"},
	})
	nc, err := dial(t, hubclient.Options{Hubs: []string{h.Addr()}, Certificates: nodeFiles(t, ca, "a")}).Queues()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	p, err := jetstream.NewPartitions(nc, jetstream.Options{Name: "ORDERS"}, 4)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Send(t.Context(), consumer.Message{Group: "ada", Body: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	for _, owner := range []uint64{3, 7} {
		source, err := p.Opener(p.PartOf("ada"), owner)(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ms, err := source.Receive(t.Context(), 10)
		if err != nil || len(ms) != 1 || string(ms[0].Body) != "1" {
			t.Fatalf("owner %d has received %v, %v", owner, ms, err)
		}
		if owner == 7 {
			if err := source.Ack(t.Context(), ms); err != nil {
				t.Error(err)
			}
		}
		if err := source.Close(t.Context()); err != nil && owner == 7 {
			t.Error(err)
		}
	}

	r := rawNode(t, h, nodeFiles(t, ca, "evil"))
	for _, subject := range []string{
		"$JS.API.CONSUMER.CREATE.ORDERS", "$JS.API.CONSUMER.CREATE.ORDERS.evil", "$JS.API.CONSUMER.CREATE.ORDERS_DEAD.evil.orders_dead", "$JS.API.STREAM.PURGE.ORDERS",
	} {
		if err := r.PublishRequest(subject, "_INBOX.evil.x", nil); err != nil {
			t.Fatal(err)
		}
		r.refused("Publish", subject)
	}
}

func TestOptions(t *testing.T) {
	three := map[string]string{"a": "127.0.0.1:7420", "b": "127.0.0.1:7430", "c": "127.0.0.1:7440"}
	for field, o := range map[string]hub.Options{
		"Cluster":     {Dir: "x"},
		"Dir":         {Cluster: "c"},
		"StartWithin": {Cluster: "c", Dir: "x", StartWithin: -1},
		"Name":        {Cluster: "c", Dir: "x", Hubs: three, Name: "d"},
		"Hubs":        {Cluster: "c", Dir: "x", Hubs: map[string]string{"a": "127.0.0.1:7420", "b": "127.0.0.1:7430"}, Name: "a"},
		"Queues":      {Cluster: "c", Dir: "x", Queues: []string{"a.>"}},
		"Partitions":  {Cluster: "c", Dir: "x", Queues: []string{"A"}, Partitions: []string{"A"}},
		"Reminders":   {Cluster: "c", Dir: "x", Reminders: []string{"PL"}},
		"Buckets":     {Cluster: "c", Dir: "x", Buckets: []string{"a.b"}},
		`Hubs["a"]`:   {Cluster: "c", Dir: "x", Hubs: map[string]string{"a": "10.0.0.1:7420"}, Name: "a"},
		`Hubs["b"]`:   {Cluster: "c", Dir: "x", Hubs: map[string]string{"b": "localhost:7420"}, Name: "b"},
		`Hubs["d"]`:   {Cluster: "c", Dir: "x", Hubs: map[string]string{"d": "127.0.0.1:65533"}, Name: "d"},
		`Hubs["e"]`:   {Cluster: "c", Dir: "x", Hubs: map[string]string{"e": "0.0.0.0:7420"}, Name: "e"},
	} {
		_, err := hub.Start(t.Context(), o)
		if mistake, is := errors.AsType[*actors.OptionError](err); !is || mistake.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for field, o := range map[string]hubclient.Options{
		"Cluster":      {Hubs: []string{"127.0.0.1:7420"}, Node: "a"},
		"Hubs":         {Cluster: "c", Node: "a"},
		"Certificates": {Cluster: "c", Node: "a", Hubs: []string{"10.0.0.1:7420"}},
		"Node":         {Cluster: "c", Hubs: []string{"127.0.0.1:7420"}},
	} {
		_, err := hubclient.Dial(t.Context(), o)
		if mistake, is := errors.AsType[*actors.OptionError](err); !is || mistake.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestDialWaits: who dials before a hub is up is connected when it is, and is told why not when the time is over.
func TestDialWaits(t *testing.T) {
	addr := addrs(t, 1)[0]
	var log lines
	o := hubclient.Options{Cluster: "shop", Hubs: []string{addr}, Node: "a", Logger: slog.New(slog.NewTextHandler(&log, nil))}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := hubclient.Dial(ctx, o); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), addr) {
		t.Errorf("dialed nobody: %v", err)
	}
	dialed := make(chan error, 1)
	go func() {
		c, err := hubclient.Dial(t.Context(), o)
		if err == nil {
			c.Close()
		}
		dialed <- err
	}()
	actortest.Eventually(t, "the log to have it", func() bool { return strings.Contains(log.String(), "tried until there is") })
	start(t, hub.Options{Hubs: map[string]string{"hub": addr}, Name: "hub"})
	if err := <-dialed; err != nil {
		t.Error(err)
	}
}

// TestCertificateOfAnother: a hub whose certificate the others would refuse says so at once.
func TestCertificateOfAnother(t *testing.T) {
	ca := authority(t)
	_, err := hub.Start(t.Context(), hub.Options{Cluster: "shop", Dir: t.TempDir(), Name: "hub-1", Hubs: map[string]string{"hub-1": "127.0.0.1:0"}, Certificates: hubFiles(t, ca, "hub-2"), Logger: quiet})
	if err == nil || !strings.Contains(err.Error(), `is called "hub-1"`) {
		t.Errorf("with the certificate of another: %v", err)
	}
	_, err = hubclient.Dial(t.Context(), hubclient.Options{Cluster: "shop", Hubs: []string{"127.0.0.1:1"}, Node: "b", Certificates: nodeFiles(t, ca, "a")})
	if err == nil || !strings.Contains(err.Error(), `is that of "a"`) {
		t.Errorf("with the certificate of another: %v", err)
	}
}
