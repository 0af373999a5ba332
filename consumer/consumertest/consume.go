// SPDX-License-Identifier: Apache-2.0

package consumertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/internal/testtools"
	"github.com/protoloop/protoloop/supervisor"
)

// work is what is sent to consumers, and what they made of it.
type work struct {
	s            *suite
	good, poison int

	mu      sync.Mutex
	handled map[string]int
}

// sendWork sends n messages, every tenth of them poison.
func (s *suite) sendWork(w *work, n int) {
	s.Helper()
	var ms []consumer.Message
	for i := range n {
		if i%10 == 9 && s.q.Dead != nil {
			ms = append(ms, body(fmt.Sprint("poison ", w.poison)))
			w.poison++
			continue
		}
		ms = append(ms, body(fmt.Sprint("good ", w.good)))
		w.good++
	}
	s.send(ms...)
}

func newWork(s *suite) *work { return &work{s: s, handled: map[string]int{}} }

// handle awaits for a while, fails sometimes, and notes what it has handled.
func (w *work) handle(t *actors.Task, m consumer.Message) error {
	if strings.HasPrefix(string(m.Body), "poison") {
		return consumer.Poison(errors.New("poison it is"))
	}
	if err := t.Sleep(rand.N(20 * time.Millisecond)); err != nil {
		return err
	}
	if rand.N(20) == 0 {
		return errors.New("bad luck")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handled[string(m.Body)]++
	return nil
}

func (w *work) distinct() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.handled)
}

// options are such that no message dies of bad luck, and waits are short.
func options() consumer.Options {
	return consumer.Options{Concurrency: 20, MaxTries: -1, Retry: actors.Backoff{Initial: 20 * time.Millisecond, Max: time.Second},
		Trouble: actors.Backoff{Initial: 50 * time.Millisecond, Max: time.Second}, Outage: 3 * time.Second}
}

// supervised runs a consumer as a supervisor's child.
func (s *suite) supervised(c *consumer.Consumer) (*actor.ActorSystem, *supervisor.Supervisor) {
	s.Helper()
	sys := actortest.NewSystem(s.T)
	sup, err := supervisor.Start(context.Background(), sys, supervisor.Spec{Name: "app", MaxRestarts: 1 << 20, Children: []supervisor.Child{{
		Name: "items", Props: c.Props(), Backoff: actors.Backoff{Initial: 50 * time.Millisecond, Max: time.Second},
	}}})
	if err != nil {
		s.Fatal(err)
	}
	return sys, sup
}

// done waits until all is handled and in its place, and stops the consumer.
func (w *work) done(c *consumer.Consumer, sup *supervisor.Supervisor) {
	s := w.s
	s.Helper()
	testtools.Poll(4*within, func() bool { return w.distinct() >= w.good })
	if n := w.distinct(); n != w.good {
		s.Errorf("%d of %d messages were handled; %v", n, w.good, c.Stats())
	}
	s.empty()
	if s.q.Dead != nil {
		for _, d := range s.dead(w.poison) {
			if !strings.HasPrefix(string(d.Body), "poison") {
				s.Errorf("dead letter: %s", d.Body)
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if _, err := sup.Stop(ctx); err != nil {
		s.Errorf("stop: %v", err)
	}
	if st := c.Stats(); !st.Agree() || st.InFlight != 0 || st.Running != 0 {
		s.Errorf("account: %v", st)
	}
	s.Logf("%v", c.Stats())
}

// newConsumer returns a consumer with options that are good.
func newConsumer(open consumer.Open, handle consumer.Handler, o consumer.Options) *consumer.Consumer {
	c, err := consumer.New(open, handle, o)
	if err != nil {
		panic(err)
	}
	return c
}

// consume: all is handled, once as nothing goes wrong but handlers, and dead
// is what is poison.
func consume(s *suite) {
	w := newWork(s)
	c := newConsumer(s.q.Open, w.handle, options())
	_, sup := s.supervised(c)
	for range 5 {
		s.sendWork(w, 100)
	}
	w.done(c, sup)
	w.mu.Lock()
	defer w.mu.Unlock()
	for body, n := range w.handled {
		if n != 1 {
			s.Errorf("%s was handled %d times, and nothing had gone wrong", body, n)
		}
	}
}

// restarts: the worker is restarted and killed in the middle of it.
func restarts(s *suite) {
	w := newWork(s)
	c := newConsumer(s.q.Open, w.handle, options())
	sys, sup := s.supervised(c)
	for i := range 6 {
		s.sendWork(w, 100)
		moment := min(w.distinct()+rand.N(100), w.good)
		testtools.Poll(within, func() bool { return w.distinct() >= moment })
		if i%2 == 0 {
			ctx, cancel := context.WithTimeout(context.Background(), within)
			if err := sup.Restart(ctx, "items"); err != nil {
				s.Errorf("restart: %v", err)
			}
			cancel()
			continue
		}
		if pid := sup.Child("items"); pid != nil {
			sys.Root.Stop(pid)
		}
	}
	w.done(c, sup)
	if n := c.Stats().Incarnations; n < 4 {
		s.Errorf("%d incarnations", n)
	}
}

// stopGivesBack: what a stopping consumer cannot finish, or has not begun, is
// there at once for another one, delivered once more.
func stopGivesBack(s *suite) {
	for i := range 10 {
		s.send(body(fmt.Sprint(i)))
	}
	o := options()
	o.Concurrency, o.Prefetch = 5, 15 // so that five have begun, five have not, and more are asked for
	first := newConsumer(s.q.Open, func(t *actors.Task, _ consumer.Message) error { return t.Sleep(time.Hour) }, o)
	sys := actortest.NewSystem(s.T)
	pid, err := actors.Spawn(context.Background(), sys.Root, "first", first.Setup, actors.Options{})
	if err != nil {
		s.Fatal(err)
	}
	actortest.Eventually(s.T, "all to be in flight", func() bool { return first.Stats().InFlight == 10 })
	actortest.Stop(s.T, sys.Root, pid, 100*time.Millisecond)
	if st := first.Stats(); st.Returned != 10 || !st.Agree() {
		s.Errorf("account: %v", st)
	}
	second := s.openTill()
	ms := s.receive(second, 10, s.back())
	if len(ms) != 10 {
		s.Errorf("%d messages came", len(ms))
	}
	for _, m := range ms {
		if m.Deliveries != 2 && !s.q.NoCount && !s.q.CutPolls {
			s.Errorf("%q comes with %d deliveries: a stop is one, not more", m.Body, m.Deliveries)
		}
	}
	s.ack(second, ms...)
	s.empty()
}

// breaker: what handlers need cannot be had for longer than a lease, while fewer
// tries are allowed than it takes. None is counted, and nothing goes back more
// often than it has to.
func breaker(s *suite) {
	w := newWork(s)
	var mu sync.Mutex
	down, most := true, 0
	handle := func(t *actors.Task, m consumer.Message) error {
		mu.Lock()
		most = max(most, m.Deliveries)
		bad := down
		mu.Unlock()
		switch {
		case strings.HasPrefix(string(m.Body), "poison"):
			return consumer.Poison(errors.New("poison it is"))
		case bad && rand.N(2) == 0:
			return consumer.Unavailable(errors.New("the database is down"))
		case bad:
			return errors.New("something is wrong")
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.handled[string(m.Body)]++
		return nil
	}
	o := options()
	o.MaxTries, o.Prefetch = 4, 5
	o.Breaker.Probe = actors.Backoff{Initial: 50 * time.Millisecond, Max: 200 * time.Millisecond}
	c := newConsumer(s.q.Open, handle, o)
	_, sup := s.supervised(c)
	began := time.Now()
	s.sendWork(w, 50)
	if !testtools.Poll(within, func() bool { return !c.Stats().OpenSince.IsZero() }) {
		s.Errorf("the breaker has not opened: %v", c.Stats())
	}
	<-time.After(s.q.Lease + 2*time.Second) // how long it lasts is what is tested
	testtools.Poll(within, func() bool { return c.Stats().Probes >= 10 })
	if st := c.Stats(); st.OpenSince.IsZero() || st.Probes < 10 || !st.Agree() {
		s.Errorf("account in the outage: %v", st)
	}
	mu.Lock()
	down = false
	mu.Unlock()
	w.done(c, sup)
	mu.Lock()
	defer mu.Unlock()
	// A machine that is kept from extending a lease in time has one delivery more for it.
	if lapsed := int(time.Since(began) / s.q.Lease); !s.q.NoExtend && !s.q.CutPolls && most > 3+lapsed {
		s.Errorf("a message was delivered %d times", most)
	}
}

// outage: the queue cannot be reached for a while.
func outage(s *suite) {
	if s.q.Outage == nil {
		s.Skip("the queue cannot be cut off")
	}
	w := newWork(s)
	c := newConsumer(s.q.Open, w.handle, options())
	_, sup := s.supervised(c)
	for _, d := range []time.Duration{time.Second, 5 * time.Second} { // the second is over Options.Outage
		begun := w.distinct()
		s.sendWork(w, 200)
		testtools.Poll(within, func() bool { return w.distinct() > begun })
		restore := s.q.Outage(s.T)
		<-time.After(d) // how long it lasts is what is tested
		restore()
		s.sendWork(w, 100)
	}
	w.done(c, sup)
	if st := c.Stats(); st.Trouble == 0 {
		s.Errorf("no call has failed: %v", st)
	}
}
