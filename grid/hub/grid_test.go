// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
)

// gridVariable has the hubclient.Options of a process with a grid.
const gridVariable = "PROTOLOOP_TEST_GRID"

// hang is asked of a worker that does not answer.
const hang = "hang"

var whoami actors.Method[*wrapperspb.StringValue, *wrapperspb.StringValue]

// kinds are those of a node. With no workers of its own it only asks.
func kinds(node string, workers bool) []grid.Kind {
	k := grid.Kind{Name: "account", Accepts: []grid.Message{grid.MessageOf[*wrapperspb.StringValue]()}}
	if workers {
		k.Setup = func(w *actors.Worker, id string) error {
			whoami.Handle(w, func(t *actors.Task, m *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
				if m.Value == hang {
					return nil, t.Sleep(time.Hour)
				}
				return wrapperspb.String(node + " " + id), nil
			})
			return nil
		}
	}
	return []grid.Kind{k}
}

// startGrid starts a node.
func startGrid(ctx context.Context, c *hubclient.Client, workers bool) (*grid.Grid, *actor.ActorSystem, error) {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
	g, err := grid.Start(ctx, sys, grid.Options{
		Node: c.Node(), Store: c.Store(), Net: c.Net(), Kinds: kinds(c.Node(), workers), Shards: 64, Settle: 200 * time.Millisecond, Logger: quiet,
		Lease: 10 * time.Second, // a slow machine is not to lose it; with the default the keys have an owner again after 2.3 s
	})
	return g, sys, err
}

// gridChild is a process with a grid.
func gridChild(options string) error {
	var o hubclient.Options
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		return err
	}
	o.Logger = quiet
	c, err := hubclient.Dial(context.Background(), o)
	if err != nil {
		return err
	}
	_, _, err = startGrid(context.Background(), c, true)
	return err
}

// TestGrid: two nodes have workers, a third only asks, all in processes of their own but that, over a hub with
// certificates. One with asks in flight is killed: they fail by a code that says that they may have run, and the other has its
// keys soon.
func TestGrid(t *testing.T) {
	ca := authority(t)
	h := start(t, hub.Options{Hubs: map[string]string{"hub": "127.0.0.1:0"}, Name: "hub", Certificates: hubFiles(t, ca, "hub")})
	hubs := []string{h.Addr()}
	spawnGrid := func(name string) *process {
		t.Helper()
		p, ready := spawn(t, gridVariable, hubclient.Options{Cluster: "shop", Hubs: hubs, Certificates: nodeFiles(t, ca, name)})
		ready()
		return p
	}
	procs := map[string]*process{"a": spawnGrid("a"), "b": spawnGrid("b")}
	asker, sys, err := startGrid(t.Context(), dial(t, hubclient.Options{Hubs: hubs, Certificates: nodeFiles(t, ca, "asker")}), false)
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Shutdown()
	defer func() { _, _ = asker.Drain(context.Background()) }()

	const keys = 50
	ask := func(ctx context.Context, key int, what string) (string, error) {
		answer, err := whoami.Call(ctx, sys.Root, asker.PID("account", fmt.Sprint(key)), wrapperspb.String(what))
		return answer.GetValue(), err
	}
	// owners is who answers for each key.
	owners := func() map[int]string {
		t.Helper()
		of := map[int]string{}
		for key := range keys {
			actortest.Eventually(t, fmt.Sprint("an answer of key ", key), func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				answer, err := ask(ctx, key, "who")
				var id int
				_, _ = fmt.Sscan(answer, new(string), &id)
				if err != nil || id != key {
					t.Logf("key %d: %q, %v", key, answer, err)
					return false
				}
				of[key] = answer[:1]
				return true
			})
		}
		return of
	}
	var of map[int]string
	actortest.Eventually(t, "both nodes to have their share", func() bool {
		of = owners()
		count := map[string]int{}
		for _, owner := range of {
			count[owner]++
		}
		return count["a"] > keys/5 && count["b"] > keys/5
	})

	// Asks that hang, of all keys; those of a fail when it is killed, and those of b do not.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var failed atomic.Int64
	errs := make([]error, keys)
	var wg sync.WaitGroup
	var began atomic.Pointer[time.Time]
	var mu sync.Mutex
	var took time.Duration
	for key := range keys {
		wg.Go(func() {
			_, errs[key] = ask(ctx, key, hang)
			if at := began.Load(); at != nil && errors.Is(errs[key], actors.ErrNodeLost) {
				mu.Lock()
				took = max(took, time.Since(*at))
				mu.Unlock()
			}
			if errors.Is(errs[key], actors.ErrNodeLost) {
				failed.Add(1)
			}
		})
	}
	// What is sent afterwards by the same way has been answered, so they are there.
	ofA := 0
	for key, owner := range owners() {
		if of[key] != owner {
			delete(of, key) // it has moved meanwhile, with or without the ask
		} else if owner == "a" {
			ofA++
		}
	}
	now := time.Now()
	began.Store(&now)
	procs["a"].kill()
	actortest.Eventually(t, "the asks in flight to the killed node to fail", func() bool { return failed.Load() >= int64(ofA) })
	mu.Lock()
	t.Logf("%d asks in flight have failed within %v", ofA, took)
	mu.Unlock()
	for key, owner := range owners() {
		if owner != "b" {
			t.Errorf("key %d is answered by %s", key, owner)
		}
	}
	t.Logf("all keys have an owner again after %v", time.Since(now))
	cancel()
	wg.Wait()
	for key := range keys {
		if of[key] == "a" && !errors.Is(errs[key], actors.ErrNodeLost) {
			t.Errorf("an ask of %d in flight to the killed node: %v", key, errs[key])
		}
	}
}
