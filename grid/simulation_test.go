// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/gridtest"
	"github.com/protoloop/protoloop/internal/ownership"
	"github.com/protoloop/protoloop/internal/testtools"
)

var simSeed = flag.Uint64("simulation.seed", 0, "seed of the simulations of a cluster; 0: a new one")

const (
	simLease  = 2 * time.Second
	simSettle = 2 * time.Second
	// Times without an owner: the lease, what the store is late, and the way to the next owner; and that way alone.
	maxAfterCrash    = 2500 * time.Millisecond
	maxAfterHandOver = 50 * time.Millisecond
)

// simulation is a cluster of nodes that own shards, and run nothing.
type simulation struct {
	*testing.T
	dice     *rand.Rand
	shards   int
	mutation grid.Mutation
	cluster  *gridtest.Cluster

	mu      sync.Mutex // of dice, which the hosts use, too
	nodes   []*simNode // those that are there
	started int
	faults  []string
}

type simNode struct {
	*gridtest.Node
	grid.Member
}

func newSimulation(t *testing.T, shards int, seed uint64, mutation grid.Mutation) *simulation {
	return &simulation{T: t, dice: rand.New(rand.NewPCG(seed, 1)), shards: shards, mutation: mutation, cluster: gridtest.New(gridtest.Options{Seed: seed})}
}

func (s *simulation) upTo(d time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.dice.Int64N(int64(d)))
}

// start adds a node.
func (s *simulation) start(name string) {
	n := &simNode{Node: s.cluster.Node(name)}
	owners := &s.cluster.Owners
	var own sync.Map // shards that are begun and not ended
	n.Member = grid.NewMember(n.Node, grid.Node{Name: name, Kinds: []string{"account"}, Shards: s.shards}, simLease, simSettle, n.Clock(), grid.Host{
		Begin: func(t grid.Token) {
			own.Store(t.Shard, true)
			owners.Begin(n.Node, t)
		},
		End: func(shard int, ended func()) { // its tasks take a while
			n.Clock().AfterFunc(s.upTo(100*time.Millisecond), func() {
				if _, is := own.LoadAndDelete(shard); is { // the lease was not over before
					owners.End(n.Node, shard)
				}
				ended()
			})
		},
		Fenced: func() {
			own.Clear()
			owners.Fenced(n.Node)
		},
	}, s.mutation)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = append(s.nodes, n)
}

func (s *simulation) startMany(n int) {
	for range n {
		s.started++
		s.start(fmt.Sprint("node-", s.started))
	}
}

// pick takes n nodes, none of them twice.
func (s *simulation) pick(n int) []*simNode {
	s.mu.Lock()
	defer s.mu.Unlock()
	picked := make([]*simNode, n)
	for i, at := range s.dice.Perm(len(s.nodes))[:n] {
		picked[i] = s.nodes[at]
	}
	return picked
}

func (s *simulation) crash(nodes ...*simNode) {
	for _, n := range nodes {
		n.Crash()
		n.Kill()
		s.remove(n)
	}
}

func (s *simulation) remove(n *simNode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = slices.DeleteFunc(s.nodes, func(other *simNode) bool { return other == n })
}

// settled waits until each shard is owned by the node that it belongs to.
func (s *simulation) settled(phase string) {
	s.Helper()
	byName := map[string]bool{}
	var members []ownership.Member
	for i, n := range s.nodes {
		byName[n.Name()] = true
		members = append(members, ownership.Member{Session: uint64(i + 1), Name: n.Name()})
	}
	table := ownership.NewTable(s.shards)
	table.Update(members, nil, 0)
	for range 600 {
		time.Sleep(100 * time.Millisecond)
		wrong := 0
		for shard := range s.shards {
			if n := s.cluster.Owners.Of(shard); n == nil || n != s.nodes[table.Owner(shard)-1].Node {
				wrong++
			}
		}
		if wrong == 0 {
			return
		}
	}
	s.fail("%s: after a minute not every shard has its owner", phase)
}

func (s *simulation) fail(format string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// phase does something to the cluster, waits until all is as it should be again, and checks
// what has happened meanwhile.
func (s *simulation) phase(name string, limits map[gridtest.Cause]time.Duration, do func()) gridtest.Summary {
	s.Helper()
	calls := s.cluster.Calls()
	begun := time.Now()
	do()
	s.settled(name)
	sum := s.cluster.Owners.Take()
	for _, fault := range sum.Faults {
		s.fail("%s: %s", name, fault)
	}
	for cause, limit := range limits {
		if longest := sum.Max(cause); longest > limit {
			s.fail("%s: a shard had no owner for %v after a %s, want %v at most", name, longest, cause, limit)
		}
	}
	for call, n := range s.cluster.Calls() {
		calls[call] = n - calls[call]
	}
	s.Logf("%-28s %7s: %v; calls %v", name, time.Since(begun).Round(100*time.Millisecond), sum, calls)
	return sum
}

// end ends all goroutines.
func (s *simulation) end() {
	for _, n := range s.nodes {
		n.Kill()
	}
}

// run goes through all phases, with a cluster of that many nodes, and returns what was wrong.
func (s *simulation) run(nodes int) []string {
	defer s.end()
	noCut := map[gridtest.Cause]time.Duration{gridtest.Crash: maxAfterCrash, gridtest.HandOver: maxAfterHandOver, gridtest.Fence: 0, gridtest.Pause: 0}
	tenth := nodes / 10
	few := max(nodes/50, 5)
	s.phase("start", noCut, func() { s.startMany(nodes) })
	s.phase("a crash", noCut, func() { s.crash(s.pick(1)...) })
	s.phase("crash of a tenth", noCut, func() { s.crash(s.pick(tenth)...) })
	joined := s.phase("join of a tenth", noCut, func() { s.startMany(tenth) })
	if most := s.shards * 15 / 100; joined.Moves > most {
		s.fail("a tenth has joined, and %d of %d shards have moved, want %d at most", joined.Moves, s.shards, most)
	}
	s.rolling(noCut, nodes/20)
	// Here the next owner may be held or cut off, too, before it begins.
	withCuts := map[gridtest.Cause]time.Duration{gridtest.Pause: 2 * maxAfterCrash, gridtest.Fence: 2 * maxAfterCrash}
	s.phase("pauses", withCuts, func() { s.pauses(few) })
	s.phase("cuts", withCuts, func() {
		s.cuts(few, 500*time.Millisecond, allWays, noAnswers, noCalls, lateAnswers)
	})
	stalled := s.phase("a store without a leader", noCut, func() {
		for range 3 {
			s.cluster.Stall(1300 * time.Millisecond)
			time.Sleep(2 * time.Second)
		}
	})
	if stalled.Fencings+stalled.Moves > 0 {
		s.fail("the store stood still for 1.3 s, and %d leases have ended", stalled.Fencings)
	}
	s.phase("all goes slowly", nil, func() { s.slowly() })
	return s.faults
}

// rolling restarts nodes under their names, one each half second.
func (s *simulation) rolling(limits map[gridtest.Cause]time.Duration, n int) {
	had := 0
	sum := s.phase("rolling restart", limits, func() {
		owned := map[*gridtest.Node]int{}
		for shard := range s.shards {
			owned[s.cluster.Owners.Of(shard)]++
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		for _, n := range s.pick(n) {
			had += owned[n.Node]
			s.remove(n)
			wg.Go(func() {
				<-n.Drain()
				n.Crash() // the process ends
				mu.Lock()
				defer mu.Unlock()
				s.start(n.Name())
			})
			time.Sleep(500 * time.Millisecond)
		}
		wg.Wait()
	})
	if most := had * 5 / 2; sum.Moves > most {
		s.fail("the nodes that were restarted had %d shards, and %d have moved, want %d at most", had, sum.Moves, most)
	}
}

// pauses holds nodes for 0.1 to 10 s.
func (s *simulation) pauses(n int) {
	var wg sync.WaitGroup
	for _, n := range s.pick(n) {
		d := 100*time.Millisecond + s.upTo(9900*time.Millisecond)
		after := s.upTo(5 * time.Second)
		wg.Go(func() {
			time.Sleep(after)
			n.Pause()
			time.Sleep(d)
			n.Resume()
			synctest.Wait()
			for shard := range s.shards {
				if _, is := n.TokenOf(shard); is && s.cluster.Owners.Of(shard) != n.Node {
					s.Errorf("%s takes shard %d for its own after a pause of %v", n.Name(), shard, d)
				}
			}
		})
	}
	wg.Wait()
}

// cuts cuts nodes off for a while of at least that long.
func (s *simulation) cuts(n int, least time.Duration, how ...func(n *simNode)) {
	var wg sync.WaitGroup
	for i, n := range s.pick(n) {
		d := least + s.upTo(5500*time.Millisecond)
		after := s.upTo(3 * time.Second)
		wg.Go(func() {
			time.Sleep(after)
			how[i%len(how)](n)
			time.Sleep(d)
			n.Slow(gridtest.All, 0, 0)
			n.Heal()
		})
	}
	wg.Wait()
}

// Ways to cut a node off.
var (
	allWays   = func(n *simNode) { n.Cut(gridtest.All) }
	noAnswers = func(n *simNode) { n.Cut(gridtest.Answers | gridtest.Notices) }
	noCalls   = func(n *simNode) { n.Cut(gridtest.Requests) }
	// lateAnswers: the last answers before the cut come behind it.
	lateAnswers = func(n *simNode) {
		n.Slow(gridtest.Answers, simLease/2, simLease)
		time.Sleep(simLease)
		n.Cut(gridtest.Requests | gridtest.Notices)
	}
)

// slowly has nodes come and go while calls and answers are late, out of order, and in part too late.
func (s *simulation) slowly() {
	for _, n := range s.nodes {
		n.Slow(gridtest.All, 0, 700*time.Millisecond)
	}
	s.crash(s.pick(max(len(s.nodes)/100, 1))...)
	s.startMany(max(len(s.nodes)/100, 1))
	for _, n := range s.nodes {
		n.Slow(gridtest.All, 0, 700*time.Millisecond)
	}
	time.Sleep(20 * time.Second)
	for _, n := range s.nodes {
		n.Slow(gridtest.All, 0, 0)
	}
}

func simulationSeed(t *testing.T) uint64 {
	seed := *simSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-simulation.seed=%d", seed)
	return seed
}

// cpu is what the process has used so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestSimulation is a cluster of 1,000 nodes and 8,192 shards, with the store in memory.
func TestSimulation(t *testing.T) {
	nodes, shards := 1000, 8192
	if testing.Short() || testtools.RaceEnabled() { // with the race detector all of it takes ten minutes
		nodes, shards = 100, 1024
	}
	seed := simulationSeed(t)
	before := cpu()
	var faults []string
	synctest.Test(t, func(t *testing.T) {
		faults = newSimulation(t, shards, seed, grid.None).run(nodes)
	})
	t.Logf("%d nodes, %d shards: %v of CPU", nodes, shards, (cpu() - before).Round(100*time.Millisecond))
	for _, fault := range faults {
		t.Error(fault)
	}
}

// TestSimulationFindsMistakes: a lease that is counted from the answer, and one that is looked after by what calls
// the store, lead to two owners, and the simulation finds them.
func TestSimulationFindsMistakes(t *testing.T) {
	for _, c := range []struct {
		name     string
		mutation grid.Mutation
		cut      func(*simNode)
	}{{"from the answer", grid.FromAnswer, lateAnswers}, {"in the loop", grid.InLoop, allWays}} {
		t.Run(c.name, func(t *testing.T) {
			seed := simulationSeed(t)
			var faults []string
			synctest.Test(t, func(t *testing.T) {
				s := newSimulation(t, 256, seed, c.mutation)
				defer s.end()
				s.startMany(20)
				s.settled("start")
				for range 3 {
					s.cuts(len(s.nodes)/3, 3*time.Second, c.cut)
					s.settled("cuts")
				}
				faults = append(s.faults, s.cluster.Owners.Take().Faults...)
			})
			if len(faults) == 0 {
				t.Error("no fault was found")
			} else {
				t.Logf("%d faults, such as: %s", len(faults), faults[0])
			}
		})
	}
}
