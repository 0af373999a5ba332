// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hub_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/hub"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
	"github.com/protoloop/protoloop/internal/testtools"
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
func startGrid(ctx context.Context, c *hubclient.Client, net grid.Net, workers bool) (*grid.Grid, *actor.ActorSystem, error) {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
	g, err := grid.Start(ctx, sys, grid.Options{
		Node: c.Node(), Store: c.Store(), Net: net, Kinds: kinds(c.Node(), workers), Shards: 64, Settle: 200 * time.Millisecond, Logger: quiet,
		Lease: 10 * time.Second, // a slow machine is not to lose it; with the default the keys have an owner again after 2.3 s
	})
	return g, sys, err
}

// gridChild is a process with a grid.
func gridChild(o hubclient.Options) (string, func(), error) {
	o.Logger = quiet
	c, err := hubclient.Dial(context.Background(), o)
	if err != nil {
		return "", nil, err
	}
	_, _, err = startGrid(context.Background(), c, c.Net(), true)
	return "", c.Close, err
}

// TestGrid: two nodes have workers, a third only asks, all in processes of their own but that, over a hub with
// certificates. One with asks in flight is killed: they fail by a code that says that they may have run, and the other has its
// keys soon.
func TestGrid(t *testing.T) {
	ca := authority(t)
	h := start(t, hub.Options{Hubs: map[string]string{"hub": "127.0.0.1:0"}, Name: "hub", Certificates: hubFiles(t, ca, "hub")})
	hubs := []string{h.Addr()}
	spawnGrid := func(name string) *testtools.Process {
		t.Helper()
		p := testtools.Spawn(t, gridVariable, hubclient.Options{Cluster: "shop", Hubs: hubs, Certificates: nodeFiles(t, ca, name)})
		p.Ready()
		return p
	}
	procs := map[string]*testtools.Process{"a": spawnGrid("a"), "b": spawnGrid("b")}
	c := dial(t, hubclient.Options{Hubs: hubs, Certificates: nodeFiles(t, ca, "asker")})
	asker, sys, err := startGrid(t.Context(), c, c.Net(), false)
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
	procs["a"].Kill()
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

// TestAsksWhenAHubIsLost: of three hubs that is killed, or held, over which a node asks another. It may have swallowed asks and answers,
// of which nobody is told. Every ask ends: it is answered, or fails by a code. Afterwards all are answered.
func TestAsksWhenAHubIsLost(t *testing.T) {
	if testing.Short() {
		t.Skip("three processes with etcd are much for a slow machine")
	}
	t.Parallel()
	for how, signal := range map[string]os.Signal{"killed": syscall.SIGKILL, "held": syscall.SIGSTOP} {
		t.Run(how, func(t *testing.T) { testAsksWhenAHubIsLost(t, signal) })
	}
}

func testAsksWhenAHubIsLost(t *testing.T, signal os.Signal) {
	ca := authority(t)
	procs, all := killTrio(t, ca)
	owner := dial(t, hubclient.Options{Hubs: all, Certificates: nodeFiles(t, ca, "owner")})
	asker := dial(t, hubclient.Options{Hubs: all, Certificates: nodeFiles(t, ca, "asker")})
	g, ownerSys, err := startGrid(t.Context(), owner, atFirst(t, ca, all, "owner"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer ownerSys.Shutdown()
	defer func() { _, _ = g.Drain(context.Background()) }()
	asks, sys, err := startGrid(t.Context(), asker, atFirst(t, ca, all, "asker"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Shutdown()
	defer func() { _, _ = asks.Drain(context.Background()) }()
	const keys = 32
	ask := func(key int) error {
		_, err := whoami.Call(t.Context(), sys.Root, asks.PID("account", fmt.Sprint(key)), wrapperspb.String("who"))
		return err
	}
	answered := func(what string) {
		t.Helper()
		for key := range keys {
			actortest.Eventually(t, fmt.Sprint("an answer of key ", key, " ", what), func() bool { return ask(key) == nil })
		}
	}
	answered("before")
	var total, failed atomic.Int64
	var longest atomic.Int64
	codes := map[string]int{}
	var mu sync.Mutex
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for key := range keys {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				began := time.Now()
				err := ask(key)
				total.Add(1)
				for took := int64(time.Since(began)); took > longest.Load(); {
					longest.Store(took)
				}
				if err != nil {
					failed.Add(1)
					mu.Lock()
					codes[err.Error()]++
					mu.Unlock()
				}
			}
		})
	}
	actortest.Eventually(t, "asks to be answered", func() bool { return total.Load() > 500 })
	procs[all[0]].Signal(signal)
	before := total.Load()
	actortest.Eventually(t, "more asks to be answered", func() bool { return total.Load()-failed.Load() > before+500 })
	close(stop)
	wg.Wait()
	t.Logf("%d asks, the longest of %v, and %d have failed: %v", total.Load(), time.Duration(longest.Load()), failed.Load(), codes)
	answered("after")
}
