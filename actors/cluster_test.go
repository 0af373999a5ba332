// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	clustertest "github.com/asynkron/protoactor-go/cluster/clusterproviders/test"
	"github.com/asynkron/protoactor-go/cluster/identitylookup/disthash"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
)

// greeter is an actor of the form that the engine's generator gives a grain:
// it is told who it is by a ClusterInit, and then gets GrainRequests. It awaits.
type greeter struct {
	ctx   cluster.GrainContext
	waits int // greetings, which wait for each other
}

func (g *greeter) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *cluster.ClusterInit:
		g.ctx = cluster.NewGrainContext(c, m.Identity, m.Cluster)
		c.SetReceiveTimeout(time.Minute)
	case *actor.ReceiveTimeout:
		c.Poison(c.Self())
	case *cluster.GrainRequest:
		var name wrapperspb.StringValue
		if err := proto.Unmarshal(m.MessageData, &name); err != nil {
			c.Respond(&cluster.GrainErrorResponse{Reason: err.Error()})
			return
		}
		text, err := g.greet(name.Value)
		if err != nil {
			c.Respond(&cluster.GrainErrorResponse{Reason: err.Error()})
			return
		}
		bytes, _ := proto.Marshal(wrapperspb.String(text))
		c.Respond(&cluster.GrainResponse{MessageData: bytes})
	}
}

// greet returns when another greeting has come: the mailbox goes on meanwhile.
func (g *greeter) greet(name string) (string, error) {
	t := actors.TaskOf(g.ctx)
	g.waits++
	n := g.waits
	for g.waits == n && n%2 == 1 {
		if err := t.Sleep(time.Millisecond); err != nil {
			return "", err
		}
	}
	return "hello " + name + " from " + g.ctx.Identity(), nil
}

// shop is a worker as a kind: its handler awaits a grain of the other kind.
func shop(w *actors.Worker) error {
	name := cluster.GetClusterIdentity(w).Identity
	sold := 0
	actors.Handle(w, func(t *actors.Task, m *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		if m.Value == "fail" {
			return nil, errSoldOut
		}
		if m.Value == "panic" {
			panic("a failure of the shop")
		}
		sold++
		n := sold
		text, err := actors.Await(t, actors.Offload(t, func(context.Context) (string, error) { // the engine's call blocks
			return greet(cluster.GetCluster(t.ActorSystem()), "greeter-of-"+name, m.Value)
		}))
		if err != nil {
			return nil, err
		}
		return wrapperspb.String(fmt.Sprintf("%s: %s (%d)", name, text, n)), nil
	})
	return nil
}

// greet asks a greeter twice at a time, since it wants two.
func greet(c *cluster.Cluster, identity, name string) (string, error) {
	bytes, err := proto.Marshal(wrapperspb.String(name))
	if err != nil {
		return "", err
	}
	ask := func() (string, error) {
		resp, err := c.Request(identity, "Greeter", &cluster.GrainRequest{MessageData: bytes}, cluster.WithTimeout(soon))
		if err != nil {
			return "", err
		}
		m, ok := resp.(*cluster.GrainResponse)
		if !ok {
			return "", fmt.Errorf("%s answered %v", identity, resp)
		}
		var text wrapperspb.StringValue
		err = proto.Unmarshal(m.MessageData, &text)
		return text.Value, err
	}
	second := make(chan error, 1)
	go func() {
		_, err := ask()
		second <- err
	}()
	text, err := ask()
	if err == nil {
		err = <-second
	}
	return text, err
}

// member is a machine of a cluster that has the two kinds.
func member(t *testing.T, agent *clustertest.InMemAgent) *cluster.Cluster {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard() }))
	config := cluster.Configure("greetings",
		clustertest.NewTestProvider(agent), disthash.New(), remote.Configure("127.0.0.1", 0),
		cluster.WithKinds(
			cluster.NewKind("Greeter", actor.PropsFromProducer(func() actor.Actor { return &greeter{} }, actors.EventLoop(actors.Options{}))),
			cluster.NewKind("Shop", actors.Props(shop)),
		))
	// Members know each other from their provider. What the engine gossips it changes at each
	// interval, also while a connection that is slow still encodes it.
	config.GossipInterval = time.Hour
	c := cluster.New(sys, config)
	c.StartMember()
	conn, err := net.Dial("tcp", sys.Address()) // see machine
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCluster runs plain actors on an event loop and workers as kinds of the
// engine's cluster, of two members.
func TestCluster(t *testing.T) {
	if !inChild(t) {
		return
	}
	defer childDone(t)
	agent := clustertest.NewInMemAgent()
	members := []*cluster.Cluster{member(t, agent), member(t, agent)}
	for _, c := range members {
		actortest.Eventually(t, "the members know each other", func() bool { return c.MemberList.Members().Len() == len(members) })
	}
	ask := func(c *cluster.Cluster, identity, what string) (any, error) {
		return c.Request(identity, "Shop", wrapperspb.String(what), cluster.WithTimeout(soon))
	}
	t.Run("EventLoop", func(t *testing.T) {
		for i := range 8 { // on either member
			for _, c := range members {
				id := fmt.Sprint("greeter-", i)
				if got, err := greet(c, id, "you"); err != nil || got != "hello you from "+id {
					t.Errorf("%q, %v", got, err)
				}
			}
		}
	})
	t.Run("worker", func(t *testing.T) {
		at := map[string]int{}
		for i := range 8 {
			id := fmt.Sprint("shop-", i)
			for k, c := range members {
				got, err := ask(c, id, "you")
				text, _ := got.(*wrapperspb.StringValue)
				if want := fmt.Sprintf("%s: hello you from greeter-of-%s (%d)", id, id, k+1); err != nil || text.GetValue() != want {
					t.Errorf("got %v, %v; want %s", got, err, want)
				}
			}
			at[members[0].Get(id, "Shop").Address]++
		}
		if len(at) != len(members) {
			t.Errorf("the shops are at %v", at)
		}
	})
	t.Run("error", func(t *testing.T) {
		for _, c := range members {
			if got, err := ask(c, "shop-0", "fail"); err != nil || !strings.Contains(fmt.Sprint(got), errSoldOut.Error()) {
				t.Errorf("%v, %v", got, err)
			}
		}
	})
	t.Run("restart", func(t *testing.T) {
		pid := members[0].Get("shop-1", "Shop")
		for _, c := range members {
			if got, err := ask(c, "shop-1", "panic"); err != nil || !strings.Contains(fmt.Sprint(got), "a failure of the shop") {
				t.Errorf("%v, %v", got, err)
			}
			got, err := ask(c, "shop-1", "you") // with fresh state, and still itself
			text, _ := got.(*wrapperspb.StringValue)
			if want := "shop-1: hello you from greeter-of-shop-1 (1)"; err != nil || text.GetValue() != want {
				t.Errorf("got %v, %v; want %s", got, err, want)
			}
		}
		if now := members[0].Get("shop-1", "Shop"); !now.Equal(pid) {
			t.Errorf("it has moved from %v to %v", pid, now)
		}
	})
	t.Run("RequestFuture", func(t *testing.T) { // ours, to what the cluster names
		pid := members[0].Get("shop-2", "Shop")
		for k, c := range members {
			f := actors.RequestFuture[*wrapperspb.StringValue](c.ActorSystem.Root, pid, wrapperspb.String("you"))
			if got, err := result(f); err != nil || got.Value != fmt.Sprintf("shop-2: hello you from greeter-of-shop-2 (%d)", k+3) {
				t.Errorf("%v, %v", got, err)
			}
		}
	})
	t.Run("activated anew", func(t *testing.T) {
		for _, kind := range []string{"Shop", "Greeter"} {
			pid := members[0].Get("shop-3", kind)
			owner := members[0]
			if pid.Address != owner.ActorSystem.Address() {
				owner = members[1]
			}
			if err := owner.ActorSystem.Root.PoisonFuture(pid).Wait(); err != nil {
				t.Error(err)
			}
			actortest.Eventually(t, kind+" is forgotten", func() bool {
				now := owner.Get("shop-3", kind)
				return now != nil && !now.Equal(pid)
			})
		}
		got, err := ask(members[0], "shop-3", "you")
		text, _ := got.(*wrapperspb.StringValue)
		if want := "shop-3: hello you from greeter-of-shop-3 (1)"; err != nil || text.GetValue() != want {
			t.Errorf("got %v, %v; want %s", got, err, want)
		}
	})
}
