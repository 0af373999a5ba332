// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
	"github.com/protoloop/protoloop/internal/ownership"
)

// machines are nodes with real workers, each with an actor system of its own.
type machines struct {
	*testing.T
	store  *gridtest.Cluster
	kind   grid.Kind
	hasNet bool
	change func(o *grid.Options) // nil, or of the options of a node that is started
	all    []*machine

	mu   sync.Mutex
	keys map[string]*keyLog
}

type machine struct {
	*gridtest.Node
	sys  *actor.ActorSystem
	g    *grid.Grid
	dead bool
	held bool // it was paused, and may not know what others have
}

// keyLog is what the workers of a key have done, on whatever machine.
type keyLog struct {
	at   string // the machine whose worker runs now, "": none
	rev  uint64 // the greatest token so far
	runs int
}

const (
	machineShards = 64
	machineLease  = 2 * time.Second
)

// onMachines calls f with n nodes in a bubble.
func onMachines(t *testing.T, n int, change func(k *grid.Kind), f func(w *machines)) {
	t.Helper()
	onCluster(t, n, gridtest.Options{}, false, change, f)
}

// onCluster is onMachines with what the store and the network are like, and with a Net or without.
func onCluster(t *testing.T, n int, o gridtest.Options, hasNet bool, change func(k *grid.Kind), f func(w *machines)) {
	t.Helper()
	o.Seed = simulationSeed(t)
	actortest.Run(t, func(t *testing.T, _ *actor.ActorSystem) {
		w := &machines{T: t, store: gridtest.New(o), keys: map[string]*keyLog{}, hasNet: hasNet}
		w.kind = grid.Kind{Name: "account", Accepts: accepts(), Setup: w.setup, Options: actors.Options{StopGrace: 30 * time.Second}}
		if change != nil {
			change(&w.kind)
		}
		for range n {
			w.start()
		}
		time.Sleep(5 * time.Second)
		defer func() {
			for _, m := range w.all {
				if !m.dead {
					w.drain(m)
				}
			}
			for _, m := range w.all {
				if m.dead {
					m.g.Kill()
					w.drain(m)
				}
			}
		}()
		f(w)
	})
}

func (w *machines) start() *machine {
	w.Helper()
	return w.startAs(fmt.Sprint("node-", len(w.all)+1))
}

func (w *machines) startAs(name string) *machine {
	w.Helper()
	m := &machine{Node: w.store.Node(name), sys: actortest.NewSystem(w.T)}
	g, err := grid.Start(w.Context(), m.sys, w.options(m))
	if err != nil {
		w.Fatal(err)
	}
	m.g = g
	w.mu.Lock()
	w.all = append(w.all, m)
	w.mu.Unlock()
	return m
}

func (w *machines) options(m *machine) grid.Options {
	kind := w.kind
	setup := kind.Setup
	kind.Setup = func(wk *actors.Worker, id string) error {
		wk.OnStop(func(*actors.Task) error { w.note(m.Name(), id, false, 0); return nil })
		token, err := grid.TokenOf(wk.Task())
		if err != nil {
			return err
		}
		w.note(m.Name(), id, true, token.Rev)
		return setup(wk, id)
	}
	o := grid.Options{Kinds: []grid.Kind{kind}, Store: m.Node, Node: m.Name(), Shards: machineShards, Lease: machineLease}
	if w.hasNet {
		o.Net = m.Node
	}
	if w.change != nil {
		w.change(&o)
	}
	return o
}

// setup is that of a key: a word is answered with the machine's token, a pause lasts.
func (w *machines) setup(wk *actors.Worker, id string) error {
	actors.Handle(wk, func(t *actors.Task, m word) (word, error) {
		token, err := grid.TokenOf(t)
		if err != nil {
			return nil, err
		}
		return say(fmt.Sprint(token.Rev)), nil
	})
	actors.Handle(wk, func(t *actors.Task, d pause) (word, error) {
		if err := t.Sleep(d.AsDuration()); err != nil {
			_, fenced := grid.TokenOf(t)
			return nil, errors.Join(err, fenced)
		}
		token, err := grid.TokenOf(t)
		return say(fmt.Sprint(token.Rev)), err
	})
	return nil
}

func (w *machines) note(at, id string, begins bool, rev uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.keys[id]
	if k == nil {
		k = &keyLog{}
		w.keys[id] = k
	}
	switch {
	case begins && k.at != "" && !w.mayNotKnow(k.at):
		w.Errorf("%s begins on %s and runs on %s", id, at, k.at)
	case begins && rev < k.rev:
		w.Errorf("%s begins on %s with the token %d, and there was %d", id, at, rev, k.rev)
	case begins:
		k.at, k.rev = at, rev
		k.runs++
	case k.at == at:
		k.at = ""
	}
}

// mayNotKnow reports whether a machine of that name has crashed, or was held up.
func (w *machines) mayNotKnow(name string) bool {
	for _, m := range w.all {
		if m.Name() == name && (m.dead || m.held) {
			return true
		}
	}
	return false
}

func (w *machines) pause(m *machine) {
	w.mu.Lock()
	m.held = true
	w.mu.Unlock()
	m.Pause()
}

// placeOf is where the worker of a key runs, "": nowhere.
func (w *machines) placeOf(id string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k := w.keys[id]; k != nil {
		return k.at
	}
	return ""
}

func (w *machines) ask(m *machine, id string, msg any) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	v, err := actors.Call[word](ctx, m.sys.Root, m.g.PID("account", id), msg)
	return v.GetValue(), err
}

// ownerOf is the machine that answers for a key.
func (w *machines) ownerOf(id string) *machine {
	w.Helper()
	var at *machine
	for _, m := range w.all {
		_, err := w.ask(m, id, say("who"))
		switch {
		case err == nil && at != nil:
			w.Fatalf("%s is answered by %s and %s", id, at.Name(), m.Name())
		case err == nil:
			at = m
		case !errors.Is(err, actors.ErrUnavailable) || !actors.RetrySafe(err):
			w.Fatalf("%s of %s: %v", id, m.Name(), err)
		}
	}
	if at == nil {
		w.Fatalf("nobody answers for %s", id)
	}
	return at
}

func (w *machines) drain(m *machine) {
	w.Helper()
	report, err := m.g.Drain(context.Background())
	if err != nil {
		w.Error(err)
	}
	if c := report.Counts(); !c.Agree() || c.Pending != 0 {
		w.Errorf("%s: the account does not add up: %v", m.Name(), c)
	}
}

// TestKeysHaveOneOwner: each key is answered by one node, and the others say which that is.
func TestKeysHaveOneOwner(t *testing.T) {
	onMachines(t, 4, nil, func(w *machines) {
		used := map[string]bool{}
		for _, id := range ids("k", 40) {
			owner := w.ownerOf(id)
			used[owner.Name()] = true
			for _, m := range w.all {
				if _, err := w.ask(m, id, say("who")); m != owner && !strings.Contains(err.Error(), owner.Name()) {
					w.Errorf("%s does not say that %s is that of %s: %v", m.Name(), id, owner.Name(), err)
				}
			}
		}
		if len(used) != 4 {
			w.Errorf("40 keys are those of %d nodes", len(used))
		}
	})
}

// TestHandOverWaitsForTheLastTask, and only the keys of that shard wait.
func TestHandOverWaitsForTheLastTask(t *testing.T) {
	onMachines(t, 1, nil, func(w *machines) {
		first := w.all[0]
		var wg sync.WaitGroup
		for _, id := range ids("k", 40) {
			wg.Go(func() {
				if _, err := w.ask(first, id, sleeping(10*time.Second)); err != nil {
					w.Errorf("%s was not let end: %v", id, err)
				}
			})
		}
		time.Sleep(time.Second)
		w.start()
		time.Sleep(7 * time.Second)
		for _, id := range ids("k", 40) {
			if at := w.placeOf(id); at != first.Name() {
				w.Errorf("after 8 s %s runs on %q", id, at)
			}
			if _, err := w.ask(first, id, say("who")); err == nil {
				continue
			}
			// It is being handed over, and so is each key of its shard: none gets a worker any more.
			other := sameShard(id)
			if _, err := w.ask(first, other, say("who")); !errors.Is(err, actors.ErrUnavailable) || w.placeOf(other) != "" {
				w.Errorf("%s begins while its shard is handed over: %v", other, err)
			}
		}
		wg.Wait()
		time.Sleep(5 * time.Second)
		moved := 0
		for _, id := range ids("k", 40) {
			if w.ownerOf(id) != first {
				moved++
			}
		}
		if moved == 0 || moved == 40 {
			w.Errorf("%d of 40 keys have moved", moved)
		}
	})
}

// sameShard is the id of another key in the shard of id.
func sameShard(id string) string {
	shard := ownership.ShardOf("account/"+id, machineShards)
	for i := 0; ; i++ {
		if other := fmt.Sprint("other", i); ownership.ShardOf("account/"+other, machineShards) == shard {
			return other
		}
	}
}

// TestTrap4MachineSleepsAtWork: the timer that ends the lease stands still, but after the sleep no turn begins, be it the first
// of a task or one behind an await, no answer is given, and no token is had.
func TestTrap4MachineSleepsAtWork(t *testing.T) {
	var first, second atomic.Int32
	for _, how := range []string{"awaits", "blocks"} {
		onMachines(t, 1, func(k *grid.Kind) {
			k.Options.MaxInFlight = 1
			k.Setup = func(wk *actors.Worker, id string) error {
				actors.Handle(wk, func(t *actors.Task, d pause) (word, error) {
					if how == "blocks" {
						time.Sleep(d.AsDuration())
						return say("done"), nil
					}
					err := t.Sleep(d.AsDuration())
					if err == nil {
						first.Add(1)
					}
					return say("done"), err
				})
				actors.Handle(wk, func(t *actors.Task, m word) (word, error) {
					second.Add(1)
					return m, nil
				})
				return nil
			}
		}, func(w *machines) {
			m := w.all[0]
			asked, queued := make(chan error), make(chan error)
			go func() {
				_, err := w.ask(m, "k", sleeping(5*time.Second))
				asked <- err
			}()
			time.Sleep(time.Second)
			go func() {
				_, err := w.ask(m, "k", say("queued"))
				queued <- err
			}()
			time.Sleep(100 * time.Millisecond)
			m.Suspend() // what it runs does not stand still here: it goes on as it would after the sleep
			if err := <-asked; !errors.Is(err, actors.ErrFenced) || actors.RetrySafe(err) {
				w.Errorf("%s: it has ended with %v", how, err)
			}
			if err := <-queued; !errors.Is(err, actors.ErrStopping) || !actors.RetrySafe(err) {
				w.Errorf("%s: what was queued has ended with %v", how, err)
			}
			if _, err := w.ask(m, "k", say("who")); !errors.Is(err, actors.ErrUnavailable) {
				w.Errorf("it is asked all the same: %v", err)
			}
			m.Resume()
		})
	}
	if first.Load()+second.Load() > 0 {
		t.Errorf("%d turns have begun behind an await, %d tasks", first.Load(), second.Load())
	}
}

// TestLeaseEndsTheWork: a node that is cut off stops what it does before the next owner begins.
func TestLeaseEndsTheWork(t *testing.T) {
	onMachines(t, 3, nil, func(w *machines) {
		owner := w.ownerOf("k")
		begun := time.Now()
		owner.Cut(gridtest.All)
		_, err := w.ask(owner, "k", sleeping(time.Hour))
		if took := time.Since(begun); took > machineLease {
			w.Errorf("it went on for %v", took)
		}
		if !errors.Is(err, actors.ErrFenced) || !strings.Contains(err.Error(), "the lease of its node was over") || actors.RetrySafe(err) {
			w.Errorf("it has ended with %v", err)
		}
		if _, err := w.ask(owner, "k", say("who")); !errors.Is(err, actors.ErrUnavailable) {
			w.Errorf("it is asked all the same: %v", err)
		}
		time.Sleep(3 * time.Second)
		others := &machines{T: w.T, all: nil}
		for _, m := range w.all {
			if m != owner {
				others.all = append(others.all, m)
			}
		}
		next := others.ownerOf("k")
		owner.Heal()
		time.Sleep(10 * time.Second)
		if back := w.ownerOf("k"); back != owner {
			w.Errorf("it has gone from %s to %s and then to %s", owner.Name(), next.Name(), back.Name())
		}
	})
}

var errGaveUp = errors.New("gave up")

// TestClusterUnderFaults: nodes come, go, are cut off and held, while each key is asked. An ask that has not run is
// made again wherever the key is; each acknowledged answer has a token that is not smaller than the last one.
func TestClusterUnderFaults(t *testing.T) {
	nodes, keys, rounds := 20, 100, 30
	if testing.Short() {
		nodes, keys, rounds = 5, 20, 6
	}
	onMachines(t, nodes, nil, func(w *machines) {
		dice := rand.New(rand.NewPCG(simulationSeed(w.T), 2))
		over := make(chan struct{})
		var wg sync.WaitGroup
		var mu sync.Mutex // of w.all
		answers := make([]int, keys)
		for i, id := range ids("k", keys) {
			own := rand.New(rand.NewPCG(dice.Uint64(), 3))
			wg.Go(func() {
				for {
					select {
					case <-over:
						return
					case <-time.After(time.Duration(1+own.IntN(40)) * time.Millisecond):
					}
					mu.Lock()
					m := w.all[own.IntN(len(w.all))]
					mu.Unlock()
					_, err := w.ask(m, id, sleeping(time.Duration(own.IntN(20))*time.Millisecond))
					switch {
					case err == nil:
						answers[i]++
					case actors.RetrySafe(err), errors.Is(err, actors.ErrStopped), errors.Is(err, actors.ErrFenced), errors.Is(err, actors.ErrCanceled):
					default:
						w.Errorf("%s: %v", id, err)
					}
				}
			})
		}
		for range rounds {
			m := w.all[dice.IntN(len(w.all))]
			switch dice.IntN(4) {
			case 0:
				m.Cut(gridtest.All)
				time.Sleep(time.Duration(dice.IntN(6000)) * time.Millisecond)
				m.Heal()
			case 1:
				m.Cut(gridtest.Answers | gridtest.Notices)
				time.Sleep(time.Duration(dice.IntN(6000)) * time.Millisecond)
				m.Heal()
			case 2:
				w.drain(m)
				time.Sleep(time.Second)
				next := &machine{Node: w.store.Node(m.Name()), sys: m.sys}
				g, err := grid.Start(context.Background(), m.sys, w.options(next))
				if err != nil {
					w.Error(err)
					return
				}
				next.g = g
				mu.Lock()
				for i := range w.all {
					if w.all[i] == m {
						w.all[i] = next
					}
				}
				mu.Unlock()
			case 3:
				w.store.Stall(time.Duration(dice.IntN(3000)) * time.Millisecond)
				time.Sleep(3 * time.Second)
			}
			time.Sleep(time.Duration(dice.IntN(3000)) * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		close(over)
		wg.Wait()
		runs := 0
		for i, id := range ids("k", keys) {
			if answers[i] == 0 {
				w.Errorf("%s was never answered", id)
			}
			w.ownerOf(id)
			runs += w.keys[id].runs
		}
		w.Logf("%d keys had %d workers", keys, runs)
		if runs <= keys {
			w.Error("none has moved")
		}
	})
}

// TestStartInACluster: what a Start says that cannot join.
func TestStartInACluster(t *testing.T) {
	onMachines(t, 1, nil, func(w *machines) {
		sys := actortest.NewSystem(w.T)
		m := &machine{Node: w.store.Node("late"), sys: sys}
		o := w.options(m)
		o.Shards = 2 * machineShards
		var mistake *actors.OptionError
		if _, err := grid.Start(w.Context(), sys, o); !errors.As(err, &mistake) || mistake.Field != "Shards" {
			w.Errorf("with another number of shards: %v", err)
		}
		o.Shards = machineShards
		m.Cut(gridtest.All)
		ctx, cancel := context.WithTimeoutCause(w.Context(), 10*time.Second, errGaveUp)
		defer cancel()
		if _, err := grid.Start(ctx, sys, o); !errors.Is(err, errGaveUp) || !strings.Contains(err.Error(), "deadline") {
			w.Errorf("without a store: %v", err)
		}
		m.Heal()
		g, err := grid.Start(w.Context(), sys, o)
		if err != nil {
			w.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		m.g = g
		w.all = append(w.all, m)
		w.ownerOf("k")
		for _, o := range []grid.Options{{Kinds: o.Kinds, Store: m.Node}, {Kinds: o.Kinds, Node: "n"}, {Kinds: o.Kinds, Store: m.Node, Node: "n", Shards: -1}, {Kinds: o.Kinds, Store: m.Node, Node: "n", Lease: -1}} {
			if err := o.Validate(); !errors.As(err, &mistake) {
				w.Errorf("%+v: %v", o, err)
			}
		}
	})
}

// TestDrainHandsOver: each key has a worker elsewhere a moment after it was given up, and none is answered twice.
func TestDrainHandsOver(t *testing.T) {
	onMachines(t, 3, nil, func(w *machines) {
		for _, id := range ids("k", 40) {
			w.ownerOf(id)
		}
		gone := w.all[0]
		w.drain(gone)
		if _, err := w.ask(gone, "k1", say("who")); !errors.Is(err, actors.ErrStopping) {
			w.Errorf("a drained node says %v", err)
		}
		w.all = w.all[1:]
		time.Sleep(maxAfterHandOver)
		for _, id := range ids("k", 40) {
			w.ownerOf(id)
		}
	})
}

// TestTokenOfNobody: a worker that is no key's, and a key's without a Store, have none.
func TestTokenOfNobody(t *testing.T) {
	run(t, func(k *grid.Kind) {
		k.Setup = func(wk *actors.Worker, _ string) error {
			actors.Handle(wk, func(t *actors.Task, _ word) (word, error) {
				_, err := grid.TokenOf(t)
				return nil, err
			})
			return nil
		}
	}, func(w *world) {
		if _, err := w.ask("k", say("token")); !errors.Is(err, actors.ErrFenced) {
			w.Errorf("without a store: %v", err)
		}
		_, err := actors.Run(w.Context(), func(t *actors.Task) (grid.Token, error) { return grid.TokenOf(t) })
		if !errors.Is(err, actors.ErrFenced) {
			w.Errorf("no key: %v", err)
		}
	})
}
