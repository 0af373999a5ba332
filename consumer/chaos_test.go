// SPDX-License-Identifier: Apache-2.0

package consumer_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
	"github.com/protoloop/protoloop/supervisor"
)

var chaosSeed = flag.Uint64("chaos-seed", 0, "of TestChaos alone; 0: some random ones")

// chaos is one run: what is sent, what goes wrong, and what was seen.
type chaos struct {
	t *testing.T

	mu      sync.Mutex
	rng     *rand.Rand
	calm    bool           // nothing goes wrong any more
	down    bool           // what handlers need is
	handled map[string]int // how often with success
	acked   map[string]bool
	q       *memory.Queue
}

func (c *chaos) chance(p float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.calm && c.rng.Float64() < p
}

func (c *chaos) between(lo, hi time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return lo + time.Duration(c.rng.Int64N(int64(hi-lo)))
}

// fault lets calls of the source fail, and notes acks that have no right to
// be: only what was handled may be acked.
func (c *chaos) fault(_ context.Context, call memory.Call, ids []string) error {
	if c.chance(0.1) {
		time.Sleep(c.between(1, 3*time.Second))
	}
	if call != memory.Open && call != memory.Close && c.chance(0.05) {
		return errors.New("chaos: the source has a moment")
	}
	var b consumer.BatchError
	for i := range ids {
		if c.chance(0.02) {
			b.Fail(i, errors.New("chaos: this one not"))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if call == memory.Ack {
		for i, id := range ids {
			if c.handled[id] == 0 {
				c.t.Errorf("message %s is acked and was not handled", id)
			}
			c.acked[id] = c.acked[id] || b.Errs[i] == nil
		}
	}
	return b.Err()
}

func (c *chaos) handle(t *actors.Task, m consumer.Message) error {
	body := string(m.Body)
	if strings.HasPrefix(body, "poison") {
		return consumer.Poison(errors.New(body))
	}
	if c.chance(0.5) {
		if err := t.Sleep(c.between(1, 4*time.Second)); err != nil {
			return err
		}
	}
	c.mu.Lock()
	down := c.down
	c.mu.Unlock()
	switch {
	case down && c.chance(0.5):
		return consumer.Unavailable(errors.New("chaos: an outage"))
	case down:
		return errors.New("chaos: an outage, not told as one")
	case c.chance(0.1):
		return errors.New("chaos: the handler has failed")
	case c.chance(0.05):
		panic("chaos: the handler has panicked")
	case c.chance(0.02):
		if err := t.Sleep(time.Hour); err != nil { // longer than the timeout
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handled[m.ID]++
	return nil
}

// crash makes the worker fail, as a handler of its own would.
type crash struct{}

func TestChaos(t *testing.T) {
	seeds := []uint64{*chaosSeed}
	if *chaosSeed == 0 {
		seeds = []uint64{rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64()}
	}
	for _, seed := range seeds {
		for _, ordered := range []bool{false, true} {
			t.Run(fmt.Sprintf("seed=%d/ordered=%v", seed, ordered), func(t *testing.T) {
				actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) { runChaos(t, sys, seed, ordered) })
			})
		}
	}
}

func runChaos(t *testing.T, sys *actor.ActorSystem, seed uint64, ordered bool) {
	ch := &chaos{t: t, rng: rand.New(rand.NewPCG(seed, 1)), handled: map[string]int{}, acked: map[string]bool{}}
	ch.q = memory.New(memory.Options{Lease: 10 * time.Second, Wait: 5 * time.Second, MaxBatch: 10, Fault: ch.fault})
	o := consumer.Options{Concurrency: 8, Prefetch: 8, Pollers: 2, MaxTries: -1, Timeout: 20 * time.Second,
		Retry: actors.Backoff{Initial: 100 * time.Millisecond, Max: 5 * time.Second}, Outage: 20 * time.Second}
	if ordered {
		o.Order, o.Pollers = consumer.ByGroup, 1
	}
	c := newConsumer(ch.q.Open, ch.handle, o)
	setup := func(w *actors.Worker) error {
		actors.On(w, func(*actors.Task, crash) error { panic("chaos: crash") })
		return c.Setup(w)
	}
	s, err := supervisor.Start(context.Background(), sys, supervisor.Spec{Name: "app", MaxRestarts: 1 << 20, Children: []supervisor.Child{{
		Name: "items", Props: actors.Props(setup, actors.EventLoop(actors.Options{StopGrace: 2 * time.Second})),
		Shutdown: 5 * time.Second, Backoff: actors.Backoff{Initial: time.Millisecond, Max: time.Second},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	good, poison := 0, 0
	for range 200 {
		var ms []consumer.Message
		for range 5 {
			m := consumer.Message{Body: []byte(fmt.Sprint("good ", good)), Group: fmt.Sprint(good % 7)}
			if ch.chance(0.1) {
				m.Body = []byte(fmt.Sprint("poison ", poison))
				poison++
			} else {
				good++
			}
			ms = append(ms, m)
		}
		ch.q.Send(ms...)
		ch.disturb(sys, s)
		if st := c.Stats(); !st.Agree() || st.InFlight < 0 || st.Running < 0 {
			t.Errorf("account: %v, running %d", st, st.Running)
		}
		time.Sleep(ch.between(1, time.Second))
	}
	ch.mu.Lock()
	ch.calm, ch.down = true, false
	ch.mu.Unlock()
	for range 600 {
		if ch.q.Len() == 0 {
			break
		}
		time.Sleep(time.Second)
	}
	if _, err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	ch.check(c.Stats(), good, poison)
}

// disturb may do one bad thing.
func (c *chaos) disturb(sys *actor.ActorSystem, s *supervisor.Supervisor) {
	switch {
	case c.chance(0.04):
		c.q.Break()
	case c.chance(0.04):
		if pid := s.Child("items"); pid != nil {
			sys.Root.Send(pid, crash{})
		}
	case c.chance(0.04):
		if err := s.Restart(context.Background(), "items"); err != nil {
			c.t.Error(err)
		}
	case c.chance(0.04):
		c.mu.Lock()
		c.down = !c.down
		c.mu.Unlock()
	case c.chance(0.04): // a kill, and the supervisor starts it anew
		if pid := s.Child("items"); pid != nil {
			sys.Root.Stop(pid)
		}
	}
}

// check looks at the end: every good message was handled and acked, and dead
// are the poison ones, all of them and no others.
func (c *chaos) check(s consumer.Stats, good, poison int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.handled) != good || len(c.acked) != good || c.q.Len() != 0 {
		c.t.Errorf("of %d messages %d were handled and %d acked; %d are left", good, len(c.handled), len(c.acked), c.q.Len())
	}
	dead := map[string]bool{}
	for _, d := range c.q.Dead() {
		if !strings.HasPrefix(string(d.Message.Body), "poison") || dead[d.Message.ID] {
			c.t.Errorf("dead letter: %s", d.Message.Body)
		}
		dead[d.Message.ID] = true
	}
	if len(dead) != poison {
		c.t.Errorf("%d dead letters of %d poison messages", len(dead), poison)
	}
	if !s.Agree() || s.InFlight != 0 || s.Running != 0 || c.q.InFlight() != 0 || c.q.Sources() != 0 {
		c.t.Errorf("account: %v, running %d", s, s.Running)
	}
	c.t.Logf("incarnations %d, %v", s.Incarnations, s)
}
