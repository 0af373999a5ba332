// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/consumer/jetstream/embedded"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/state"
	"github.com/protoloop/protoloop/grid/state/natskv"
)

const (
	savers     = 64  // keys, each with one save in flight
	savedBytes = 200 // of each value
	// patience is for what the client would give up after seconds.
	patience = 10 * time.Minute
)

// stateServers are where keys are saved. "On disk" is that a write reaches the disk before it is confirmed, as the hubs have it. Without
// that, what limits the rate are the processors, which the worker and the request need, too.
var stateServers = []struct {
	name, label string
	serve       func(*env) (*nats.Conn, error)
	replicas    int
}{
	{"-synced", "a server in the process, on disk", embeddedServer(true), 1},
	{"-three-synced", "three servers, on disk", threeServers(true), 3},
	{"", "a server in the process", embeddedServer(false), 1},
	{"-three", "three servers", threeServers(false), 3},
}

// stateCases are about a save of a key's state: the request, the worker's turns and the save, beside the write alone, at the
// revision before. All write 200 bytes, over one connection, and wait for what answers each. The bucket's own update waits within the client, and what is
// published asynchronously, as natskv does in its own way, does not.
func stateCases() (cs []*benchCase) {
	for _, s := range stateServers {
		cs = append(cs,
			&benchCase{"state/kv" + s.name, "a bare update of a bucket, " + s.label, savers, putBare(s.serve, s.replicas, updateBare)},
			&benchCase{"state/async" + s.name, "… published asynchronously", savers, putBare(s.serve, s.replicas, updateAsync)},
			&benchCase{"state/save" + s.name, "… a request whose handler saves", savers, saveStates(s.serve, s.replicas)})
	}
	return cs
}

// stateRules want 0.8 of the bare rate at least.
func stateRules() (rs []rule) {
	for _, s := range stateServers {
		rs = append(rs,
			rule{of: "state/save" + s.name, against: "state/kv" + s.name, as: "bare update", figure: wall, limit: 1 / 0.8},
			rule{of: "state/save" + s.name, against: "state/async" + s.name, as: "published async", figure: wall})
	}
	return rs
}

// embeddedServer is a connection to a server within the process.
func embeddedServer(synced bool) func(e *env) (*nats.Conn, error) {
	return func(e *env) (*nats.Conn, error) {
		dir, err := e.tempDir()
		if err != nil {
			return nil, err
		}
		srv, err := embedded.Start(embedded.Options{Dir: dir, SyncAlways: synced, Logger: quiet(), StartWithin: patience})
		if err != nil {
			return nil, err
		}
		e.onClose(func() error { srv.Shutdown(); return nil })
		return e.connected(srv.Connect())
	}
}

// connected closes a connection when the measurement is over.
func (e *env) connected(nc *nats.Conn, err error) (*nats.Conn, error) {
	if err == nil {
		e.onClose(func() error { nc.Close(); return nil })
	}
	return nc, err
}

// threeServers is a connection to three servers in processes of their own.
func threeServers(synced bool) func(e *env) (*nats.Conn, error) {
	return func(e *env) (*nats.Conn, error) {
		dir, err := e.tempDir()
		if err != nil {
			return nil, err
		}
		addrs, err := freeAddrs(3, 2)
		if err != nil {
			return nil, err
		}
		var cs []child
		for i := range addrs {
			cs = append(cs, child{Server: &serverChild{filepath.Join(dir, strconv.Itoa(i)), addrs, i, synced}})
		}
		if _, err := e.startAll(cs...); err != nil {
			return nil, err
		}
		return e.connected(jetstream.Connect("nats://"+strings.Join(addrs, ",nats://"), nats.Timeout(patience)))
	}
}

// serverChild is a process that is a server of JetStream.
type serverChild struct {
	Dir   string
	Addrs []string // of all of them, each with a port for nodes, and the next for the others
	This  int
	Sync  bool // each write reaches the disk before it is confirmed
}

func (c *serverChild) run() error {
	at := func(i, plus int) (host string, port int) {
		host, first, _ := net.SplitHostPort(c.Addrs[i])
		n, _ := strconv.Atoi(first)
		return host, n + plus
	}
	o := &server.Options{JetStream: true, StoreDir: c.Dir, SyncAlways: c.Sync, NoSigs: true, NoLog: true, ServerName: fmt.Sprint("server-", c.This)}
	o.Host, o.Port = at(c.This, 0)
	o.Cluster.Name = cluster
	o.Cluster.Host, o.Cluster.Port = at(c.This, 1)
	var routes []string
	for i := range c.Addrs {
		if i != c.This {
			host, port := at(i, 1)
			routes = append(routes, fmt.Sprintf("nats://%s:%d", host, port))
		}
	}
	o.Routes = server.RoutesFromStr(strings.Join(routes, ","))
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return fmt.Errorf("the server is not ready after %v", patience)
	}
	return nil
}

// bucket is one with replicas on so many servers.
func bucket(ctx context.Context, nc *nats.Conn, replicas int) (js natsjs.JetStream, kv natsjs.KeyValue, err error) {
	js, err = natsjs.New(nc)
	if err != nil {
		return nil, nil, err
	}
	return js, kv, untilElected(ctx, func(ctx context.Context) error {
		kv, err = js.CreateKeyValue(ctx, natsjs.KeyValueConfig{Bucket: "STATE", Replicas: replicas})
		return err
	})
}

// untilElected calls f until servers can do that which have to elect who leads them first.
func untilElected(ctx context.Context, f func(ctx context.Context) error) error {
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		within, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := f(within)
		cancel()
		if err == nil || time.Since(begun) > patience {
			return err
		}
	}
}

// update writes a value at a revision, and returns the next one.
type update func(ctx context.Context, js natsjs.JetStream, kv natsjs.KeyValue, key string, value []byte, revision uint64) (uint64, error)

func putBare(serve func(*env) (*nats.Conn, error), replicas int, update update) func(e *env) (run, error) {
	return func(e *env) (run, error) {
		nc, err := serve(e)
		if err != nil {
			return nil, err
		}
		js, kv, err := bucket(e.ctx, nc, replicas)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(e.ctx, time.Hour) // else the client's own, of seconds
		e.onClose(func() error { cancel(); return nil })
		revisions := make([]uint64, savers)
		return e.concurrently(savers, func(i int) (int, error) {
			value := make([]byte, savedBytes)
			binary.LittleEndian.PutUint64(value, uint64(i))
			revision, err := untilFree(ctx, update, js, kv, strconv.Itoa(i), value, revisions[i])
			revisions[i] = revision
			return i, err
		}), nil
	}
}

// untilFree makes an update again when a server of three says that a write before it is under way, although it
// has acknowledged that.
func untilFree(ctx context.Context, update update, js natsjs.JetStream, kv natsjs.KeyValue, key string, value []byte, revision uint64) (uint64, error) {
	for try := 1; ; try++ {
		next, err := update(ctx, js, kv, key, value, revision)
		var api *natsjs.APIError
		if errors.As(err, &api) && api.ErrorCode == natsjs.JSErrCodeStreamWrongLastSequenceConstant && try < 100 {
			continue
		}
		return next, err
	}
}

func updateBare(ctx context.Context, _ natsjs.JetStream, kv natsjs.KeyValue, key string, value []byte, revision uint64) (uint64, error) {
	return kv.Update(ctx, key, value, revision)
}

func updateAsync(ctx context.Context, js natsjs.JetStream, kv natsjs.KeyValue, key string, value []byte, revision uint64) (uint64, error) {
	f, err := js.PublishAsync("$KV."+kv.Bucket()+"."+key, value, natsjs.WithExpectLastSequencePerSubject(revision))
	if err != nil {
		return 0, err
	}
	select {
	case ack := <-f.Ok():
		return ack.Sequence, nil
	case err := <-f.Err():
		return 0, err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func saveStates(serve func(*env) (*nats.Conn, error), replicas int) func(e *env) (run, error) {
	return func(e *env) (run, error) {
		nc, err := serve(e)
		if err != nil {
			return nil, err
		}
		js, kv, err := bucket(e.ctx, nc, replicas)
		if err != nil {
			return nil, err
		}
		store, err := natskv.New(e.ctx, js, kv.Bucket())
		if err != nil {
			return nil, err
		}
		g, err := grid.Start(e.ctx, e.sys, grid.Options{Logger: quiet(), Kinds: []grid.Kind{{
			Name: "saver", Accepts: []grid.Message{grid.MessageOf[number]()}, Setup: func(w *actors.Worker, id string) error {
				return saving(w, id, state.Options{Store: store, Kind: "saver", SaveWithin: patience})
			},
		}}})
		if err != nil {
			return nil, err
		}
		e.onClose(func() error { _, err := g.Drain(e.ctx); return err })
		pids := make([]*actor.PID, savers)
		for i := range pids {
			pids[i] = g.PID("saver", strconv.Itoa(i))
		}
		return e.concurrently(savers, func(i int) (int, error) {
			v, err := actors.RequestFuture[number](e.sys.Root, pids[i], wrapperspb.Int64(int64(i))).Wait(e.ctx)
			return int(v.GetValue()), err
		}), nil
	}
}

// saving is the setup of a worker whose state is what it was sent last.
func saving(w *actors.Worker, id string, o state.Options) error {
	s, err := state.Load[wrapperspb.BytesValue](w, id, o)
	if err != nil {
		return err
	}
	actors.Handle(w, func(t *actors.Task, n number) (number, error) {
		err := s.Update(t, func(v *wrapperspb.BytesValue) error {
			v.Value = make([]byte, savedBytes)
			binary.LittleEndian.PutUint64(v.Value, uint64(n.Value))
			return nil
		})
		return n, err
	})
	return nil
}
