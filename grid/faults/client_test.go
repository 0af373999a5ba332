// SPDX-License-Identifier: Apache-2.0

//go:build linux

package faults

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	natsgo "github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
)

// command is what a client is told to do.
type command struct {
	Do    string
	Keys  []string // of lists, to be read in the end
	Hub   string   // an address
	Hubs  []string // without a port
	Count int
}

// What a client is told to do.
const (
	doStart   = "start"   // to ask, until doStop
	doStop    = "stop"    //
	doCount   = "count"   // how many asks were answered so far
	doRead    = "read"    // each list, until it is answered
	doLeaders = "leaders" // who leads
	doHealth  = "health"  // of a hub
	doReach   = "reach"   // what is wrong with the line, or the way to each of these hubs; empty: nothing
	doPuts    = "puts"    // what handlers have stored in etcd
	doFill    = "fill"    // the queue
	doLeft    = "left"    // how much is in the queue
)

// askersOfClient is how many ask at a time, in each client.
const askersOfClient = 6

// Keys are used for a while, and then others in their place: what an asker does not know of a key makes the check of that key slow.
const (
	keysOfKind = 4
	keyLasts   = 20 * time.Second
)

// client asks.
type client struct {
	settings
	name    string
	grid    *grid.Grid
	sys     *actor.ActorSystem
	nc      *natsgo.Conn
	js      natsjs.JetStream
	etcd    *clientv3.Client
	tls     *tls.Config
	line    lastLine
	history *journal
	stall   stall

	begun  time.Time
	stop   chan struct{}
	askers sync.WaitGroup
	values atomic.Int64
	done   atomic.Int64 // asks that were answered
	broken atomic.Pointer[error]
}

// runClient is a client. It has a grid with no workers.
func runClient(s settings) error {
	s.Hub.Logger = s.logger()
	ctx := context.Background()
	hubs, err := dial(ctx, s)
	if err != nil {
		return err
	}
	defer hubs.Close()
	c := &client{settings: s, name: hubs.Node(), stop: make(chan struct{})}
	if c.tls, err = s.Hub.Certificates.TLS(); err != nil {
		return err
	}
	var endpoints []string
	for _, addr := range s.Hub.Hubs {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			return err
		}
		endpoints = append(endpoints, "https://"+net.JoinHostPort(host, strconv.Itoa(n+1)))
	}
	if c.etcd, err = clientv3.New(clientv3.Config{Endpoints: endpoints, TLS: c.tls, Logger: zap.NewNop()}); err != nil {
		return err
	}
	defer c.etcd.Close()
	if c.nc, err = hubs.Queues(); err != nil {
		return err
	}
	defer c.nc.Close()
	if c.js, err = natsjs.New(c.nc); err != nil {
		return err
	}
	if !s.Queue {
		c.line.Net = hubs.Net()
		if c.grid, c.sys, err = s.start(ctx, hubs, &c.line, []grid.Kind{{Name: kindRegister}, {Name: kindList}}); err != nil {
			return err
		}
		if c.history, err = openJournal(s.Dir, "history-"+c.name); err != nil {
			return err
		}
	}
	go c.stall.measure()
	fmt.Println("ready")
	return answerCommands(c.do)
}

func (c *client) do(cmd command) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	switch cmd.Do {
	case doStart:
		c.begun = time.Now()
		for i := range askersOfClient {
			c.askers.Go(func() { c.askUntilStop(i) })
		}
		return nil, nil
	case doStop:
		close(c.stop)
		c.askers.Wait()
		if err := c.broken.Load(); err != nil {
			return nil, *err
		}
		return c.done.Load(), nil
	case doCount:
		return c.done.Load(), nil
	case doRead:
		return c.readLists(cmd.Keys)
	case doLeaders:
		return c.leaders(ctx)
	case doReach:
		return c.reach(cmd.Hubs), nil
	case doHealth:
		return health(ctx, cmd.Hub)
	case doPuts:
		return c.puts(ctx)
	case doFill:
		return nil, c.fillQueue(cmd.Count)
	case doLeft:
		return c.left(ctx)
	}
	return nil, fmt.Errorf("what is %q?", cmd.Do)
}

func (c *client) askUntilStop(asker int) {
	rng := rand.New(rand.NewPCG(c.Seed, uint64(asker)))
	seen := map[string]int64{} // by key, the last that was read or written
	for {
		select {
		case <-c.stop:
			return
		case <-time.After(time.Duration(rng.IntN(20)) * time.Millisecond):
		}
		a := ask{
			Asker: fmt.Sprint(c.name, " ", asker), Budget: time.Duration(200+rng.IntN(4800)) * time.Millisecond,
			Key: fmt.Sprintf("%d-%d", time.Since(c.begun)/keyLasts, rng.IntN(keysOfKind)),
		}
		value := c.values.Add(1)*100 + int64(c.Seed%100) // no other asker of any client has it
		switch n := rng.IntN(10); {
		case n < 2:
			a.Kind, a.Op, a.Idempotent = kindRegister, op{Do: opRead}, rng.IntN(2) == 0
		case n < 4:
			a.Kind, a.Op = kindRegister, op{Do: opWrite, Value: value}
		case n < 6:
			a.Kind, a.Op = kindRegister, op{Do: opCAS, Value: value, Old: seen[a.Key]}
		default:
			once := rng.IntN(2) == 0
			a.Kind, a.Op, a.Idempotent = kindList, op{Do: opAppend, Name: fmt.Sprint(value), Once: once}, once
		}
		c.ask(&a)
		if a.Kind == kindRegister && a.Outcome == answered {
			switch {
			case a.Op.Do == opRead:
				seen[a.Key] = a.Result.Value
			case a.Op.Do == opWrite || a.Result.Swapped:
				seen[a.Key] = value
			}
		}
		if err := c.history.write(a); err != nil {
			c.broken.CompareAndSwap(nil, &err)
			return
		}
	}
}

// ask asks, and notes what has come of it.
func (c *client) ask(a *ask) {
	b, err := json.Marshal(a.Op)
	if err != nil {
		panic(err)
	}
	opts := []actors.CallOption{actors.Timeout(a.Budget)}
	if a.Idempotent {
		opts = append(opts, actors.Idempotent())
	}
	held := c.stall.total()
	a.Begun = now()
	answer, err := method.Call(context.Background(), c.sys.Root, c.grid.PID(a.Kind, a.Key), wrapperspb.String(string(b)), opts...)
	a.Ended = now()
	a.Held = c.stall.total() - held
	switch {
	case err == nil:
		a.Outcome = answered
		c.done.Add(1)
		if err := json.Unmarshal([]byte(answer.Value), &a.Result); err != nil {
			a.Err = err.Error()
			c.broken.CompareAndSwap(nil, &err)
		}
	case actors.RetrySafe(err) && !a.Idempotent: // one that may be asked again may have run before
		a.Outcome, a.Err = never, err.Error()
	default:
		a.Outcome, a.Err = unknown, err.Error()
	}
}

// readLists reads each list, however long it takes.
func (c *client) readLists(keys []string) (map[string][]string, error) {
	all := map[string][]string{}
	for _, key := range keys {
		for {
			a := ask{Asker: c.name, Kind: kindList, Key: key, Op: op{Do: opList}, Budget: 10 * time.Second, Idempotent: true}
			c.ask(&a)
			if a.Outcome == answered {
				all[key] = a.Result.Names
				break
			}
			c.logger().Warn("read a list", "key", key, "error", a.Err)
			time.Sleep(50 * time.Millisecond)
		}
	}
	return all, nil
}

// leaders are who leads etcd, and JetStream's stream of the state or of the queue.
type leaders struct{ Etcd, NATS string }

func (c *client) leaders(ctx context.Context) (l leaders, err error) {
	members, err := c.etcd.MemberList(ctx)
	if err != nil {
		return l, err
	}
	for _, addr := range c.etcd.Endpoints() {
		status, err := c.etcd.Status(ctx, addr)
		if err != nil {
			continue
		}
		for _, m := range members.Members {
			if m.ID == status.Leader {
				l.Etcd = m.Name
			}
		}
	}
	stream := "KV_" + bucket
	if c.Queue {
		stream = queue
	}
	s, err := c.js.Stream(ctx, stream)
	if err != nil {
		return l, err
	}
	if is := s.CachedInfo().Cluster; is != nil {
		l.NATS = is.Leader
	}
	return l, nil
}

// health is what is wrong with a hub, by its page; empty: nothing.
func health(ctx context.Context, addr string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/healthz", nil)
	if err != nil {
		return "", err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error(), nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if resp.StatusCode == http.StatusOK {
		return "", err
	}
	return strings.TrimSpace(string(b)), err
}

// reach is what is wrong with the way to each of these hubs, or with the line; empty: nothing.
func (c *client) reach(hubs []string) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // a slow machine is to reach them, too
	defer cancel()
	if !c.line.isUp() {
		return "the line has no connection"
	}
	for _, hub := range hubs {
		if _, err := c.etcd.Status(ctx, fmt.Sprintf("https://%s:%d", hub, etcdPort)); err != nil {
			return fmt.Sprintf("etcd at %s: %v", hub, err)
		}
		nc, err := natsgo.Connect(fmt.Sprintf("nats://%s:%d", hub, natsPort), natsgo.Secure(c.tls), natsgo.NoReconnect(), natsgo.Timeout(time.Minute))
		if err == nil {
			err = nc.FlushWithContext(ctx)
			nc.Close()
		}
		if err != nil {
			return fmt.Sprintf("NATS at %s: %v", hub, err)
		}
	}
	return ""
}

// lastLine is a network that knows its last line.
type lastLine struct {
	grid.Net
	line atomic.Pointer[grid.ConnectedLine]
}

// Open is grid.Net's.
func (n *lastLine) Open(ctx context.Context, self grid.Peer, to grid.Receiver) (grid.Line, error) {
	l, err := n.Net.Open(ctx, self, to)
	if line, is := l.(grid.ConnectedLine); is {
		n.line.Store(&line)
	}
	return l, err
}

func (n *lastLine) isUp() bool {
	l := n.line.Load()
	return l != nil && (*l).Connected()
}

// puts is what handlers have stored in etcd. Each has its key, so that none is in the place of another.
func (c *client) puts(ctx context.Context) (all []put, err error) {
	resp, err := c.etcd.Get(ctx, putsPrefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, err
	}
	for _, kv := range resp.Kvs {
		p := put{Revision: kv.CreateRevision}
		if _, err := fmt.Sscanf(string(kv.Key), putsPrefix+"%d/%d/", &p.Shard, &p.Rev); err != nil {
			return nil, fmt.Errorf("%s: %w", kv.Key, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// stall measures for how long the process does not run, by a timer that is late then.
type stall struct {
	mu   sync.Mutex
	sum  time.Duration
	last time.Duration
}

const stallEvery = 20 * time.Millisecond

func (s *stall) measure() {
	for {
		s.total()
		time.Sleep(stallEvery / 2)
	}
}

// total is how late the timer was so far, all together.
func (s *stall) total() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := now()
	if s.last > 0 {
		s.sum += max(0, is-s.last-stallEvery)
	}
	s.last = is
	return s.sum
}
