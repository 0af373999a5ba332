// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
)

// simulate calls f with a small cluster in a bubble, and reports what was wrong.
func simulate(t *testing.T, shards, nodes int, f func(s *simulation)) {
	t.Helper()
	seed := simulationSeed(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, shards, seed, grid.None)
		defer s.end()
		s.startMany(nodes)
		s.settled("start")
		f(s)
		sum := s.cluster.Owners.Take()
		for _, fault := range append(s.faults, sum.Faults...) {
			t.Error(fault)
		}
	})
}

// TestStoreStalls: a store that does nothing for 1.3 s, as one that elects a leader, ends no lease.
func TestStoreStalls(t *testing.T) {
	simulate(t, 128, 10, func(s *simulation) {
		s.cluster.Owners.Take()
		for range 5 {
			s.cluster.Stall(1300 * time.Millisecond)
			time.Sleep(3 * time.Second)
		}
		if sum := s.cluster.Owners.Take(); sum.Fencings > 0 || sum.Moves > 0 {
			s.Errorf("leases have ended: %v", sum)
		}
		s.cluster.Stall(10 * time.Second) // all end by themselves, and come back
		time.Sleep(5 * time.Second)
		for shard := range s.shards {
			if n := s.cluster.Owners.Of(shard); n != nil {
				s.Fatalf("%s owns shard %d after 5 s without a store", n.Name(), shard)
			}
		}
		s.settled("after 10 s without a store")
	})
}

// TestMachineSleeps: its timers stand still meanwhile, so that none has fired as it wakes up. The node owns nothing
// from the first moment on.
func TestMachineSleeps(t *testing.T) {
	simulate(t, 64, 4, func(s *simulation) {
		n := s.nodes[0]
		owned := 0
		for shard := range s.shards {
			if _, is := n.TokenOf(shard); is {
				owned++
			}
		}
		if owned == 0 {
			s.Fatal("it owns nothing at first")
		}
		n.Suspend()
		time.Sleep(10 * time.Second)
		n.Resume()
		for shard := range s.shards {
			if token, is := n.TokenOf(shard); is {
				s.Errorf("it has %v as it wakes up", token)
			}
		}
		s.settled("after the sleep")
	})
}

// TestSessionIsEnded: a node whose session is not in the view any more owns nothing, also if no renewal tells it so.
func TestSessionIsEnded(t *testing.T) {
	simulate(t, 64, 4, func(s *simulation) {
		n := s.nodes[0]
		n.Cut(gridtest.Requests)
		time.Sleep(20 * time.Millisecond) // what was under way
		n.Expire()
		time.Sleep(20 * time.Millisecond)
		s.cluster.Owners.Take() // the store was wrong: others may have begun before it knew
		for shard := range s.shards {
			if token, is := n.TokenOf(shard); is {
				s.Fatalf("it has %v", token)
			}
		}
		n.Heal()
		s.settled("after the end")
	})
}

// TestTokenOf: it is had by the owner, and by nobody else.
func TestTokenOf(t *testing.T) {
	simulate(t, 64, 4, func(s *simulation) {
		for shard := range s.shards {
			for _, n := range s.nodes {
				token, is := n.TokenOf(shard)
				if owns := s.cluster.Owners.Of(shard) == n.Node; is != owns || is && (token.Shard != shard || token.Rev == 0) {
					s.Errorf("%s has %v, %v, of shard %d, and owns it: %v", n.Name(), token, is, shard, owns)
				}
			}
		}
	})
}

// TestRestartUnderItsName: a node crashes, and is there again before its lease is over.
func TestRestartUnderItsName(t *testing.T) {
	simulate(t, 64, 4, func(s *simulation) {
		s.cluster.Owners.Take()
		n := s.nodes[0]
		s.crash(n)
		time.Sleep(50 * time.Millisecond)
		s.start(n.Name())
		s.settled("after the restart")
		sum := s.cluster.Owners.Take()
		if longest := sum.Max(gridtest.Crash); longest > maxAfterCrash {
			s.Errorf("a shard had no owner for %v", longest)
		}
		if sum.Max(gridtest.HandOver) > 0 || len(sum.Gaps[gridtest.Crash]) == 0 {
			s.Errorf("its shards have not come straight back to it: %v", sum)
		}
	})
}

// TestCallsAreLost: one call of ten has no effect, and one answer of ten does not come back.
func TestCallsAreLost(t *testing.T) {
	seed := simulationSeed(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 256, seed, grid.None)
		s.cluster = gridtest.New(gridtest.Options{Seed: seed, Loss: 0.1})
		defer s.end()
		s.startMany(20)
		s.settled("start")
		for range 5 {
			s.crash(s.pick(2)...)
			s.startMany(2)
			for _, n := range s.pick(2) {
				s.remove(n)
				<-n.Drain()
				n.Crash()
				s.start(n.Name())
			}
			s.settled("loss")
		}
		for _, fault := range append(s.faults, s.cluster.Owners.Take().Faults...) {
			t.Error(fault)
		}
	})
}

// TestDrainOfTheLast: a node that drains alone gives up what it has, and leaves.
func TestDrainOfTheLast(t *testing.T) {
	simulate(t, 300, 1, func(s *simulation) {
		n := s.nodes[0]
		s.remove(n)
		<-n.Drain()
		for shard := range s.shards {
			if owner := s.cluster.Owners.Of(shard); owner != nil {
				s.Fatalf("%s owns shard %d", owner.Name(), shard)
			}
		}
		s.startMany(1)
		begun := time.Now()
		s.settled("after the drain")
		if took := time.Since(begun); took > time.Second {
			s.Errorf("the next waited for %v", took)
		}
	})
}

// TestDrainWithoutAStore ends, too: then the lease does it.
func TestDrainWithoutAStore(t *testing.T) {
	simulate(t, 64, 3, func(s *simulation) {
		n := s.nodes[0]
		n.Cut(gridtest.All)
		s.remove(n)
		begun := time.Now()
		<-n.Drain()
		if took := time.Since(begun); took > simLease {
			s.Errorf("it took %v", took)
		}
		s.settled("after the drain")
	})
}

// TestOperations: what ownership costs the store. A node that joins asks for what it gets, and for nothing else.
func TestOperations(t *testing.T) {
	simulate(t, 1024, 50, func(s *simulation) {
		before := s.cluster.Calls()
		s.startMany(1)
		s.settled("a join")
		calls := s.cluster.Calls()
		if claims := calls["Claim"] - before["Claim"]; claims > 2*1024/51*3/2 {
			t.Errorf("a join took %d claims for about %d shards", claims, 1024/51)
		}
		before = calls
		time.Sleep(10 * time.Second) // 51 nodes at rest
		calls = s.cluster.Calls()
		for name, n := range calls {
			if n -= before[name]; name != "Renew" && n > 0 {
				t.Errorf("at rest: %d calls of %s", n, name)
			} else if name == "Renew" && n > 51*10*5/2+51 {
				t.Errorf("at rest: %d renewals in 10 s of 51 nodes", n)
			}
		}
	})
}

// TestStoreOfGridtest: what the contract of a Store says, of the one in memory.
func TestStoreOfGridtest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := gridtest.New(gridtest.Options{Seed: 1})
		a, b := c.Node("a"), c.Node("b")
		join := func(n *gridtest.Node, shards int) (grid.Session, error) {
			return n.Join(t.Context(), grid.Node{Name: n.Name(), Kinds: []string{"k"}, Shards: shards}, time.Second)
		}
		sa, err := join(a, 4)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := join(b, 8); err == nil || !strings.Contains(err.Error(), "4 shards") {
			t.Errorf("another number of shards: %v", err)
		}
		sb, err := join(b, 4)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		if v := <-a.View(); len(v.Nodes) != 0 {
			t.Errorf("seen before the first renewal: %v", v)
		}
		if err := errors.Join(sa.Renew(t.Context()), sb.Renew(t.Context())); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		if v := <-a.View(); len(v.Nodes) != 2 || v.Nodes[0].Name != "a" || v.Nodes[1].Session != sb.Node().Session {
			t.Errorf("view: %v", v)
		}
		got, err := sa.Claim(t.Context(), []int{0, 1})
		if err != nil || len(got) != 2 {
			t.Fatalf("claimed %v, %v", got, err)
		}
		other, err := sb.Claim(t.Context(), []int{1, 2})
		if err != nil || len(other) != 1 || other[2].Rev <= got[1].Rev {
			t.Fatalf("claimed %v, %v", other, err)
		}
		if again, err := sa.Claim(t.Context(), []int{1}); err != nil || again[1] != got[1] {
			t.Errorf("claimed again: %v, %v", again, err)
		}
		if err := sa.Release(t.Context(), []int{1}); err != nil {
			t.Fatal(err)
		}
		if shard := <-sb.Free(); shard != 1 {
			t.Errorf("shard %d is free", shard)
		}
		// A call whose answer does not come has no effect after a later one.
		sa.Renew(t.Context())
		a.Slow(gridtest.Requests, 500*time.Millisecond, 500*time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := sa.Claim(ctx, []int{3}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		a.Slow(gridtest.Requests, 0, 0)
		if err := sa.Release(t.Context(), []int{3}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(600 * time.Millisecond)
		sb.Renew(t.Context())
		if late, err := sb.Claim(t.Context(), []int{3}); err != nil || len(late) != 1 {
			t.Errorf("a late claim has had an effect: %v, %v", late, err)
		}
		time.Sleep(2 * time.Second)
		if err := sa.Renew(t.Context()); !errors.Is(err, actors.ErrFenced) {
			t.Errorf("a renewal after the session: %v", err)
		}
	})
}
