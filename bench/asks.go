// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/grid/hub/certs"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
)

// inFlight is how many asks there are at a time in these cases. Each of them asks a key, or an actor, of its own.
var inFlight = []int{1, 64, 512}

const (
	clusterSample = time.Second // each measurement has a cluster of its own, so it may well take longer than others
	asked         = "asked"     // the name of the kind, and what those of the actors begin with
)

// number is what the asks carry, and the answers.
type number = *wrapperspb.Int64Value

// askCases are about asks of another process. There are three hubs, each a process, and a node is at the one it has found. So
// there are two rows for it:
//   - far: the two nodes are at different hubs, so that an ask and its answer pass six connections, and remote's two;
//   - near: they are at the same one, as a third of all pairs of nodes are: four.
//
// Beside those of one ask at a time there is what core NATS takes by itself on the same way: a client publishes a number, and another
// one publishes one when it hears it.
//
// Where a machine has few processors, the hubs take those of the nodes. CPU ns, which is that of all processes,
// tells by how much.
func askCases() (cs []*benchCase) {
	for _, n := range inFlight {
		cs = append(cs,
			&benchCase{askName("remote", n), fmt.Sprintf("Proto.Actor's remote, %d in flight", n), n, askRemote(n)},
			&benchCase{askName("near", n), "… a key of another node at the same hub", n, askGrid(n, 0)},
			&benchCase{askName("far", n), "… a key of another node at another hub", n, askGrid(n, 1)})
	}
	return append(cs,
		&benchCase{askName("bare-near", 1), "core NATS alone, there and back by one hub", 1, askBare(0)},
		&benchCase{askName("bare-far", 1), "core NATS alone, there and back by two hubs", 1, askBare(1)})
}

func askName(what string, n int) string { return fmt.Sprintf("asks/%s-%d", what, n) }

// askRules want half of the remote's rate at least where many are in flight. One at a time, six wakes of a process
// are what they are: there the limit is for nodes at the same hub.
func askRules() (rs []rule) {
	for _, n := range inFlight {
		for _, what := range []string{"near", "far"} {
			r := rule{of: askName(what, n), against: askName("remote", n), as: "remote", figure: wall}
			if n > 1 {
				r.limit, r.aim = 2, 1
				rs = append(rs, r)
				continue
			}
			r.figure = p50
			if what == "near" {
				r.limit = 1.4
			}
			bare := askName("bare-"+what, n)
			rs = append(rs, r, rule{of: askName(what, n), figure: p50Micros},
				rule{of: bare, against: askName("remote", n), as: "remote", figure: p50},
				rule{of: askName(what, n), against: bare, as: "core NATS", figure: p50})
		}
	}
	return append(rs, rule{of: askName("remote", 1), figure: p50Micros})
}

// askAgain is how often an ask is made again of which nobody can tell whether it has run: on a machine that
// has stood still for a second, the hubs take the node for lost.
const askAgain = 20

// askGrid has asks to keys of another node, which is at the hub of that number. The asker is at 0.
func askGrid(n, at int) func(e *env) (run, error) {
	return func(e *env) (run, error) {
		addrs, ca, err := e.startHubs(3)
		if err != nil {
			return nil, err
		}
		o := hubclient.Options{Cluster: cluster, Hubs: addrs[:1], Logger: quiet()}
		owner, err := ca.Node("owner")
		if err != nil {
			return nil, err
		}
		if _, err := e.startAll(child{Node: &nodeChild{addrs[at : at+1], owner}}); err != nil {
			return nil, err
		}
		asker, err := ca.Node("asker")
		if err != nil {
			return nil, err
		}
		o.Certificates = &asker
		g, err := joinCluster(e.ctx, e.sys, o, nil)
		if err != nil {
			return nil, err
		}
		e.onClose(g.close)
		pids := make([]*actor.PID, n)
		for i := range pids {
			pids[i] = g.PID(asked, strconv.Itoa(i))
		}
		return e.concurrently(n, func(i int) (int, error) {
			for try := 1; ; try++ {
				v, err := actors.RequestFuture[number](e.sys.Root, pids[i], wrapperspb.Int64(int64(i))).Wait(e.ctx)
				if err == nil || try == askAgain || !errors.Is(err, actors.ErrNodeLost) && !errors.Is(err, actors.ErrUnavailable) {
					return int(v.GetValue()), err
				}
			}
		}), nil
	}
}

// askBare has numbers sent to another client of NATS, which is at the hub of that number, and back; see topics.go.
func askBare(at int) func(e *env) (run, error) {
	return func(e *env) (run, error) {
		hubs, ca, err := e.startHubs(3)
		if err != nil {
			return nil, err
		}
		c := child{Topic: &topicChild{Hubs: hubs[at : at+1], Bare: true, Certificates: make([]certs.Files, 1)}}
		if c.Topic.Certificates[0], err = ca.Node("subscriber-0"); err != nil {
			return nil, err
		}
		if _, err := e.startAll(c); err != nil {
			return nil, err
		}
		files, err := ca.Node("publisher")
		if err != nil {
			return nil, err
		}
		p := &publisher{n: 1, sums: make(chan int64, 1024)}
		if err := p.connectBare(e, hubs[0], files); err != nil {
			return nil, err
		}
		if err := p.awaitAll(); err != nil {
			return nil, err
		}
		for left := true; left; { // it may have been asked more than once
			select {
			case <-p.sums:
			case <-time.After(100 * time.Millisecond):
				left = false
			}
		}
		return e.concurrently(1, func(i int) (int, error) {
			if err := p.publish(hereIs(0)); err != nil {
				return 0, err
			}
			select {
			case <-p.sums:
				return i, nil
			case <-time.After(patience):
				return 0, errors.New("the other client has not answered")
			}
		}), nil
	}
}

// cluster is the name of all clusters here.
const cluster = "bench"

// startHubs starts hubs in processes of their own.
func (e *env) startHubs(n int) (addrs []string, ca *certs.Authority, err error) {
	dir, err := e.tempDir()
	if err != nil {
		return nil, nil, err
	}
	if ca, err = certs.Development(dir); err != nil {
		return nil, nil, err
	}
	if addrs, err = freeAddrs(n, 4); err != nil {
		return nil, nil, err
	}
	all := map[string]string{}
	for i, addr := range addrs {
		all[fmt.Sprint("hub-", i)] = addr
	}
	var cs []child
	for name := range all {
		files, err := ca.Hub(name, "127.0.0.1")
		if err != nil {
			return nil, nil, err
		}
		cs = append(cs, child{Hub: &hubChild{Dir: filepath.Join(dir, name), Hubs: all, Name: name, Certificates: files}})
	}
	_, err = e.startAll(cs...)
	return addrs, ca, err
}

// freeAddrs are n addresses, from each of which on so many ports are free. They are below those that systems give to
// whoever dials.
func freeAddrs(n, ports int) (addrs []string, err error) {
	taken := map[int]bool{}
	for try := 0; len(addrs) < n && try < 1000; try++ {
		port := 10_000 + rand.IntN(2_000)*10
		if taken[port] {
			continue
		}
		if err = listens(port, ports); err == nil {
			taken[port] = true
			addrs = append(addrs, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		}
	}
	return addrs, err
}

func listens(port, ports int) error {
	for i := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i)))
		if err != nil {
			return err
		}
		l.Close()
	}
	return nil
}

// hubChild is a process that is a hub.
type hubChild struct {
	Dir          string
	Hubs         map[string]string
	Name         string
	Certificates certs.Files
}

func (c *hubChild) run() error {
	_, err := hub.Start(context.Background(), hub.Options{
		Cluster: cluster, Dir: c.Dir, Hubs: c.Hubs, Name: c.Name, Certificates: &c.Certificates, Logger: quiet(), StartWithin: 10 * time.Minute,
	})
	return err
}

// nodeChild is a process that is the node which owns all keys.
type nodeChild struct {
	Hubs         []string
	Certificates certs.Files
}

func (c *nodeChild) run() error {
	o := hubclient.Options{Cluster: cluster, Hubs: c.Hubs, Certificates: &c.Certificates, Logger: quiet()}
	_, err := joinCluster(context.Background(), silent(), o, func(w *actors.Worker, _ string) error {
		actors.Handle(w, func(_ *actors.Task, n number) (number, error) { return n, nil })
		return nil
	})
	return err
}

// member is a node of a cluster.
type member struct {
	*grid.Grid
	hubs *hubclient.Client
}

func joinCluster(ctx context.Context, sys *actor.ActorSystem, o hubclient.Options, setup func(w *actors.Worker, id string) error) (*member, error) {
	hubs, err := hubclient.Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	g, err := grid.Start(ctx, sys, grid.Options{
		Kinds: []grid.Kind{{Name: asked, Accepts: []grid.Message{grid.MessageOf[number]()}, Setup: setup}},
		Store: hubs.Store(), Net: hubs.Net(), Node: hubs.Node(), Lease: time.Minute, Logger: quiet(),
	})
	if err != nil {
		hubs.Close()
		return nil, err
	}
	return &member{g, hubs}, nil
}

func (m *member) close() error {
	_, err := m.Drain(context.Background())
	m.hubs.Close()
	return err
}

// askRemote has requests to actors of another process by Proto.Actor's remote.
func askRemote(n int) func(e *env) (run, error) {
	return func(e *env) (run, error) {
		dir, err := e.tempDir()
		if err != nil {
			return nil, err
		}
		ca, err := certs.Development(dir)
		if err != nil {
			return nil, err
		}
		owner, err := ca.Hub("owner", "127.0.0.1") // both are a server and a client
		if err != nil {
			return nil, err
		}
		says, err := e.startAll(child{Remote: &remoteChild{n, owner}})
		if err != nil {
			return nil, err
		}
		asker, err := ca.Hub("asker", "127.0.0.1")
		if err != nil {
			return nil, err
		}
		r, err := startRemote(e.sys, asker)
		if err != nil {
			return nil, err
		}
		e.onClose(func() error { r.Shutdown(false); return nil })
		pids := make([]*actor.PID, n)
		for i := range pids {
			pids[i] = actor.NewPID(says[0], asked+strconv.Itoa(i))
		}
		return e.concurrently(n, func(i int) (int, error) {
			v, err := e.sys.Root.RequestFuture(pids[i], wrapperspb.Int64(int64(i)), requestTimeout).Result()
			answer, is := v.(number)
			if err == nil && !is {
				err = fmt.Errorf("the answer is a %T", v)
			}
			return int(answer.GetValue()), err
		}), nil
	}
}

// remoteChild is a process with actors that answer.
type remoteChild struct {
	Actors       int
	Certificates certs.Files
}

func (c *remoteChild) run() (addr string, err error) {
	sys := silent()
	if _, err := startRemote(sys, c.Certificates); err != nil {
		return "", err
	}
	props := actor.PropsFromFunc(func(ctx actor.Context) {
		if n, is := ctx.Message().(number); is {
			ctx.Respond(n)
		}
	})
	for i := range c.Actors {
		if _, err := sys.Root.SpawnNamed(props, asked+strconv.Itoa(i)); err != nil {
			return "", err
		}
	}
	return sys.Address(), nil
}

func startRemote(sys *actor.ActorSystem, files certs.Files) (*remote.Remote, error) {
	conf, err := files.TLS()
	if err != nil {
		return nil, err
	}
	tls := credentials.NewTLS(conf)
	r := remote.NewRemote(sys, remote.Configure("127.0.0.1", 0,
		remote.WithServerOptions(grpc.Creds(tls)), remote.WithDialOptions(grpc.WithTransportCredentials(tls))))
	r.Start()
	return r, nil
}
