// SPDX-License-Identifier: Apache-2.0

//go:build unix

package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest/storetest"
)

// patient is a store that makes a call again while its servers elect who leads them.
type patient struct{ grid.Store }

type patientSession struct{ grid.Session }

func again(ctx context.Context, call func() error) error {
	for {
		err := call()
		mistake := (*actors.OptionError)(nil)
		if err == nil || ctx.Err() != nil || errors.Is(err, actors.ErrFenced) || errors.As(err, &mistake) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p patient) Join(ctx context.Context, n grid.Node, ttl time.Duration) (s grid.Session, err error) {
	err = again(ctx, func() error { s, err = p.Store.Join(ctx, n, ttl); return err })
	return patientSession{s}, err
}

func (p patientSession) Renew(ctx context.Context) error {
	return again(ctx, func() error { return p.Session.Renew(ctx) })
}

func (p patientSession) Claim(ctx context.Context, shards []int) (tokens map[int]grid.Token, err error) {
	err = again(ctx, func() error { tokens, err = p.Session.Claim(ctx, shards); return err })
	return tokens, err
}

func (p patientSession) Release(ctx context.Context, shards []int) error {
	return again(ctx, func() error { return p.Session.Release(ctx, shards) })
}

func (p patientSession) Drain(ctx context.Context) error {
	return again(ctx, func() error { return p.Session.Drain(ctx) })
}

func (p patientSession) CutOff(ctx context.Context, is bool) error {
	return again(ctx, func() error { return p.Session.CutOff(ctx, is) })
}

func (p patientSession) Leave(ctx context.Context) error {
	n := 0
	return again(ctx, func() error {
		err := p.Session.Leave(ctx)
		if n++; n > 1 && errors.Is(err, actors.ErrFenced) {
			return nil // the one before had its effect
		}
		return err
	})
}

func TestStoreOfCluster(t *testing.T) {
	client := startCluster(t).connect()
	start := clusters(func() *clientv3.Client { return client })
	storetest.Run(t, func(t *testing.T) storetest.Cluster {
		c := start(t)
		node := c.Node
		c.Node = func(t *testing.T, name string) grid.Store { return patient{node(t, name)} }
		return c
	}, nil)
}

// worker is a node that renews its session, and claims and releases shards, until it is stopped. It joins anew when its
// session is over. It reports a session that was over before its time, and a token that is not greater than those that were given out
// before it was asked for.
type worker struct {
	t      *testing.T
	name   string
	store  grid.Store
	owners *owners

	calls   atomic.Int64 // that have returned without an error
	joins   atomic.Int64
	longest atomic.Int64 // time between two calls that have returned without an error
}

// owners is what was given out to all.
type owners struct {
	// mayEndEarly: a server that was held has gone on. If it was the leader it may end sessions that the new one has renewed: etcd looks
	// whether it has ticked lately, and it has, just now (etcd#15247). The nodes see that by the view.
	mayEndEarly atomic.Bool

	mu    sync.Mutex
	given map[int]map[uint64]string // by shard and token
}

func (o *owners) greatest(shard int) (token uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for t := range o.given[shard] {
		token = max(token, t)
	}
	return token
}

func (o *owners) give(t *testing.T, token grid.Token, to string, before uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.given[token.Shard] == nil {
		o.given[token.Shard] = map[uint64]string{}
	}
	other, is := o.given[token.Shard][token.Rev]
	switch {
	case is && other != to:
		t.Errorf("%v was given to %s and to %s", token, other, to)
	case token.Rev < before, token.Rev == before && !is:
		t.Errorf("%v was given to %s after %d", token, to, before)
	}
	o.given[token.Shard][token.Rev] = to
}

func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		called := time.Now()
		join, cancel := context.WithTimeout(ctx, 2*time.Second)
		s, err := w.store.Join(join, grid.Node{Name: w.name, Kinds: []string{"k"}, Shards: 64}, 2*time.Second)
		cancel()
		if err == nil {
			w.joins.Add(1)
			w.tenure(ctx, s, called)
		}
	}
}

func (w *worker) tenure(ctx context.Context, s grid.Session, joined time.Time) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var good atomic.Int64 // when the last renewal was called that has returned without an error
	begun := joined
	over := func(err error) {
		if !errors.Is(err, actors.ErrFenced) {
			return
		}
		if lasted := time.Since(begun) - time.Duration(good.Load()); lasted < s.TTL() {
			tell := w.t.Errorf
			if w.owners.mayEndEarly.Load() {
				tell = w.t.Logf
			}
			tell("%s: the session was over %v after its last renewal, before %v", w.name, lasted, s.TTL())
		}
		cancel()
	}
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() {
		for ctx.Err() == nil {
			called := time.Since(begun)
			renew, end := context.WithTimeout(ctx, s.TTL())
			all.Go(func() {
				defer end()
				err := s.Renew(renew)
				if err == nil {
					for old := good.Load(); int64(called) > old && !good.CompareAndSwap(old, int64(called)); old = good.Load() {
					}
				}
				over(err)
			})
			pause(ctx, s.TTL()/5)
		}
	})
	all.Go(func() {
		for {
			select {
			case <-s.Free():
			case <-ctx.Done():
				return
			}
		}
	})
	last := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		some := []int{i % 64, (i + 17) % 64, (i + 31) % 64}
		before := map[int]uint64{}
		for _, shard := range some {
			before[shard] = w.owners.greatest(shard)
		}
		call, end := context.WithTimeout(ctx, 2*time.Second)
		tokens, err := s.Claim(call, some)
		for _, token := range tokens {
			w.owners.give(w.t, token, fmt.Sprint(w.name, s.Node().Session), before[token.Shard])
		}
		over(err)
		if err == nil {
			err = s.Release(call, some)
			over(err)
		}
		end()
		if err == nil {
			w.calls.Add(1)
			w.longest.Store(max(w.longest.Load(), int64(time.Since(last))))
			last = time.Now()
		}
		pause(ctx, 5*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// traffic is some workers. stop ends them, and says how it was.
func (c *cluster) traffic() (goOn func(what string), stop func(), o *owners) {
	ctx, cancel := context.WithCancel(c.Context())
	o = &owners{given: map[int]map[uint64]string{}}
	var workers []*worker
	var all sync.WaitGroup
	for i := range 4 {
		w := &worker{t: c.T, name: fmt.Sprint("node-", i), store: newStore(c.T, c.connect(), "traffic"), owners: o}
		workers = append(workers, w)
		all.Go(func() { w.run(ctx) })
	}
	stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
	c.Cleanup(stop)
	goOn = func(what string) {
		c.Helper()
		for _, w := range workers {
			before := w.calls.Load()
			eventually(c.T, what, func(context.Context) error {
				if n := w.calls.Load() - before; n < 10 {
					return fmt.Errorf("%s: %d calls", w.name, n)
				}
				return nil
			})
			c.Logf("%s: %s has joined %d times, at most %v without a call that succeeds", what, w.name, w.joins.Load(), time.Duration(w.longest.Swap(0)).Round(10*time.Millisecond))
		}
	}
	return goOn, stop, o
}

// TestLeaderIsKilled: while the servers elect another leader calls fail, but no session ends before its time, and
// no token is given twice or falls.
func TestLeaderIsKilled(t *testing.T) {
	c := startCluster(t)
	goOn, stop, _ := c.traffic()
	for range 3 {
		goOn("before the kill")
		leader := c.leader()
		leader.Kill()
		goOn("while it is away")
		c.start(leader)
		leader.Ready()
		goOn("when it is back")
	}
	stop()
}

// TestServerHangs: a server that is held, as on a disk that hangs, holds up nobody: renewals and watches go to another.
func TestServerHangs(t *testing.T) {
	c := startCluster(t)
	goOn, stop, owners := c.traffic()
	watching := newStore(t, c.connect(), "watched")
	goOn("before")
	for i, p := range append(slices.Clone(c.processes), c.leader()) {
		p.Signal(syscall.SIGSTOP)
		goOn("while " + p.o.Name + " is held")
		store := patient{newStore(t, c.connect(), "watched")}
		s, err := store.Join(t.Context(), grid.Node{Name: fmt.Sprint("new ", i), Shards: 8}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		ask := func(ctx context.Context) error { return s.(patientSession).Session.Renew(ctx) }
		eventually(t, "it is shown", ask)
		for seen := false; !seen; {
			select {
			case v := <-watching.View():
				seen = slices.ContainsFunc(v.Nodes, func(n grid.Node) bool { return n.Session == s.Node().Session })
			case <-t.Context().Done():
				t.Fatal("the new node is not seen")
			}
		}
		owners.mayEndEarly.Store(true)
		p.Signal(syscall.SIGCONT)
		goOn("when " + p.o.Name + " goes on")
	}
	stop()
}

// TestAllAreKilled: what was acknowledged is on the disk. No token falls when all servers are killed at once, and a session goes on.
func TestAllAreKilled(t *testing.T) {
	c := startCluster(t)
	goOn, stop, _ := c.traffic()
	client := c.connect()
	store := patient{newStore(t, client, "stays")}
	s, err := store.Join(t.Context(), grid.Node{Name: "stays", Shards: 8}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := s.Claim(t.Context(), []int{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	other := patient{newStore(t, client, "stays")}
	waits, err := other.Join(t.Context(), grid.Node{Name: "waits", Shards: 8}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := waits.Claim(t.Context(), []int{2}); err != nil || len(got) > 0 {
		t.Fatalf("%v, %v", got, err)
	}
	for range 3 {
		goOn("before the kill")
		for _, p := range c.processes {
			p.Kill()
		}
		c.startAll()
		goOn("after it")
		if again, err := s.Claim(t.Context(), []int{1, 2}); err != nil || !maps.Equal(tokens, again) {
			t.Errorf("it had %v, and has %v, %v", tokens, again, err)
		}
	}
	stop()
	if err := s.Release(t.Context(), []int{2}); err != nil {
		t.Error(err)
	}
	select {
	case shard := <-waits.Free(): // it has waited all the time
		if shard != 2 {
			t.Error(shard)
		}
	case <-t.Context().Done():
		t.Fatal("not free")
	}
	if got, err := waits.Claim(t.Context(), []int{2}); err != nil || got[2].Rev <= tokens[2].Rev {
		t.Errorf("%v is followed by %v, %v", tokens, got, err)
	}
}
