// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/etcd"
	"github.com/protoloop/protoloop/grid/etcd/embedded"
)

type number = *wrapperspb.UInt64Value

// nodes is what the nodes of a cluster note.
type nodes struct {
	*testing.T
	srv *embedded.Server

	mu     sync.Mutex
	tokens map[int]owner // the greatest by shard
}

type owner struct {
	token uint64
	node  string
}

const keys = 200

// note notes the token that a worker of a key has. It never falls, and is one node's.
func (n *nodes) note(node string, t grid.Token) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	is, last := owner{t.Rev, node}, n.tokens[t.Shard]
	if is.token < last.token || is.token == last.token && is != last {
		n.Errorf("shard %d has %+v after %+v", t.Shard, is, last)
	}
	n.tokens[t.Shard] = is
	return nil
}

// node is a process, as it were.
type node struct {
	n      *nodes
	name   string
	client *clientv3.Client
	store  *etcd.Store
	sys    *actor.ActorSystem
	g      *grid.Grid
}

// start starts a node whose workers answer with their token, which they note.
func (n *nodes) start(name string) *node {
	n.Helper()
	client, err := n.srv.Connect()
	must(n, err)
	store, err := etcd.New(client, etcd.Options{Cluster: "c", Logger: slog.New(slog.DiscardHandler)})
	must(n, err)
	is := &node{n: n, name: name, client: client, store: store, sys: actortest.NewSystem(n)}
	n.Cleanup(func() {
		if is.g != nil {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			if _, err := is.g.Drain(ctx); err != nil { // also of a crashed one, which else tries to join for ever
				n.Error(err)
			}
		}
		is.crash()
	})
	is.g, err = grid.Start(n.Context(), is.sys, grid.Options{
		Store: store, Node: name, Shards: 32, Lease: 4 * time.Second, Settle: 10 * time.Millisecond,
		Kinds: []grid.Kind{{
			Name: "k", Accepts: []grid.Message{grid.MessageOf[number]()},
			Setup: func(w *actors.Worker, id string) error {
				actors.Handle(w, func(t *actors.Task, _ number) (number, error) {
					token, err := grid.TokenOf(t)
					if err == nil {
						err = n.note(name, token)
					}
					return wrapperspb.UInt64(token.Rev), err
				})
				return nil
			},
		}},
	})
	must(n, err)
	return is
}

// crash is the end of the process, as far as the others see: nothing of it comes to the server any more.
func (is *node) crash() {
	is.store.Close()
	is.client.Close()
}

// owns is which of the keys answer at a node.
func (is *node) owns() (all []string) {
	for i := range keys {
		key := fmt.Sprint(i)
		ctx, cancel := context.WithTimeout(is.n.Context(), time.Minute)
		_, err := actors.Call[number](ctx, is.sys.Root, is.g.PID("k", key), wrapperspb.UInt64(0))
		cancel()
		switch {
		case err == nil:
			all = append(all, key)
		case errors.Is(err, actors.ErrUnavailable), errors.Is(err, actors.ErrFenced), errors.Is(err, actors.ErrStopping), errors.Is(err, actors.ErrStopped):
		default:
			is.n.Errorf("%s: %v", is.name, err)
		}
	}
	return all
}

// share waits until each key has one owner among these, and each of them some.
func (n *nodes) share(what string, all ...*node) {
	n.Helper()
	actortest.Eventually(n, what, func() bool {
		of, sum := map[string]int{}, 0
		for _, is := range all {
			mine := is.owns()
			if len(mine) == 0 {
				return false
			}
			sum += len(mine)
			for _, key := range mine {
				of[key]++
			}
		}
		return len(of) == keys && sum == keys
	})
}

func (is *node) drain() {
	is.n.Helper()
	report, err := is.g.Drain(is.n.Context())
	must(is.n, err)
	if c := report.Counts(); !c.Agree() || c.Pending != 0 {
		is.n.Errorf("the account of %s does not add up: %v", is.name, c)
	}
}

// TestGrids: nodes join, crash, come again, and drain. Each key has one owner each time, whose token is greater than that of the former.
func TestGrids(t *testing.T) {
	n := &nodes{T: t, srv: startServer(t), tokens: map[int]owner{}}
	a := n.start("a")
	n.share("one has all", a)
	b := n.start("b")
	n.share("two share them", a, b)
	c := n.start("c")
	n.share("three share them", a, b, c)
	b.crash()
	n.share("two have what the crashed one had", a, c)
	b2 := n.start("b") // under its old name
	n.share("it is there again", a, b2, c)
	a.drain()
	n.share("two have what was handed over", b2, c)
	b2.drain()
	n.share("one has all", c)
	c.drain()
	if held := b.owns(); len(held) > 0 {
		t.Errorf("the crashed one answers for %q", held)
	}
}

// TestLostLease: a node whose lease the server has ended joins anew, and its shards have greater tokens.
func TestLostLease(t *testing.T) {
	n := &nodes{T: t, srv: startServer(t), tokens: map[int]owner{}}
	a, b := n.start("a"), n.start("b")
	n.share("two share them", a, b)
	client := connect(t, n.srv)
	for range 3 {
		resp, err := client.Leases(t.Context())
		must(t, err)
		for _, lease := range resp.Leases {
			if _, err := client.Revoke(t.Context(), lease.ID); err != nil {
				t.Log(err) // it has ended by itself
			}
		}
		n.share("they share them again", a, b)
	}
	a.drain()
	b.drain()
}

// TestOtherShards: a node with another number of shards does not start.
func TestOtherShards(t *testing.T) {
	srv := startServer(t)
	join(t, newStore(t, connect(t, srv), "c"), "a")
	_, err := grid.Start(t.Context(), actortest.NewSystem(t), grid.Options{Store: newStore(t, connect(t, srv), "c"), Node: "b", Shards: 99, Kinds: []grid.Kind{{Name: "k", Accepts: []grid.Message{grid.MessageOf[number]()}, Setup: func(*actors.Worker, string) error { return nil }}}})
	if mistake := (*actors.OptionError)(nil); !errors.As(err, &mistake) || mistake.Field != "Shards" {
		t.Error(err)
	}
}
