// SPDX-License-Identifier: Apache-2.0

//go:build linux

package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/etcd"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
	"github.com/protoloop/protoloop/grid/state"
	"github.com/protoloop/protoloop/grid/state/natskv"
)

// childVariable has the settings of a process that is this test binary.
const childVariable = "PROTOLOOP_TEST_FAULTS"

// settings are those of a child.
type settings struct {
	Role        string
	Hub         hubclient.Options
	Dir         string // of the journals
	Incarnation int
	Shards      int
	Lease       time.Duration
	Seed        uint64 // of a client
	Queue       bool   // a node that consumes the queue, or a client that fills it
	Parts       int
	Mistake     bool
}

// Roles.
const (
	roleNode   = "node"
	roleClient = "client"
)

func TestMain(m *testing.M) {
	text := os.Getenv(childVariable)
	if text == "" {
		actortest.Main(m)
	}
	var s settings
	err := json.Unmarshal([]byte(text), &s)
	if err == nil && s.Role == roleNode {
		err = runNode(s)
	} else if err == nil {
		err = runClient(s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "failed:", err)
		os.Exit(1)
	}
}

// The kinds of keys.
const (
	kindRegister = "register"
	kindList     = "list"
	kindPart     = "part"
)

// bucket is where the hubs have the state of keys, and queue is their queue in parts.
const (
	bucket = "STATE"
	queue  = "WORK"
)

// method is how both kinds are asked: by an op, for a result, in JSON.
var method actors.Method[*wrapperspb.StringValue, *wrapperspb.StringValue]

// number is the state of a register, and names that of a list.
type number struct{ Value int64 }

type names struct{ All []string }

// Apply is state.Applier's.
func (n *names) Apply(name string) { n.All = append(n.All, name) }

// node is what the kinds of a node need.
type node struct {
	settings
	etcd    *etcd.Store
	effects *journal
	asks    atomic.Int64
}

// start starts the grid of a child.
func (s settings) start(ctx context.Context, c *hubclient.Client, net grid.Net, kinds []grid.Kind) (*grid.Grid, *actor.ActorSystem, error) {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return s.logger() }))
	for i := range kinds {
		kinds[i].Idle = 10 * time.Second // so that keys end and are loaded again
		kinds[i].Accepts = []grid.Message{grid.MessageOf[*wrapperspb.StringValue]()}
		if kinds[i].Always != nil {
			kinds[i].Idle, kinds[i].Accepts = 0, nil
		}
	}
	fenced, err := openJournal(s.Dir, fmt.Sprintf("fenced-%s-%d", c.Node(), s.Incarnation))
	if err != nil {
		return nil, nil, err
	}
	g, err := grid.Start(ctx, sys, grid.Options{
		Node: c.Node(), Store: c.Store(), Net: net, Kinds: kinds, Shards: s.Shards, Lease: s.Lease, Logger: s.logger(),
		OnEvent: func(e grid.Event) {
			if e.Kind != grid.ShardGained && e.Kind != grid.ShardGivenUp {
				s.logger().Info("event: "+e.Kind.String(), "node", e.Node, "session", e.Session)
			}
			if e.Kind == grid.Fenced {
				if err := fenced.write(loss{c.Node(), isFenced, now()}); err != nil {
					s.logger().Error("event: not noted", "error", err)
				}
			}
		},
	})
	return g, sys, err
}

func (s settings) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey { // by the clock of the history
			a.Value = slog.DurationValue(now())
		}
		return a
	}}))
}

// runNode is a node with workers. It drains at SIGTERM.
func runNode(s settings) error {
	s.Hub.Logger = s.logger()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() { // the test has ended
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	c, err := dial(ctx, s)
	if err != nil {
		return err
	}
	kinds, err := s.kinds(ctx, c)
	if err != nil {
		return err
	}
	g, sys, err := s.start(ctx, c, c.Net(), kinds)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	<-ctx.Done()
	report, err := g.Drain(context.Background())
	s.logger().Info("drained", "report", fmt.Sprintf("%+v", report), "error", err)
	c.Close()
	sys.Shutdown()
	return err
}

// dial connects to the hubs, some of which may not be there.
func dial(ctx context.Context, s settings) (*hubclient.Client, error) {
	for {
		c, err := hubclient.Dial(ctx, s.Hub)
		if err == nil || ctx.Err() != nil {
			return c, err
		}
		s.logger().Warn("dial", "error", err)
		time.Sleep(100 * time.Millisecond)
	}
}

func (s settings) kinds(ctx context.Context, c *hubclient.Client) ([]grid.Kind, error) {
	if s.Queue {
		return s.partKinds(c)
	}
	nc, err := c.Queues()
	if err != nil {
		return nil, err
	}
	js, err := natsjs.New(nc)
	if err != nil {
		return nil, err
	}
	var store *natskv.Store
	for { // until JetStream has somebody who leads
		within, cancel := context.WithTimeout(ctx, 5*time.Second)
		store, err = natskv.New(within, js, bucket)
		cancel()
		if err == nil {
			break
		}
		s.logger().Warn("open the bucket", "error", err)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		time.Sleep(100 * time.Millisecond)
	}
	n := &node{settings: s}
	var is bool
	if n.etcd, is = c.Store().(*etcd.Store); !is {
		return nil, errors.New("the store is not etcd's")
	}
	if n.effects, err = openJournal(s.Dir, "effects-"+c.Node()); err != nil {
		return nil, err
	}
	o := func(kind string) state.Options {
		return state.Options{Store: store, Kind: kind, AnswerFirst: s.Mistake}
	}
	return []grid.Kind{
		{Name: kindRegister, Setup: func(w *actors.Worker, id string) error {
			r, err := state.Load[number](w, id, o(kindRegister))
			if err != nil {
				return err
			}
			n.handle(w, func(t *actors.Task, op op) (result, error) { return n.register(t, r, op) })
			return nil
		}},
		{Name: kindList, Setup: func(w *actors.Worker, id string) error {
			l, err := state.LoadJournal[names, string](w, id, state.JournalOptions{Options: o(kindList), Every: 20})
			if err != nil {
				return err
			}
			n.handle(w, func(t *actors.Task, op op) (result, error) {
				if op.Do == opAppend && !(op.Once && slices.Contains(l.Value().All, op.Name)) {
					return result{}, l.Record(t, op.Name)
				}
				all := slices.Clone(l.Value().All)
				return result{Names: all}, l.Saved(t)
			})
			return nil
		}},
	}, nil
}

func (n *node) register(t *actors.Task, r *state.State[number], op op) (result, error) {
	is := r.Value().Value
	switch {
	case op.Do == opRead:
		return result{Value: is}, r.Saved(t)
	case op.Do == opCAS && is != op.Old:
		return result{Value: is}, r.Saved(t)
	}
	return result{Swapped: op.Do == opCAS}, r.Update(t, func(v *number) error {
		v.Value = op.Value
		return nil
	})
}

// putEvery is how often a handler stores something in etcd by its token.
const putEvery = 8

// handle notes the token of each handler.
func (n *node) handle(w *actors.Worker, do func(t *actors.Task, op op) (result, error)) {
	method.Handle(w, func(t *actors.Task, m *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		var op op
		if err := json.Unmarshal([]byte(m.Value), &op); err != nil {
			return nil, err
		}
		before := now()
		token, err := grid.TokenOf(t)
		after := now()
		if err != nil {
			return nil, err
		}
		err = n.effects.write(effect{Node: n.Hub.Node, Shard: token.Shard, Rev: token.Rev, Before: before, After: after, Incarnation: n.Incarnation})
		if err != nil {
			return nil, err
		}
		if count := n.asks.Add(1); count%putEvery == 0 {
			err := t.AwaitOffload(func(ctx context.Context) error {
				return n.etcd.Put(ctx, token, fmt.Sprintf("%s%d/%d/%s-%d-%d", putsPrefix, token.Shard, token.Rev, n.Hub.Node, n.Incarnation, count), "")
			}, actors.Timeout(time.Second))
			if errors.Is(err, actors.ErrFenced) {
				return nil, err
			} // any other says that it may be stored
		}
		r, err := do(t, op)
		if err != nil {
			return nil, err
		}
		b, err := json.Marshal(r)
		return wrapperspb.String(string(b)), err
	})
}

// putsPrefix begins the keys in etcd that handlers store.
const putsPrefix = "faults/"

// answers answers the commands that come by the standard input, until that ends.
func answerCommands(do func(command) (any, error)) error {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var cmd command
		if err := json.Unmarshal(line, &cmd); err != nil {
			return err
		}
		var said struct {
			Err    string
			Answer any
		}
		answer, err := do(cmd)
		if said.Answer = answer; err != nil {
			said.Err = err.Error()
		}
		b, err := json.Marshal(said)
		if err != nil {
			return err
		}
		fmt.Println(string(b))
	}
}
