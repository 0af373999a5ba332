// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/grid/hub/certs"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
	"github.com/protoloop/protoloop/grid/state/natskv"
	"github.com/protoloop/protoloop/internal/gridsubject"
)

// port is one of the ports of a hub, from its first.
func port(t testing.TB, addr string, n int) string {
	t.Helper()
	host, first, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	p, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(host, strconv.Itoa(p+n))
}

func secured(t testing.TB, queues ...string) (*hub.Hub, *certs.Authority) {
	t.Helper()
	ca := authority(t)
	return start(t, hub.Options{Hubs: map[string]string{"hub": "127.0.0.1:0"}, Name: "hub", Certificates: hubFiles(t, ca, "hub"), Queues: queues, Buckets: []string{"STATE"}, Reminders: []string{"REMINDERS"}}), ca
}

// TestNoCertificate: without one of its authority, nobody gets in: neither to NATS nor to etcd, nor with the certificate of another
// authority, nor in plaintext.
func TestNoCertificate(t *testing.T) {
	h, ca := secured(t)
	own, err := nodeFiles(t, ca, "a").TLS()
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := nodeFiles(t, authority(t), "a").TLS()
	if err != nil {
		t.Fatal(err)
	}
	foreign.RootCAs = own.RootCAs // it trusts the hub
	none := own.Clone()
	none.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
	ofHub, err := hubFiles(t, ca, "hub").TLS()
	if err != nil {
		t.Fatal(err)
	}
	for name, conf := range map[string]*tls.Config{"foreign": foreign, "none": none, "plaintext": nil, "of a hub": ofHub} {
		opts := []natsgo.Option{natsgo.MaxReconnects(0)}
		if conf != nil {
			opts = append(opts, natsgo.Secure(conf))
		}
		if nc, err := natsgo.Connect("nats://"+h.Addr(), opts...); err == nil {
			nc.Close()
			t.Errorf("%s: connected to NATS", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
		if name == "of a hub" { // etcd takes that of its own server
			continue
		}
		scheme := "https://"
		if conf == nil {
			scheme = "http://"
		}
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{scheme + port(t, h.Addr(), 1)}, TLS: conf, Logger: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if _, err := client.Get(ctx, "x"); err == nil {
			t.Errorf("%s: etcd has answered", name)
		}
		cancel()
		client.Close()
	}
	// A hub of another authority is no hub for the nodes of this.
	other, _ := secured(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := hubclient.Dial(ctx, hubclient.Options{Cluster: "shop", Hubs: []string{other.Addr()}, Certificates: nodeFiles(t, ca, "a"), Logger: quiet})
	if err == nil {
		c.Close()
		t.Error("connected to a hub of another authority")
	}
}

// TestOtherCluster: who dials the hubs of another cluster is told so at once.
func TestOtherCluster(t *testing.T) {
	h, ca := secured(t)
	c, err := hubclient.Dial(t.Context(), hubclient.Options{Cluster: "store", Hubs: []string{h.Addr()}, Certificates: nodeFiles(t, ca, "a"), Logger: quiet})
	if err == nil {
		c.Close()
	}
	if err == nil || !strings.Contains(err.Error(), `in the cluster "store"`) || !strings.Contains(err.Error(), "server of another cluster") {
		t.Errorf("dialed hubs of another cluster: %v", err)
	}
}

// raw is a connection of a node that does what it likes.
type raw struct {
	*natsgo.Conn
	*testing.T
	mu   sync.Mutex
	errs []string
}

func rawNode(t *testing.T, h *hub.Hub, files *certs.Files) *raw {
	t.Helper()
	conf, err := files.TLS()
	if err != nil {
		t.Fatal(err)
	}
	name, err := files.Name()
	if err != nil {
		t.Fatal(err)
	}
	r := &raw{T: t}
	r.Conn, err = natsgo.Connect("nats://"+h.Addr(), natsgo.Secure(conf), natsgo.CustomInboxPrefix(gridsubject.Inbox(name)), natsgo.ErrorHandler(func(_ *natsgo.Conn, _ *natsgo.Subscription, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.errs = append(r.errs, err.Error())
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Conn.Close)
	return r
}

// refused waits until the server has refused something of a subject.
func (r *raw) refused(what, subject string) {
	r.T.Helper()
	actortest.Eventually(r.T, fmt.Sprintf("%s %q to be refused", what, subject), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, err := range r.errs {
			if strings.Contains(err, what) && strings.Contains(err, `"`+subject+`"`) {
				return true
			}
		}
		return false
	})
}

// TestNodeIsWhatItsCertificateSays: a node cannot speak as another, nor hear what others are sent, nor change what all use.
func TestNodeIsWhatItsCertificateSays(t *testing.T) {
	h, ca := secured(t, "ORDERS")
	var heard ear
	victim := dial(t, hubclient.Options{Hubs: []string{h.Addr()}, Certificates: nodeFiles(t, ca, "victim")})
	line := open(t, victim, &heard).(grid.TopicLine)
	var prices topicEar
	if _, err := line.Subscribe("prices", &prices); err != nil {
		t.Fatal(err)
	}
	actortest.Eventually(t, "the subscription", func() bool {
		if err := line.Publish("prices", nil); err != nil {
			t.Fatal(err)
		}
		return prices.all() != ""
	})
	r := rawNode(t, h, nodeFiles(t, ca, "evil"))

	const reply = "pl.shop.other.1.1.1.1"
	for _, subject := range []string{
		"pl.shop.victim.1.other", "pl.shop.victim.1.victim", "pl.shop.gone.victim", "pl.shop.gone.other", "pl.shop.victim.1.1.1.1", "pl.elsewhere.victim.1.evil",
		"pl.shop.victim.1.evil.evil", "$SYS.REQ.SERVER.PING", "$SYS.ACCOUNT.$G.DISCONNECT", "_INBOX.victim.x", "anything",
		"$JS.API.STREAM.CREATE.EVIL", "$JS.API.STREAM.UPDATE.ORDERS", "$JS.API.STREAM.DELETE.ORDERS", "$JS.API.STREAM.PURGE.ORDERS", "$JS.API.STREAM.MSG.DELETE.ORDERS",
		"$JS.API.CONSUMER.CREATE.ORDERS", "$JS.API.CONSUMER.CREATE.ORDERS.evil", "$JS.API.CONSUMER.DURABLE.CREATE.ORDERS.evil", "$JS.API.CONSUMER.DELETE.ORDERS.consumer",
		"$JS.API.STREAM.INFO.OTHER", "$JS.API.STREAM.LIST", "$JS.API.DIRECT.GET.ORDERS",
		"pl.shop.$topic.prices.victim", "pl.shop.$topic.prices.evil.evil", "pl.shop.$topic.evil", "pl.elsewhere.$topic.prices.evil",
		"$KV.OTHER.x", "$JS.API.DIRECT.GET.KV_STATE.$KV.STATE.x", "$JS.API.STREAM.PURGE.KV_STATE", "$JS.API.STREAM.MSG.DELETE.KV_STATE", "$JS.API.CONSUMER.CREATE.KV_STATE.evil",
		"reminders.due.x", "reminders.x", "reminders", "$JS.API.STREAM.UPDATE.REMINDERS", "$JS.API.STREAM.DELETE.REMINDERS", "$JS.API.DIRECT.GET.REMINDERS", "$JS.API.CONSUMER.CREATE.REMINDERS.evil",
		"$JS.API.STREAM.PURGE.REMINDERS_DEAD", "$JS.API.STREAM.MSG.DELETE.REMINDERS_DEAD",
	} {
		if err := r.PublishRequest(subject, reply, []byte(`{"name":"EVIL","subjects":["pl.>"]}`)); err != nil {
			t.Fatal(err)
		}
		r.refused("Publish", subject)
	}
	for _, subject := range []string{
		">", "pl.>", "*.>", "pl.shop.*.1.evil", "pl.shop.victim.>", "pl.shop.victim.1.>", "pl.shop.victim.here", "$SYS.>", "$SYS.ACCOUNT.*.DISCONNECT", "$JS.>", "_INBOX.>", "_INBOX.victim.>",
		"orders", "pl.elsewhere.evil.>", "pl.elsewhere.$topic.prices.*", "pl.*.$topic.prices.*", "pl.shop.*.prices.*", "pl.shop.$topic.prices.*.evil", "$KV.STATE.>",
	} {
		if _, err := r.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		r.refused("Subscription", subject)
	}

	// What it may do does not make others do what it may not: the answers of the server, and its notices, come by the
	// reply subject that it is told.
	for _, forged := range []string{"pl.shop.victim.1.other", "pl.shop.victim.1.1.1.1", "pl.shop.gone.other", "pl.shop.$topic.prices.other"} {
		for _, subject := range []string{"orders", "pl.shop.nobody.1.evil", "$JS.API.INFO", "$JS.API.STREAM.INFO.ORDERS", "$JS.API.CONSUMER.MSG.NEXT.ORDERS.consumer", "$KV.STATE.x", "$JS.API.STREAM.MSG.GET.KV_STATE",
			"reminders.record.x", "reminders.timer.x", "$JS.API.STREAM.MSG.GET.REMINDERS", "$JS.API.CONSUMER.MSG.NEXT.REMINDERS.consumer"} {
			if err := r.PublishRequest(subject, forged, []byte(`{"batch":5,"expires":100000000}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Fuzzed frames in its own name.
	for i := range 256 {
		if err := r.PublishRequest("pl.shop.victim.1.evil", fmt.Sprintf("pl.shop.evil.1.1.%d.%d", i, i), []byte{byte(i), 0xff}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.PublishRequest("pl.shop.victim.1.evil", "pl.shop.evil.1.1.1.1", []byte("the end")); err != nil {
		t.Fatal(err)
	}
	heard.eventually(t, "the end")
	// A topic of its cluster it may use, under its own name.
	for _, reply := range []string{"pl.shop.other.1.1.0.0", "pl.shop.evil.1.1.0.0"} {
		if err := r.PublishRequest("pl.shop.$topic.prices.evil", reply, []byte(reply)); err != nil {
			t.Fatal(err)
		}
	}
	prices.eventually(t, "evil: pl.shop.evil.1.1")
	for what := range strings.SplitSeq(prices.all(), ", ") {
		if what != "victim: " && what != "evil: pl.shop.evil.1.1.0.0" {
			t.Errorf("of what was published the victim has heard %q", what)
		}
	}

	// The queue that it may use, it can use. The answer comes behind those that others were to get.
	within, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, subject := range []string{"orders", "$JS.API.INFO", "$JS.API.STREAM.INFO.ORDERS"} {
		if _, err := r.RequestWithContext(within, subject, nil); err != nil {
			t.Errorf("%s: %v", subject, err)
		}
	}
	r.Conn.Close()
	heard.eventually(t, "gone evil") // the last that the victim is told
	for what := range strings.SplitSeq(heard.all(), ", ") {
		if !strings.HasPrefix(what, "evil: ") && what != "gone evil" {
			t.Errorf("the victim has heard %q", what)
		}
	}
	if err := h.Health(within); err != nil {
		t.Error(err)
	}
}

// TestNoSuchQueue: a queue or bucket that the hub does not have fails the call with what the hub says of it, which goes to the logger, too.
func TestNoSuchQueue(t *testing.T) {
	ca := authority(t)
	h := start(t, hub.Options{
		Hubs: map[string]string{"hub": "127.0.0.1:0"}, Name: "hub", Certificates: hubFiles(t, ca, "hub"),
		Queues: []string{"ORDERS"}, Buckets: []string{"STATE"},
	})
	var log lines
	c, err := hubclient.Dial(t.Context(), hubclient.Options{Cluster: "shop", Hubs: []string{h.Addr()}, Certificates: nodeFiles(t, ca, "a"), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	nc, err := c.Queues()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	queue := func(name string) *jetstream.Queue {
		t.Helper()
		q, err := jetstream.New(nc, jetstream.Options{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	parts, err := jetstream.NewPartitions(nc, jetstream.Options{Name: "NOPARTS"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	m := consumer.Message{Key: "1", Body: []byte("1")}
	for _, call := range []struct {
		what string
		do   func() error
		want string
	}{
		{"a bucket", func() error { _, err := natskv.New(t.Context(), js, "NOSTATE"); return err }, "has no bucket NOSTATE"},
		{"Open", func() error { _, err := queue("NONE").Open(t.Context()); return err }, "has no queue NONE"},
		{"Ensure", func() error { return queue("NONE").Ensure(t.Context()) }, "has no queue NONE"},
		{"Send", func() error { return queue("NONE").Send(t.Context(), m) }, "has no stream for none"},
		{"Ensure of parts", func() error { return parts.Ensure(t.Context()) }, "has no queue NOPARTS"},
		{"Opener of parts", func() error { _, err := parts.Opener("0", 1)(t.Context()); return err }, "has no queue NOPARTS"},
		{"Send to parts", func() error { return parts.Send(t.Context(), m) }, "has no stream for noparts."},
	} {
		if err := call.do(); !errors.Is(err, natsgo.ErrPermissionViolation) || !strings.Contains(err.Error(), call.want) {
			t.Errorf("%s: %v", call.what, err)
		}
	}
	actortest.Eventually(t, "the log to have it", func() bool { return strings.Contains(log.String(), "KV_NOSTATE") })

	// What the hub has can be used by the same connection.
	if _, err := natskv.New(t.Context(), js, "STATE"); err != nil {
		t.Error(err)
	}
	q := queue("ORDERS")
	if err := q.Send(t.Context(), m); err != nil {
		t.Error(err)
	}
	source, err := q.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Close(t.Context()); err != nil {
		t.Error(err)
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

// TestNodeDoesNotAdministerEtcd: a node reads and writes keys, watches, and has leases. What changes the servers, or who may use
// them, is refused; a hub may do that.
func TestNodeDoesNotAdministerEtcd(t *testing.T) {
	h, ca := secured(t)
	connect := func(files *certs.Files) *clientv3.Client {
		t.Helper()
		conf, err := files.TLS()
		if err != nil {
			t.Fatal(err)
		}
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{"https://" + port(t, h.Addr(), 1)}, TLS: conf, Logger: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	node := connect(nodeFiles(t, ca, "a"))
	lease, err := node.Grant(ctx, 60)
	if err != nil {
		t.Fatal(err)
	}
	watch := node.Watch(ctx, "/elsewhere/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-watch
	put, err := node.Put(ctx, "/elsewhere/x", "1", clientv3.WithLease(lease.ID))
	if err != nil {
		t.Fatal(err)
	}
	if w := <-watch; len(w.Events) != 1 {
		t.Errorf("watched %v, %v", w.Events, w.Err())
	}
	_, errTxn := node.Txn(ctx).Then(clientv3.OpGet("/elsewhere/x")).Commit()
	_, errKeep := node.KeepAliveOnce(ctx, lease.ID)
	members, errMembers := node.MemberList(ctx)
	_, errDelete := node.Delete(ctx, "/elsewhere/x")
	_, errRevoke := node.Revoke(ctx, lease.ID)
	if err := errors.Join(errTxn, errKeep, errMembers, errDelete, errRevoke); err != nil {
		t.Fatal(err)
	}
	id := members.Members[0].ID
	administer := func(c *clientv3.Client) map[string]error {
		all := map[string]error{}
		_, all["compact"] = c.Compact(ctx, put.Header.Revision)
		_, all["user"] = c.UserAdd(ctx, "evil", "secret")
		_, all["role"] = c.RoleAdd(ctx, "evil")
		_, all["auth"] = c.AuthStatus(ctx)
		_, all["add"] = c.MemberAddAsLearner(ctx, []string{"https://127.0.0.1:1"})
		_, all["update"] = c.MemberUpdate(ctx, id, members.Members[0].PeerURLs)
		_, all["alarm"] = c.AlarmList(ctx)
		_, all["defragment"] = c.Defragment(ctx, c.Endpoints()[0])
		_, all["hash"] = c.HashKV(ctx, c.Endpoints()[0], 0)
		snapshot, err := c.Snapshot(ctx)
		if err == nil {
			_, err = snapshot.Read(make([]byte, 1))
			snapshot.Close()
		}
		all["snapshot"] = err
		return all
	}
	for what, err := range administer(node) {
		if !strings.Contains(fmt.Sprint(err), "is for servers") {
			t.Errorf("%s by a node: %v", what, err)
		}
	}
	for _, refused := range []func() error{
		func() error { _, err := node.MemberRemove(ctx, id); return err },
		func() error { _, err := node.MoveLeader(ctx, id); return err },
		func() error { _, err := node.AuthEnable(ctx); return err },
	} {
		if err := refused(); !strings.Contains(fmt.Sprint(err), "is for servers") {
			t.Errorf("by a node: %v", err)
		}
	}
	for what, err := range administer(connect(hubFiles(t, ca, "hub"))) {
		if err != nil {
			t.Errorf("%s by a hub: %v", what, err)
		}
	}
}

// TestPortsForHubs: where hubs talk to each other, the certificate of a node is refused, and so is none.
func TestPortsForHubs(t *testing.T) {
	ca := authority(t)
	tr := startTrio(t, hub.Options{}, func(name string) *certs.Files { return hubFiles(t, ca, name) })
	for name, files := range map[string]*certs.Files{"node": nodeFiles(t, ca, "a"), "hub of another cluster": hubFiles(t, ca, "hub-4"), "foreign": hubFiles(t, authority(t), "hub-2")} {
		conf, err := files.TLS()
		if err != nil {
			t.Fatal(err)
		}
		own, err := hubFiles(t, ca, "hub-2").TLS()
		if err != nil {
			t.Fatal(err)
		}
		conf.RootCAs = own.RootCAs
		for n, called := range map[int]string{2: "NATS", 3: "etcd"} {
			if err := talk(port(t, tr.addrs[0], n), conf); err == nil || !strings.Contains(err.Error(), "remote error: tls") {
				t.Errorf("%s: %s has not refused its certificate: %v", name, called, err)
			}
		}
	}
}

// talk reads what a port for hubs says, after a handshake.
func talk(addr string, conf *tls.Config) error {
	c, err := net.DialTimeout("tcp", addr, time.Minute)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	conf = conf.Clone()
	conf.ServerName = "127.0.0.1"
	s := tls.Client(c, conf)
	if err := s.Handshake(); err != nil {
		return err
	}
	_, err = s.Read(make([]byte, 1)) // TLS 1.3 tells here that the certificate was refused
	return err
}

// TestHostileBytes: whatever somebody writes to a port, the hub goes on.
func TestHostileBytes(t *testing.T) {
	h, ca := secured(t)
	for n := range 4 {
		if n == 2 {
			continue // nobody listens there as long as a hub is alone
		}
		for _, said := range []string{"", "\x00", "CONNECT {}\r\nPING\r\n", "CONNECT {\r\n", "PUB x 99999999999999999999\r\n", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("x", 1<<16), "\x16\x03\x01\x02\x00\x01\x00\x01\xfc"} {
			c, err := net.Dial("tcp", port(t, h.Addr(), n))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = c.Write([]byte(said))
			c.Close()
		}
	}
	var heard ear
	open(t, dial(t, hubclient.Options{Hubs: []string{h.Addr()}, Certificates: nodeFiles(t, ca, "a")}), &heard)
	if err := h.Health(t.Context()); err != nil {
		t.Error(err)
	}
}
