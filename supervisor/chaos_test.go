package supervisor_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/supervisor"
)

var chaosSeed = flag.Uint64("chaos.seed", 0, "seed of TestChaos; 0: a new one")

// TestChaos drives 100,000 requests and more over a tree of three levels to
// whose members everything happens that can: see chaos.part. Each request
// has to end once and with an error that can be, each sender's requests to one
// part have to be handled in order, and the account has to agree.
//
// What is chosen follows from the seed; what happens also from the scheduler.
func TestChaos(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n /= 10
	}
	c := newChaos(t, seed())
	c.real = true
	c.run(actortest.NewSystem(t), 8, n)
}

// TestChaosInBubble is the same in virtual time, where the bubble finds what
// is left behind.
func TestChaosInBubble(t *testing.T) {
	n := 20_000
	if testing.Short() {
		n /= 10
	}
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) { newChaos(t, seed()).run(sys, 4, n) })
}

// TestChaosSeed shows that a seed decides all choices.
func TestChaosSeed(t *testing.T) {
	choices := func(seed uint64) (sum uint64) {
		actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
			c := newChaos(t, seed)
			c.run(sys, 2, 500)
			sum = c.choices.Load()
		})
		return sum
	}
	if a, b, other := choices(1), choices(1), choices(2); a != b || a == other {
		t.Errorf("choices of seed 1: %x, again: %x; of seed 2: %x", a, b, other)
	}
}

func seed() uint64 {
	if *chaosSeed != 0 {
		return *chaosSeed
	}
	return rand.Uint64()
}

// chaos is one run.
type chaos struct {
	testing.TB
	seed    uint64
	root    *actor.RootContext
	parts   []*chaosPart
	hold    chan struct{}
	real    bool         // time is: also a turn that is just slow may be taken over
	stuck   atomic.Int64 // turns that have blocked
	choices atomic.Uint64
	spawns  sync.RWMutex // see spawnPlain

	values, failed, canceled, refused, dead atomic.Int64 // ends of requests to workers
	plain                                   atomic.Int64 // all that were sent to plain parts
}

// chaosPart is a place in the tree, whoever fills it.
type chaosPart struct {
	path  string
	plain bool
	runs  atomic.Int64 // setups
	seen  sync.Map     // sender → the last of its requests that was handled, *atomic.Int64
}

func newChaos(t testing.TB, seed uint64) *chaos {
	t.Logf("chaos: -chaos.seed=%d", seed)
	return &chaos{TB: t, seed: seed, hold: make(chan struct{})}
}

// work is one request.
type work struct {
	from int
	n    int64
	end  int
}

// the ends of a request
const (
	endsWell = iota
	endsSlowly
	endsBadly
	endsInPanic
	endsInExit
	endsStuck
	endsStubborn
	endsSpawning
	ends
)

var errChaos = errors.New("chaos")

// handle is what a part does with a request.
func (c *chaos) handle(p *chaosPart, t *actors.Task, m work) (int64, error) {
	last, _ := p.seen.LoadOrStore(m.from, new(atomic.Int64))
	if before := last.(*atomic.Int64).Swap(m.n); before >= m.n {
		c.Errorf("%s: request %d of sender %d after %d", p.path, m.n, m.from, before)
	}
	switch m.end {
	case endsSlowly:
		return m.n, t.Sleep(time.Duration(m.n%5) * time.Millisecond)
	case endsBadly:
		return 0, errChaos
	case endsInPanic:
		panic(errChaos)
	case endsInExit:
		t.Exit(errChaos)
	case endsStuck: // does not return when it is told to
		if c.stuck.Add(1) <= 30 {
			<-c.hold
		}
	case endsStubborn: // goes on although it was ended
		t.Sleep(time.Minute)
		_ = actors.Cleanup(t, time.Millisecond, func(t *actors.Task) error { return t.Sleep(time.Minute) })
		return 0, context.Cause(t.Context())
	case endsSpawning:
		t.Spawn(nothing)
	}
	return m.n, nil
}

// setup fails now and then, or hangs, but not the first time.
func (c *chaos) setup(p *chaosPart) func(aw *actors.Worker) error {
	return func(aw *actors.Worker) error {
		switch n := p.runs.Add(1); {
		case n%7 == 3:
			return errChaos
		case n%11 == 5:
			aw.Task().Sleep(time.Minute)
		case n%13 == 6:
			panic(errChaos)
		}
		actors.Handle(aw, func(t *actors.Task, m work) (int64, error) { return c.handle(p, t, m) })
		return nil
	}
}

// receive is the same for a plain actor.
func (c *chaos) receive(p *chaosPart) actor.ReceiveFunc {
	return func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *actor.Started:
			if p.runs.Add(1)%7 == 3 {
				panic(errChaos)
			}
		case *actor.Stopping, *actor.Stopped, *actor.Restarting:
			panic(errChaos)
		case work:
			switch m.end {
			case endsInPanic:
				panic(errChaos)
			case endsSpawning:
				ctx.Spawn(nothing)
			}
			ctx.Respond(m.n)
		}
	}
}

// spawnPlain keeps senders off while a plain actor is spawned: the engine's
// mailbox would end the process.
func (c *chaos) spawnPlain(sys *actor.ActorSystem, id string, props *actor.Props, parent actor.SpawnerContext) (*actor.PID, error) {
	c.spawns.Lock()
	defer c.spawns.Unlock()
	return actor.DefaultSpawner(sys, id, props, parent)
}

func (c *chaos) part(path string, plain bool) *actor.Props {
	p := &chaosPart{path: path, plain: plain}
	c.parts = append(c.parts, p)
	if plain {
		return actor.PropsFromFunc(c.receive(p), actor.WithSpawnFunc(c.spawnPlain))
	}
	return actors.Props(c.setup(p), actors.EventLoop(actors.Options{StopGrace: 20 * time.Millisecond, BlockedTurn: -1, Logger: slog.New(slog.DiscardHandler)}))
}

// group are the children of one supervisor.
func (c *chaos) group(path string) (kids []supervisor.Child) {
	for i, name := range []string{"a", "b", "plain", "c"} {
		kids = append(kids, supervisor.Child{
			Name: name, Props: c.part(path+name, name == "plain"), Shutdown: 30 * time.Millisecond, StartTimeout: 20 * time.Millisecond,
			Backoff: supervisor.Backoff{Initial: time.Duration(i) * time.Millisecond, Max: 5 * time.Millisecond, Jitter: 1},
		})
		if i == 0 {
			kids[0].Backoff = supervisor.Backoff{}
		}
	}
	return kids
}

// tree has three levels. The inner ones fail upward now and then.
func (c *chaos) tree() supervisor.Spec {
	nested := func(path string, s supervisor.Strategy, more ...supervisor.Child) *actor.Props {
		p, err := supervisor.Props(supervisor.Spec{Strategy: s, MaxRestarts: 20, Within: 50 * time.Millisecond, Children: append(c.group(path), more...)})
		if err != nil {
			c.Fatal(err)
		}
		return p
	}
	deep := supervisor.Child{Name: "deep", Props: nested("mid/deep/", supervisor.RestForOne)}
	return supervisor.Spec{
		Name: "chaos", MaxRestarts: 1_000_000, Within: time.Hour, Logger: slog.New(slog.DiscardHandler),
		Children: append(c.group(""),
			supervisor.Child{Name: "mid", Props: nested("mid/", supervisor.OneForAll, deep)},
			supervisor.Child{Name: "rest", Props: nested("rest/", supervisor.RestForOne)}),
	}
}

// run drives n requests, and checks.
func (c *chaos) run(sys *actor.ActorSystem, drivers, n int) {
	c.root = sys.Root
	s := c.begin(sys)
	var driving, poking sync.WaitGroup
	over := make(chan struct{})
	poking.Go(func() { c.poke(s, over) })
	for i := range drivers {
		driving.Go(func() { c.drive(s, sys, i, n/drivers) })
	}
	driving.Wait()
	close(over)
	poking.Wait()
	r, err := s.Stop(context.Background())
	if err != nil || s.Err() != nil {
		c.Errorf("stop: %v, %v", err, s.Err())
	}
	close(c.hold)
	c.account(r, n)
}

func (c *chaos) begin(sys *actor.ActorSystem) *supervisor.Supervisor {
	s, err := supervisor.Start(sys, c.tree())
	if err != nil {
		c.Fatal(err)
	}
	return s
}

// poke restarts, adds and removes children by hand, and stops some as a third
// party would.
func (c *chaos) poke(s *supervisor.Supervisor, over chan struct{}) {
	dice := rand.New(rand.NewPCG(c.seed, 1<<32))
	for i := 0; ; i++ {
		timer := time.NewTimer(time.Duration(dice.IntN(int(3 * time.Millisecond))))
		select {
		case <-over:
			timer.Stop()
			return
		case <-timer.C:
		}
		at := s
		if inner := s.Supervisor([]string{"mid", "rest", "mid/deep"}[dice.IntN(3)]); inner != nil && dice.IntN(2) == 0 {
			at = inner
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		name := []string{"a", "b", "c"}[dice.IntN(3)]
		switch dice.IntN(4) {
		case 0:
			_ = at.Restart(ctx, name)
		case 1:
			if pid := at.Child(name); pid != nil {
				actors.Stop(c.root, pid, time.Millisecond)
			}
		case 2:
			extra := fmt.Sprintf("extra%d", i)
			_, _ = at.Add(ctx, supervisor.Child{Name: extra, Props: nothing, Shutdown: time.Millisecond})
			_ = at.Remove(ctx, extra)
		case 3:
			if pid := s.Child("mid"); pid != nil && dice.IntN(20) == 0 {
				c.root.Stop(pid)
			}
		}
		cancel()
	}
}

// drive sends requests to parts at random, some at a time.
func (c *chaos) drive(s *supervisor.Supervisor, sys *actor.ActorSystem, me, n int) {
	dice := rand.New(rand.NewPCG(c.seed, uint64(me)))
	var flying []flight
	for i := range n {
		p := c.parts[dice.IntN(len(c.parts))]
		m := work{me, int64(i + 1), endsWell}
		if d := dice.IntN(1000); d < 60 {
			m.end = 1 + d%(ends-1)
		} else if d < 300 {
			m.end = endsSlowly
		}
		c.choices.Add(uint64(i+1) * uint64(m.end+1) * uint64(len(p.path)+1))
		// The PID stays, also while there is no actor.
		pid := actor.NewPID(sys.Address(), "chaos/"+p.path)
		patience := 20 * time.Second // never used up
		if p.plain {
			patience = 20 * time.Millisecond
			c.spawns.RLock()
		}
		flying = append(flying, flight{p, m, actors.RequestFuture[int64](sys.Root, pid, m, actors.Timeout(patience))})
		if p.plain {
			c.spawns.RUnlock()
		}
		if len(flying) == 50 {
			for _, f := range flying {
				c.judge(f)
			}
			flying = flying[:0]
		}
	}
	for _, f := range flying {
		c.judge(f)
	}
}
