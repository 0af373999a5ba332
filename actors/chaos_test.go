// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/consoletest"
	"github.com/protoloop/protoloop/internal/goroutines"
	"github.com/protoloop/protoloop/internal/seeded"
)

var chaosDice = seeded.Flag("chaos.seed", "TestChaos")

// TestChaos drives 200,000 requests, and what these make in turn, over
// workers to which everything happens that can: see job for what the tasks
// do, slot.keep for what befalls their workers and driver for the askers.
// Then it accounts for each future. Meanwhile a console is looked at.
//
// What is chosen follows from the seed; what happens also from the scheduler.
func TestChaos(t *testing.T) {
	before := goroutines.Know()
	n := 200_000
	if testing.Short() {
		n /= 10
	}
	c := newChaos(t, actortest.NewSystem(t), chaosDice.Seed())
	stop := consoletest.Watch(t, c.sys)
	c.run(8, n)
	stop()
	actortest.Eventually(t, "all goroutines and coroutines of the loops are gone", func() bool {
		return before.CountNew(ofLoops...) == 0
	})
}

// TestChaosInBubble is the same in virtual time, where the bubble finds what is
// left behind.
func TestChaosInBubble(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		n := 20_000
		if testing.Short() {
			n /= 10
		}
		c := newChaos(t, sys, chaosDice.Seed())
		c.calm = 5 * time.Millisecond
		c.run(4, n)
	})
}

// TestChaosSeed shows that a seed decides all choices.
func TestChaosSeed(t *testing.T) {
	choices := func(seed uint64) (sum uint64) {
		actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
			c := newChaos(t, sys, seed)
			c.run(2, 600)
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
	testing.TB
	sys  *actor.ActorSystem
	root *actor.RootContext
	seed uint64
	calm time.Duration // how long a worker lives, at most

	slots   []*slot
	nursery *actor.PID // parent of most workers
	waiter  *actor.PID // a worker that only awaits
	release chan struct{}
	over    chan struct{} // the drivers have ended

	ids     atomic.Uint64 // of jobs
	blocked atomic.Int64  // turns that have blocked
	futures atomic.Int64  // made
	checked atomic.Int64  // seen to be completed
	choices atomic.Uint64 // of all drivers: a checksum
	late    lateFlights
}

const maxBlocked = 40

func newChaos(t testing.TB, sys *actor.ActorSystem, seed uint64) *chaos {
	t.Logf("chaos: -chaos.seed=%d", seed)
	c := &chaos{TB: t, sys: sys, root: sys.Root, seed: seed, calm: 150 * time.Millisecond, release: make(chan struct{}), over: make(chan struct{})}
	quick := actors.Options{StopGrace: 20 * time.Millisecond, BlockedTurn: 50 * time.Millisecond, Logger: discard()}
	slow := quick
	slow.StopGrace = 30 * time.Second // so that no turn is taken over by mistake
	with := func(o actors.Options, size, inFlight int) actors.Options {
		o.MailboxSize, o.MaxInFlight = size, inFlight
		return o
	}
	c.slots = []*slot{
		{name: "open", opts: slow},
		{name: "small", opts: with(slow, 48, 0)},
		{name: "narrow", opts: with(slow, 0, 4)},
		{name: "exclusive", opts: slow, exclusive: true},
		{name: "tiny", opts: with(slow, 16, 2), exclusive: true},
		{name: "blocking", opts: quick, blocks: true},
		{name: "orphan", opts: slow, orphan: true, asked: true},
		{name: "drop-in", opts: slow, dropIn: true, asked: true},
	}
	for i, s := range c.slots {
		s.c = c
		s.dice = newDice(seed, 1000+uint64(i))
		s.dying = make(chan death, 16)
	}
	return c
}

// run drives n requests from each of some goroutines, and checks.
func (c *chaos) run(drivers, n int) {
	c.nursery = c.root.Spawn(actor.PropsFromFunc(nurse, actor.WithSupervisor(actor.NewRestartingStrategy())))
	var err error
	if c.waiter, err = actors.Spawn(context.Background(), c.root, "waiter", none, actors.Options{Logger: discard()}); err != nil {
		c.Fatal(err)
	}
	var keepers, driving sync.WaitGroup
	for _, s := range c.slots {
		s.spawn()
		keepers.Go(s.keep)
	}
	for i := range drivers {
		d := &driver{chaos: c, dice: newDice(c.seed, uint64(i))}
		driving.Go(func() { d.drive(n / drivers) })
	}
	driving.Wait()
	close(c.over)
	keepers.Wait()
	close(c.release)
	actortest.Eventually(c, "all futures have been looked at", func() bool {
		c.late.drain(c) // what had blocked goes on for a moment
		return c.futures.Load() == c.checked.Load()
	})
	if _, err := result(actors.RequestStop(c.root, c.waiter, 0)); err != nil {
		c.Errorf("stop of the waiter: %v", err)
	}
	if err := c.root.StopFuture(c.nursery).Wait(); err != nil {
		c.Errorf("stop of the nursery: %v", err)
	}
	for _, s := range c.slots {
		s.account()
	}
	c.Logf("chaos: %d futures, %d blocked turns", c.futures.Load(), c.blocked.Load())
}

// spawnChild asks the nursery for a child.
type spawnChild struct {
	name  string
	props *actor.Props
}

func nurse(c actor.Context) {
	if m, ok := c.Message().(*spawnChild); ok {
		pid, err := c.SpawnNamed(m.props, m.name)
		if err != nil {
			panic(err)
		}
		c.Respond(pid)
	}
}

// slot is a place for a worker. When the worker ends there is another one.
type slot struct {
	c         *chaos
	name      string
	opts      actors.Options
	exclusive bool // some of its handlers are Exclusive
	blocks    bool // some of its turns block
	orphan    bool // it has no parent and reuses its name
	dropIn    bool // it is a plain actor
	asked     bool // the engine's futures and Send are used, too

	dice  *dice
	pid   atomic.Pointer[actor.PID]
	state atomic.Pointer[state] // of the incarnation that runs
	dying chan death

	lives, starts atomic.Int64
	total         actors.Counts // of all workers that were here
	tally         tally
}

// death is a stop that the keeper has not begun, and its account.
type death struct {
	pid     *actor.PID
	stopped *actors.Future[actors.Counts]
}

// spawn puts a new worker into the slot.
func (s *slot) spawn() {
	n := s.lives.Add(1)
	if s.orphan {
		pid, err := actors.Spawn(context.Background(), s.c.root, s.name, s.setup, s.opts)
		if err != nil {
			s.c.Errorf("%v", err)
			return
		}
		s.pid.Store(pid)
		return
	}
	props := actors.Props(s.setup, actors.EventLoop(s.opts))
	if s.dropIn {
		props = actor.PropsFromProducer(s.produce, actors.EventLoop(s.opts))
	}
	m := &spawnChild{fmt.Sprintf("%s.%d", s.name, n), props}
	pid, err := result(actors.RequestFuture[*actor.PID](s.c.root, s.c.nursery, m))
	if err != nil {
		s.c.Errorf("spawn of %s: %v", m.name, err)
		return
	}
	s.pid.Store(pid)
}

// keep ends the slot's worker from time to time, in one way or another, and
// puts another one there; until the drivers have ended.
func (s *slot) keep() {
	for last := false; !last; s.spawn() {
		pid := s.pid.Load()
		timer := time.NewTimer(s.c.calm/10 + time.Duration(s.dice.n(int(s.c.calm))))
		f := s.awaitDeath(pid, timer.C, s.c.over)
		timer.Stop()
		select {
		case <-s.c.over:
			last = true
		default:
		}
		if f == nil {
			f = s.stop(pid)
		}
		stopped, err := result(f)
		if errors.Is(err, actors.ErrDeadLetter) { // it was faster
			stopped, err = result(s.awaitDeath(pid, nil, nil))
		}
		if err != nil {
			s.c.Errorf("stop of %s: %v", s.name, err)
			return
		}
		s.add(stopped)
		for len(s.dying) > 0 { // it died in more than one way
			<-s.dying
		}
		if last {
			return
		}
	}
}

// awaitDeath waits for a stop of the worker that the keeper has not begun. A turn that
// was taken over may still have stopped one from before.
func (s *slot) awaitDeath(pid *actor.PID, timer <-chan time.Time, over <-chan struct{}) *actors.Future[actors.Counts] {
	for {
		select {
		case d := <-s.dying:
			if d.pid.Equal(pid) {
				return d.stopped
			}
		case <-timer:
			return nil
		case <-over:
			return nil
		}
	}
}

// stop begins one of the ways to end a worker.
func (s *slot) stop(pid *actor.PID) *actors.Future[actors.Counts] {
	root := s.c.root
	switch s.dice.n(6) {
	case 0: // a forced stop at once
		return actors.RequestStop(root, pid, actors.NoGrace)
	case 1: // within a grace that some tasks do not keep
		return actors.RequestStop(root, pid, time.Millisecond)
	case 2: // the engine's Stop
		f := actors.RequestStop(root, pid, 0)
		root.Stop(pid)
		return f
	case 3: // the engine's Poison
		f := actors.RequestStop(root, pid, 0)
		root.Poison(pid)
		return f
	case 4: // all of them
		f := actors.RequestStop(root, pid, 0)
		root.Poison(pid)
		root.Stop(pid)
		root.Poison(pid)
		return f
	default:
		return actors.RequestStop(root, pid, 50*time.Millisecond)
	}
}

// dies stops the worker and leaves its account to the keeper.
func (s *slot) dies(pid *actor.PID, grace actors.Grace) {
	select {
	case s.dying <- death{pid, actors.RequestStop(s.c.root, pid, grace)}:
	default:
		s.c.Errorf("%s: too many stops at once", s.name)
	}
}
