// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// chaosPart is a place in the tree, whoever fills it.
type chaosPart struct {
	path string
	no   int // among the workers
	pid  *actor.PID
	runs atomic.Int64 // setups
	asks atomic.Int64 // requests to others
	seen sync.Map     // sender → the last of its requests that was handled, *atomic.Int64
}

// work is one request.
type work struct {
	from int // a driver, or -1 - the number of a worker
	n    int64
	end  int
}

// the ends of a request
const (
	endsSlowly = iota
	endsWell
	endsBadly
	endsAsking
	endsInPanic
	endsInExit
	endsStuck
	endsStubborn
	endsSpawning
	ends
)

// likely is how many of 10,000 requests end so, those from endsInPanic on as
// many times as chaos.wild says; the others end slowly.
var likely = [ends]int{endsWell: 2000, endsBadly: 100, endsAsking: 100, endsInPanic: 4, endsInExit: 3, endsStuck: 2, endsStubborn: 3, endsSpawning: 3}

// chaosLimit is the budget of requests that have one. A worker with a long queue
// searches it whenever one of them expires.
const chaosLimit = 20 * time.Millisecond

var errChaos = errors.New("chaos")

// handle is what a worker does with a request.
func (c *chaos) handle(p *chaosPart, t *actors.Task, m work) (int64, error) {
	last, _ := p.seen.LoadOrStore(m.from, new(atomic.Int64))
	// Where time is real a turn may be taken over by chance: it sends when it likes,
	// and may come to this line after those that the loop has gone on with.
	if before := last.(*atomic.Int64).Swap(m.n); before >= m.n && !(c.real && (m.from < 0 || context.Cause(t.Context()) != nil)) {
		c.Errorf("%s: request %d of sender %d after %d", p.path, m.n, m.from, before)
	}
	switch m.end {
	case endsSlowly:
		return m.n, t.Sleep(time.Duration(m.n%5) * time.Millisecond)
	case endsBadly:
		return 0, errChaos
	case endsAsking:
		return m.n, c.ask(p, t, m)
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
		_ = t.Cleanup(time.Millisecond, func(t *actors.Task) error { return t.Sleep(time.Minute) })
		return 0, context.Cause(t.Context())
	case endsSpawning:
		t.Spawn(nothing)
	}
	return m.n, nil
}

// ask asks a worker further down: no ring. The request is the root's, so that
// it is sent also by a task that has been ended.
func (c *chaos) ask(p *chaosPart, t *actors.Task, m work) error {
	if p.no+1 == len(c.workers) {
		return nil
	}
	to := c.workers[p.no+1+int(m.n)%(len(c.workers)-p.no-1)]
	in := work{from: -1 - p.no, n: p.asks.Add(1), end: endsSlowly}
	fl := c.askBounded(to, in)
	c.inner.add(fl)
	if _, err := actors.Await(t, fl.f); err != nil {
		return fmt.Errorf("%w: %v", errChaos, err)
	}
	return nil
}

// begins counts the starts of a part, from when the tree is up: until then none
// may fail, and each is the first.
func (c *chaos) begins(p *chaosPart) int64 {
	if !c.up.Load() {
		return 1
	}
	return p.runs.Add(1) + 1
}

// setup fails now and then, or hangs, but not the first time.
func (c *chaos) setup(p *chaosPart) func(aw *actors.Worker) error {
	return func(aw *actors.Worker) error {
		switch n := c.begins(p); {
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
			if c.begins(p)%7 == 3 {
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

// part makes a part. Its PID stays, also while there is no actor. The race
// detector knows 8,128 goroutines: not all that is in flight can be suspended.
func (c *chaos) part(path string, plain bool) *actor.Props {
	p := &chaosPart{path: path, pid: actor.NewPID(c.sys.Address(), "chaos/"+path)}
	if plain {
		c.plain = append(c.plain, p)
		return actor.PropsFromFunc(c.receive(p))
	}
	p.no = len(c.workers)
	c.workers = append(c.workers, p)
	return actors.Props(c.setup(p), actors.EventLoop(actors.Options{
		MaxInFlight: 256, StopGrace: 20 * time.Millisecond, BlockedTurn: -1, Logger: slog.New(slog.DiscardHandler),
	}))
}

// group are the children of one supervisor.
func (c *chaos) group(path string) (kids []supervisor.Child) {
	for i, name := range []string{"a", "b", "plain", "c"} {
		kids = append(kids, supervisor.Child{
			Name: name, Props: c.part(path+name, name == "plain"), Shutdown: 30 * time.Millisecond, StartTimeout: 20 * time.Millisecond,
			Backoff: actors.Backoff{Initial: time.Duration(i) * time.Millisecond, Max: 5 * time.Millisecond, Jitter: 1},
		})
		if i == 0 {
			kids[0].Backoff = actors.Backoff{}
		}
	}
	return kids
}

// tree has three levels. The inner ones fail upward now and then.
func (c *chaos) tree() supervisor.Spec {
	nested := func(path string, s supervisor.Strategy, most int, within time.Duration, more ...supervisor.Child) *actor.Props {
		p, err := supervisor.Props(supervisor.Spec{Strategy: s, MaxRestarts: most, Within: within, Children: append(c.group(path), more...)})
		if err != nil {
			c.Fatal(err)
		}
		return p
	}
	deep := supervisor.Child{Name: "deep", Props: nested("mid/deep/", supervisor.RestForOne, 1, 200*time.Millisecond)}
	return supervisor.Spec{
		Name: "chaos", MaxRestarts: 1_000_000, Within: time.Hour, Logger: slog.New(slog.DiscardHandler), OnEvent: c.told.event,
		Children: append(c.group(""),
			supervisor.Child{Name: "mid", Props: nested("mid/", supervisor.OneForAll, 20, 50*time.Millisecond, deep)},
			supervisor.Child{Name: "rest", Props: nested("rest/", supervisor.RestForOne, 20, 50*time.Millisecond)}),
	}
}
