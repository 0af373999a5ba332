// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hub_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/nats-io/nats.go/jetstream"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/grid/hub/certs"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
	"github.com/protoloop/protoloop/grid/state"
	"github.com/protoloop/protoloop/grid/state/natskv"
	"github.com/protoloop/protoloop/internal/ownership"
	"github.com/protoloop/protoloop/internal/testtools"
)

// judged has a test fail whose figures are beyond their limits. Otherwise they are only logged: they say nothing on a machine that is busy.
var judged = flag.Bool("hub.limits", false, "have TestNodeIsLost, TestLeaderIsLost and TestRollingRestart judge the times that they measure, on a quiet machine without the race detector")

// figure is a time that was measured, and what it may be at most.
type figure struct {
	what      string
	got, most time.Duration
}

// judge logs figures, and fails the test if it is to.
func judge(t *testing.T, figures ...figure) {
	t.Helper()
	var b strings.Builder
	for _, f := range figures {
		fmt.Fprintf(&b, "\n%-60s %7.0f ms", f.what, f.got.Seconds()*1e3)
		if !*judged {
			continue
		}
		fmt.Fprintf(&b, " of %5.0f ms", f.most.Seconds()*1e3)
		if f.got > f.most {
			b.WriteString("  MISSED")
			t.Fail()
		}
	}
	t.Log(b.String())
}

// p99 is what 99 of a hundred do not exceed.
func p99(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)-1-len(all)/100]
}

// lease is that of nodes of which some are killed. A slow machine is not to lose it.
func lease() time.Duration {
	switch {
	case *judged:
		return 2 * time.Second
	default:
		return 10 * time.Second
	}
}

// hubProcesses are hubs in processes of their own.
type hubProcesses struct {
	*testing.T
	ca      *certs.Authority // nil: there are no certificates
	options map[string]hubOptions
	procs   map[string]*testtools.Process
	addrs   []string
}

type hubOptions struct {
	hub.Options
	Healthy bool // it is ready when it is healthy, and so is its part of JetStream
	// builds has other builds of the test binary, for hubs by their names.
	builds map[string]string
}

// spawnHubs starts n hubs.
func spawnHubs(t *testing.T, n int, ca *certs.Authority, o hubOptions) *hubProcesses {
	t.Helper()
	h := &hubProcesses{T: t, ca: ca, addrs: addrs(t, n), options: map[string]hubOptions{}, procs: map[string]*testtools.Process{}}
	hubs := map[string]string{}
	for i, addr := range h.addrs {
		hubs[fmt.Sprint("hub-", i+1)] = addr
	}
	for name := range hubs {
		o := o
		o.Cluster, o.Dir, o.Hubs, o.Name = "shop", t.TempDir(), hubs, name
		if ca != nil {
			o.Certificates = hubFiles(t, ca, name)
		}
		h.options[name] = o
		h.start(name)
	}
	for _, p := range h.procs {
		p.Ready()
	}
	return h
}

func (h *hubProcesses) start(name string) *testtools.Process {
	h.Helper()
	o := h.options[name]
	if program := o.builds[name]; program != "" {
		h.procs[name] = testtools.SpawnProgram(h.T, program, hubVariable, o)
	} else {
		h.procs[name] = h.spawn(o)
	}
	return h.procs[name]
}

// spawn starts a hub, which is etcd and NATS. Hubs within the process of a test have the race detector, and nodes.
func (h *hubProcesses) spawn(o hubOptions) *testtools.Process {
	h.Helper()
	if testing.Short() { // where few hubs are started another build would take longer
		return testtools.Spawn(h.T, hubVariable, o)
	}
	return testtools.SpawnUnraced(h.T, hubVariable, o)
}

// client is what a node with that name dials them with.
func (h *hubProcesses) client(node string) hubclient.Options {
	o := hubclient.Options{Cluster: "shop", Hubs: h.addrs}
	if h.ca == nil {
		o.Node = node
	} else {
		o.Certificates = nodeFiles(h.T, h.ca, node)
	}
	return o
}

// memberVariable has the memberOptions of a process with a grid whose workers are under load.
const memberVariable = "PROTOLOOP_TEST_MEMBER"

const memberShards = 256

type memberOptions struct {
	hubclient.Options
	Lease      time.Duration
	Bucket     string // of the state; "": the workers have none
	SaveWithin time.Duration
}

// inquiry is what a worker is asked: who it is, or one of those.
type inquiry = *wrapperspb.StringValue

const (
	who   = "who"   // the name of its node, and its token
	works = "works" // … after a while
	hangs = "hangs" // … never, if it is on the node that is named
	hung  = "hung"  // how many of these there are on its node
	again = "again" // how many numbers its node has got that were there
	lists = "lists" // its numbers
	asks  = "asks"  // who another key is that is named, within a time
	later = "later" // how many inquiries of keys its node has had that begin with "new-"
)

// entry is a number that a worker adds to its ledger, once.
type entry = *wrapperspb.Int64Value

// relayed is one that it hands on to another.
type relayed = *wrapperspb.UInt64Value

var (
	inquire actors.Method[inquiry, inquiry]
	enter   actors.Method[entry, entry]
	relay   actors.Method[relayed, entry]
)

// ledger is the state of a key. As it is a journal, a save that was made twice would be seen.
type ledger struct{ Numbers []int64 }

func (l *ledger) Apply(number int64) { l.Numbers = append(l.Numbers, number) }

// member is a node of the tests under load.
type member struct {
	o      memberOptions
	c      *hubclient.Client
	sys    *actor.ActorSystem
	net    grid.Net
	log    *actortest.Log // of its connection
	g      *grid.Grid
	gone   sync.Once
	ledger state.JournalOptions

	hanging, repeated, later atomic.Int64
}

func newMember(ctx context.Context, o memberOptions) (*member, error) {
	log := actortest.NewLog()
	o.Logger = slog.New(log)
	c, err := hubclient.Dial(ctx, o.Options)
	if err != nil {
		return nil, err
	}
	return &member{o: o, c: c, net: c.Net(), log: log, sys: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))}, nil
}

// join joins the cluster: with workers, or only to ask.
func (m *member) join(ctx context.Context, setup func(w *actors.Worker, id string) error) (err error) {
	m.g, err = grid.Start(ctx, m.sys, grid.Options{
		Node: m.c.Node(), Store: m.c.Store(), Net: m.net, Shards: memberShards, Lease: m.o.Lease, Window: 1 << 14, Logger: quiet,
		Kinds: []grid.Kind{{
			Name: "account", Setup: setup, Options: actors.Options{StopGrace: actors.Grace(time.Minute)},
			Accepts: []grid.Message{grid.MessageOf[inquiry](), grid.MessageOf[entry](), grid.MessageOf[relayed]()},
		}},
	})
	return err
}

func (m *member) leave() {
	m.gone.Do(func() {
		_, _ = m.g.Drain(context.Background())
		m.sys.Shutdown()
		m.c.Close()
	})
}

func memberChild(o memberOptions) (string, func(), error) {
	ctx := context.Background()
	m, err := newMember(ctx, o)
	if err != nil {
		return "", nil, err
	}
	stop := m.leave
	if o.Bucket != "" {
		nc, err := m.c.Queues()
		if err != nil {
			return "", nil, err
		}
		stop = func() { m.leave(); nc.Close() }
		js, err := jetstream.New(nc)
		if err != nil {
			return "", nil, err
		}
		store, err := natskv.New(ctx, js, o.Bucket)
		if err != nil {
			return "", nil, err
		}
		m.ledger.Options = state.Options{Store: store, Kind: "account", SaveWithin: o.SaveWithin}
	}
	return "", stop, m.join(ctx, m.setup)
}

func (m *member) setup(w *actors.Worker, id string) (err error) {
	var book *state.Journal[ledger, int64, *ledger]
	if m.o.Bucket != "" {
		if book, err = state.LoadJournal[ledger, int64](w, id, m.ledger); err != nil {
			return err
		}
	}
	inquire.Handle(w, func(t *actors.Task, q inquiry) (inquiry, error) {
		if strings.HasPrefix(id, "new-") {
			m.later.Add(1)
		}
		what, rest, _ := strings.Cut(q.Value, " ")
		switch {
		case what == hung:
			return wrapperspb.String(fmt.Sprint(m.hanging.Load())), nil
		case what == again:
			return wrapperspb.String(fmt.Sprint(m.repeated.Load())), nil
		case what == lists:
			return wrapperspb.String(strings.Trim(fmt.Sprint(book.Value().Numbers), "[]")), nil
		case what == asks:
			key, within, _ := strings.Cut(rest, " ")
			d, err := time.ParseDuration(within)
			if err != nil {
				return nil, err
			}
			return inquire.Ask(t, m.g.PID("account", key), wrapperspb.String(who), actors.Idempotent(), actors.Timeout(d))
		case what == later:
			return wrapperspb.String(fmt.Sprint(m.later.Load())), nil
		case what == hangs && rest == m.c.Node():
			m.hanging.Add(1)
			defer m.hanging.Add(-1)
			return nil, t.Sleep(24 * time.Hour)
		case what == works:
			if err := t.Sleep(50 * time.Millisecond); err != nil {
				return nil, err
			}
		}
		token, err := grid.TokenOf(t)
		return wrapperspb.String(fmt.Sprint(m.c.Node(), " ", token.Rev)), err
	})
	enter.Handle(w, func(t *actors.Task, n entry) (entry, error) {
		if slices.Contains(book.Value().Numbers, n.Value) { // it was asked again, and was here before
			m.repeated.Add(1)
			return n, book.Saved(t)
		}
		return n, book.Record(t, n.Value)
	})
	relay.Handle(w, func(t *actors.Task, n relayed) (entry, error) {
		return enter.Ask(t, m.account(int(n.Value)), wrapperspb.Int64(int64(n.Value)), actors.Idempotent())
	})
	return nil
}

// accounts is how many keys there are. A number belongs to one of them.
const accounts = 1000

func (m *member) account(number int) *actor.PID { return m.g.PID("account", accountOf(number)) }

func accountOf(number int) string { return fmt.Sprint(number % accounts) }

// spawnMember starts a node in a process of its own.
func (h *hubProcesses) spawnMember(node string, o memberOptions) *testtools.Process {
	h.Helper()
	return h.spawnMemberOf(os.Args[0], node, o)
}

// spawnMemberOf starts one of another build of the test binary. If its options have Hubs it dials no other.
func (h *hubProcesses) spawnMemberOf(build, node string, o memberOptions) *testtools.Process {
	h.Helper()
	only := o.Hubs
	if o.Options = h.client(node); only != nil {
		o.Hubs = only
	}
	o.Lease = cmp.Or(o.Lease, lease())
	return testtools.SpawnProgram(h.T, build, memberVariable, o)
}

// asker is a node that only asks.
func (h *hubProcesses) asker() *member {
	h.Helper()
	return h.askerAt("")
}

// askerAt is one that is connected to a hub first, and to others when that is lost. "": to any.
func (h *hubProcesses) askerAt(hub string) *member {
	h.Helper()
	m, err := newMember(h.Context(), memberOptions{Options: h.client("asker"), Lease: time.Minute})
	if err != nil {
		h.Fatal(err)
	}
	if hub != "" {
		first := h.options[hub].Hubs[hub]
		m.net = atFirst(h.T, h.ca, append([]string{first}, slices.DeleteFunc(slices.Clone(h.addrs), func(addr string) bool { return addr == first })...), "asker")
	}
	if err := m.join(h.Context(), nil); err != nil {
		h.Fatal(err)
	}
	h.Cleanup(m.leave)
	return m
}

// answer is that of a worker that was asked who it is.
type answer struct {
	node  string
	token uint64
}

func (m *member) ask(ctx context.Context, key int, what string, opts ...actors.CallOption) (a answer, err error) {
	text, err := inquire.Call(ctx, m.sys.Root, m.account(key), wrapperspb.String(what), opts...)
	_, _ = fmt.Sscan(text.GetValue(), &a.node, &a.token)
	return a, err
}

// count asks a key for a number.
func (m *member) count(t *testing.T, key int, of string) (n int) {
	t.Helper()
	text, err := inquire.Call(t.Context(), m.sys.Root, m.account(key), wrapperspb.String(of))
	if _, _ = fmt.Sscan(text.GetValue(), &n); err != nil {
		t.Errorf("the key %d was asked for %q: %v", key, of, err)
	}
	return n
}

// homeOf is the node, of these, that a key belongs to.
func homeOf(id string, nodes []string) (best string) {
	top := uint64(0)
	shard := ownership.ShardOf("account/"+id, memberShards)
	for _, node := range nodes {
		if rank := ownership.Score(shard, ownership.HashName(node)); best == "" || rank > top {
			best, top = node, rank
		}
	}
	return best
}

// homes waits until each key is where it belongs, if these are the nodes, and has all keys answer for each.
func (m *member) homes(t *testing.T, nodes ...string) map[int]answer {
	t.Helper()
	homes := map[int]answer{}
	for key := range accounts {
		best := homeOf(accountOf(key), nodes)
		actortest.Eventually(t, fmt.Sprint("the key ", key, " to be at the node ", best), func() bool {
			a, err := m.ask(t.Context(), key, who)
			homes[key] = a
			return err == nil && a.node == best
		})
	}
	return homes
}

// isCoded reports whether an error says what has become of an ask.
func isCoded(err error) bool {
	return slices.ContainsFunc([]error{
		actors.ErrUnavailable, actors.ErrNodeLost, actors.ErrStopping, actors.ErrMailboxFull, actors.ErrTimeout, actors.ErrFenced, actors.ErrRestarted, actors.ErrStopped,
	}, func(code error) bool { return errors.Is(err, code) })
}

// counted is how often each error was told.
func counted(errs map[string]int) string {
	var b strings.Builder
	for _, text := range slices.Sorted(maps.Keys(errs)) {
		fmt.Fprintf(&b, "\n%6d × %s", errs[text], text)
	}
	return b.String()
}

// leaderOfEtcd is the hub that leads the others' etcd.
func (h *hubProcesses) leaderOfEtcd() (string, error) {
	conf := clientv3.Config{DialTimeout: time.Minute, Logger: zap.NewNop()}
	scheme := "http://"
	if h.ca != nil {
		files, err := nodeFiles(h.T, h.ca, "witness").TLS()
		if err != nil {
			return "", err
		}
		conf.TLS, scheme = files, "https://"
	}
	endpoints := map[string]string{}
	for name, o := range h.options {
		host, port, _ := net.SplitHostPort(o.Hubs[name])
		n, _ := strconv.Atoi(port)
		endpoints[name] = fmt.Sprint(scheme, host, ":", n+1)
		conf.Endpoints = append(conf.Endpoints, endpoints[name])
	}
	c, err := clientv3.New(conf)
	if err != nil {
		return "", err
	}
	defer c.Close()
	for name, endpoint := range endpoints {
		status, err := c.Status(h.Context(), endpoint)
		if err != nil {
			return "", err
		}
		if status.Header.MemberId == status.Leader {
			return name, nil
		}
	}
	return "", errors.New("none of them leads")
}

// leaderOfStream is the hub that leads the others in a stream.
func (h *hubProcesses) leaderOfStream(stream string) (string, error) {
	c, err := hubclient.Dial(h.Context(), h.client("witness"))
	if err != nil {
		return "", err
	}
	defer c.Close()
	nc, err := c.Queues()
	if err != nil {
		return "", err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return "", err
	}
	s, err := js.Stream(h.Context(), stream)
	if err != nil {
		return "", err
	}
	if s.CachedInfo().Cluster == nil {
		return "", errors.New("it is in no cluster")
	}
	return s.CachedInfo().Cluster.Leader, nil
}
