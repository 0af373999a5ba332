// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/consoletest"
	"github.com/protoloop/protoloop/internal/seeded"
	"github.com/protoloop/protoloop/supervisor"
)

var (
	chaosDice  = seeded.Flag("chaos.seed", "the TestChaos tests")
	chaosCrowd = flag.Int("chaos.crowd", 100_000, "requests that TestChaosInBubble has in flight at one moment, at least; a tenth with -short")
)

// TestChaosInBubble drives 300,000 requests over the workers of a tree of three
// levels, 100,000 of them in flight at a time, while everything happens to its
// members that can: see chaosPart and chaos.poke. At the end the tree is stopped
// with the last 100,000 in flight. Each request has to end once and with an
// error that can be, each sender's requests to one part have to be handled in
// order, the report has to agree with what the askers were told, and the bubble
// finds what is left behind.
//
// What is chosen follows from the seed; what happens also from the scheduler.
// Time is virtual: it stands still while the drivers send.
func TestChaosInBubble(t *testing.T) {
	crowd := *chaosCrowd
	if testing.Short() {
		crowd /= 10
	}
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		c := newChaos(t, sys, chaosDice.Seed())
		c.run(4, 3*crowd, crowd+crowd/5+5000) // some end while the others are sent
		if c.peak.Load() < int64(crowd) {
			t.Errorf("at most %d requests were in flight, want %d", c.peak.Load(), crowd)
		}
		c.sawAll()
	})
}

// TestChaos is the same in real time, where turns are slow by chance, too, with
// more faults among fewer requests.
func TestChaos(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n /= 10
	}
	c := newChaos(t, actortest.NewSystem(t), chaosDice.Seed())
	c.real, c.wild, c.calm = true, 20, 3*time.Millisecond
	stop := consoletest.Watch(t, c.sys)
	c.run(8, n, 400)
	stop()
	c.sawAll()
}

// TestChaosSeed shows that a seed decides all choices.
func TestChaosSeed(t *testing.T) {
	choices := func(seed uint64) (sum uint64) {
		actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
			c := newChaos(t, sys, seed)
			c.run(2, 500, 100)
			sum = c.choices.Load()
		})
		return sum
	}
	if a, b, other := choices(1), choices(1), choices(2); a != b || a == other {
		t.Errorf("choices of seed 1: %x, again: %x; of seed 2: %x", a, b, other)
	}
}

// chaos is one run.
type chaos struct {
	*testing.T
	sys     *actor.ActorSystem
	root    *actor.RootContext
	s       *supervisor.Supervisor
	seed    uint64
	wild    int           // how often faults strike
	real    bool          // time is
	calm    time.Duration // between two pokes, at most
	workers []*chaosPart
	plain   []*chaosPart
	hold    chan struct{} // what blocks turns; closed at the end
	stuck   atomic.Int64  // turns that have blocked
	up      atomic.Bool   // the tree has started
	choices atomic.Uint64
	peak    atomic.Int64 // the most requests in flight that were seen

	inner lateFlights // requests of workers to workers
	ends  chaosEnds
	told  chaosEvents
}

func newChaos(t *testing.T, sys *actor.ActorSystem, seed uint64) *chaos {
	t.Logf("chaos: -chaos.seed=%d", seed)
	return &chaos{T: t, sys: sys, root: sys.Root, seed: seed, wild: 1, calm: 10 * time.Millisecond, hold: make(chan struct{})}
}

// run drives n requests to workers, crowd at a time, stops the tree among the
// last of them, and checks.
func (c *chaos) run(drivers, n, crowd int) {
	c.begin()
	var driving, poking, full sync.WaitGroup
	over := make(chan struct{})
	poking.Go(func() { c.poke(over) })
	full.Add(drivers)
	left := make([][]flight, drivers)
	for i := range drivers {
		d := &driver{chaos: c, me: i, dice: rand.New(rand.NewPCG(c.seed, uint64(i))), full: &full}
		driving.Go(func() { left[i] = d.drive(n/drivers, crowd/drivers) })
	}
	driving.Wait()
	close(over)
	poking.Wait()
	c.look()
	r, err := c.s.Stop(context.Background())
	if err != nil || c.s.Err() != nil {
		c.Errorf("stop: %v, %v", err, c.s.Err())
	}
	c.drain(left, leftBehind(r))
	close(c.hold)
	c.account(r, n)
	c.gone()
}

// begin starts the tree. Where time is real a setup may take too long by chance,
// and so may many, in a row of starts.
func (c *chaos) begin() {
	spec := c.tree()
	for {
		var err error
		if c.s, err = supervisor.Start(context.Background(), c.sys, spec); err == nil {
			break
		}
		if !c.real || !errors.Is(err, supervisor.ErrStartTimeout) {
			c.Fatal(err)
		}
	}
	c.up.Store(true)
}

// look counts what is in flight: accepted by a worker, and not ended.
func (c *chaos) look() {
	n := int64(0)
	for _, w := range inspect.System(c.sys).Workers {
		n += w.Counts.Pending
	}
	for {
		peak := c.peak.Load()
		if n <= peak || c.peak.CompareAndSwap(peak, n) {
			return
		}
	}
}
