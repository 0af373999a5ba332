// SPDX-License-Identifier: Apache-2.0

package consumer_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
)

// database is what handlers need, and a record of what it was asked.
type database struct {
	mark func(error) error // of an error while it is down; nil: none
	slow time.Duration     // to answer

	mu      sync.Mutex
	down    bool
	asked   int
	running int
	most    int // calls at a time
	done    map[string]int
	order   []string
}

func (d *database) set(down bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down, d.asked, d.most = down, 0, 0
}

// calls returns how many calls there were since set, and how many at a time.
func (d *database) calls() (asked, most int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked, d.most
}

func (d *database) enter() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	d.running++
	d.most = max(d.most, d.running)
}

func (d *database) leave(key string, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
	if err != nil {
		return err
	}
	if d.down {
		err := errors.New("connection refused")
		if d.mark != nil {
			return d.mark(err)
		}
		return err
	}
	if d.done == nil {
		d.done = map[string]int{}
	}
	d.done[key]++
	d.order = append(d.order, key)
	return nil
}

func (d *database) handle(t *actors.Task, m consumer.Message) error {
	body := string(m.Body)
	if strings.HasPrefix(body, "poison") {
		return consumer.Poison(errors.New("it is poison"))
	}
	if strings.HasPrefix(body, "bad") {
		return errors.New("it is bad")
	}
	d.enter()
	return d.leave(body, t.Sleep(d.slow))
}

// check looks at the end: each of bodies was handled once, and dead are dead and
// no others.
func (d *database) check(t *testing.T, q *memory.Queue, s consumer.Stats, bodies, dead []string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range bodies {
		if d.done[b] != 1 {
			t.Errorf("%q was handled %d times", b, d.done[b])
		}
	}
	if len(d.done) != len(bodies) || q.Len() != 0 {
		t.Errorf("%d of %d messages were handled, %d are left", len(d.done), len(bodies), q.Len())
	}
	var got []string
	for _, l := range q.Dead() {
		got = append(got, string(l.Message.Body))
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(dead)); !slices.Equal(got, want) {
		t.Errorf("dead letters %q, want %q", got, want)
	}
	if !s.OpenSince.IsZero() {
		t.Errorf("the breaker is open at the end: %v", s)
	}
}

// TestOutageLeavesNoDeadLetter: with defaults nothing is given up in an hour in
// which no handler can do its work, however they tell; poison is, at once.
func TestOutageLeavesNoDeadLetter(t *testing.T) {
	for name, c := range map[string]struct {
		o       consumer.Options
		mark    func(error) error
		slow    time.Duration
		q       memory.Options
		minutes int // after the first five; 0: 15
	}{
		"PlainErrors": {minutes: 55},
		"Unavailable": {mark: consumer.Unavailable},
		"Panics":      {mark: func(err error) error { panic(err) }},
		"SlowErrors":  {slow: 3 * time.Second, mark: consumer.Unavailable},
		"Timeouts":    {slow: time.Minute, o: consumer.Options{Timeout: 10 * time.Second}},
		"Prefetch":    {o: consumer.Options{Prefetch: 32}},
		"Pollers":     {o: consumer.Options{Pollers: 4}, q: memory.Options{MaxBatch: 10}},
		"OneAtATime":  {o: consumer.Options{Concurrency: 1}},
		"Order":       {o: consumer.Options{Order: consumer.ByGroup, Prefetch: 16}},
		"ShortLease":  {q: memory.Options{Lease: 5 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
				q := memory.New(c.q)
				d := &database{mark: c.mark, slow: c.slow, down: true}
				good := bodies(100)
				for i, b := range good {
					q.Send(consumer.Message{Body: []byte(b), Group: fmt.Sprint(i % 7)})
				}
				con := newConsumer(q.Open, d.handle, c.o)
				pid := spawn(t, sys, con, actors.Options{})
				pass(5 * time.Minute)
				d.set(true)
				minutes := cmp.Or(c.minutes, 15)
				for range minutes {
					pass(time.Minute)
					if s := con.Stats(); !s.Agree() || s.OpenSince.IsZero() || s.Outages != 1 || s.DeadLettered != 0 {
						t.Fatalf("account in the outage: %v", s)
					}
				}
				if asked, most := d.calls(); asked < minutes || asked > 5*minutes || most > 1+int(c.slow/(30*time.Second)) {
					t.Errorf("asked %d times in %d minutes, %d at a time", asked, minutes, most)
				}
				q.SendBody("poison 1", "poison 2") // behind all others
				d.mu.Lock()
				d.slow = 0
				d.mu.Unlock()
				d.set(false)
				pass(2 * time.Minute)
				d.check(t, q, con.Stats(), good, []string{"poison 1", "poison 2"})
				s := stop(t, sys, pid, con, q, time.Second)
				if s.Failures != s.Excused+s.Retried+s.DeadLettered && c.o.Order == nil || s.Probes < int64(minutes) || s.Incarnations != 1 {
					t.Errorf("account: %v", s)
				}
				t.Log(s)
			})
		})
	}
}

// TestPoisonInAnOutage: what is poison becomes a dead letter as soon as it is
// received, and holds up no probe.
func TestPoisonInAnOutage(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		d := &database{down: true}
		good := bodies(10)
		q.SendBody("poison a")
		q.SendBody(good...)
		c := newConsumer(q.Open, d.handle, consumer.Options{})
		pid := spawn(t, sys, c, actors.Options{})
		synctest.Wait()
		if len(q.Dead()) != 1 || c.Stats().OpenSince.IsZero() {
			t.Errorf("dead at once: %v; %v", q.Dead(), c.Stats())
		}
		pass(10 * time.Minute)
		var poison []string
		for i := range 50 {
			poison = append(poison, fmt.Sprint("poison ", i))
		}
		q.SendBody(poison...)
		pass(31 * time.Second)
		if n := len(q.Dead()); n != 51 {
			t.Errorf("%d dead letters after a probe", n)
		}
		d.set(false)
		pass(time.Minute)
		d.check(t, q, c.Stats(), good, append(poison, "poison a"))
		stop(t, sys, pid, c, q, time.Second)
	})
}

// TestBadMessagesAreGivenUp: one that fails on its own is given up after its
// tries, alone or beside good ones, after an outage and before.
func TestBadMessagesAreGivenUp(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		d := &database{}
		c := newConsumer(q.Open, d.handle, consumer.Options{})
		pid := spawn(t, sys, c, actors.Options{})
		q.SendBody("bad 0")
		pass(time.Minute)
		if dead := q.Dead(); len(dead) != 1 || dead[0].Tries != 5 {
			t.Errorf("alone: %v", dead)
		}
		var good, bad []string
		for i := range 200 {
			good = append(good, fmt.Sprint("good ", i))
			if i%2 == 0 { // a third are bad
				bad = append(bad, fmt.Sprint("bad ", i+1))
				q.SendBody(bad[len(bad)-1])
			}
			q.SendBody(good[i])
		}
		pass(2 * time.Minute)
		if s := c.Stats(); s.DeadLettered != 101 || s.Outages > 1 { // many bad ones at first may be quick
			t.Errorf("a third of the messages is bad, and the account is %v", s)
		}
		d.set(true)
		more := bodies(50)
		q.SendBody("bad again")
		q.SendBody(more...)
		pass(time.Hour)
		if s := c.Stats(); s.OpenSince.IsZero() {
			t.Errorf("account in an outage: %v", s)
		}
		d.set(false)
		pass(5 * time.Minute)
		d.check(t, q, c.Stats(), append(good, more...), append(bad, "bad 0", "bad again"))
		if dead := q.Dead(); dead[len(dead)-1].Tries != 5 {
			t.Errorf("after the outage it was tried %d times", dead[len(dead)-1].Tries)
		}
		stop(t, sys, pid, c, q, time.Second)
	})
}

// TestGoodMessageAmongBadOnes: those that fail for their own reasons, with nothing
// else in the queue, look like an outage. What comes then is handled, and then
// they are given up.
func TestGoodMessageAmongBadOnes(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		d := &database{}
		var bad []string
		for i := range 40 {
			bad = append(bad, fmt.Sprint("bad ", i))
		}
		q.SendBody(bad...)
		c := newConsumer(q.Open, d.handle, consumer.Options{})
		pid := spawn(t, sys, c, actors.Options{})
		pass(time.Hour)
		if s := c.Stats(); s.OpenSince.IsZero() || s.DeadLettered != 0 {
			t.Errorf("account: %v", s)
		}
		good := bodies(300)
		q.SendBody(good[0])
		pass(31 * time.Second)
		if s := c.Stats(); s.Acked != 1 {
			t.Errorf("account: %v", s)
		}
		for _, b := range good[1:] {
			pass(time.Second)
			q.SendBody(b)
		}
		pass(15 * time.Minute) // a few outages, until all bad ones have had a good one beside them
		d.check(t, q, c.Stats(), good, bad)
		stop(t, sys, pid, c, q, time.Second)
	})
}

// TestUnavailableAlone: a message that fails alone, because of something else, is
// tried for ever, and opens the breaker.
func TestUnavailableAlone(t *testing.T) {
	for _, failures := range []int{0, -1} {
		actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
			q := memory.New(memory.Options{})
			d := &database{down: true, mark: consumer.Unavailable}
			q.SendBody("x")
			c := newConsumer(q.Open, d.handle, consumer.Options{Breaker: consumer.Breaker{Failures: failures}})
			pid := spawn(t, sys, c, actors.Options{})
			pass(time.Hour)
			if s := c.Stats(); s.OpenSince.IsZero() != (failures < 0) || s.Excused != s.Failures || s.Failures < 12 {
				t.Errorf("Failures %d: %v", failures, s)
			}
			d.set(false)
			pass(5 * time.Minute)
			d.check(t, q, c.Stats(), []string{"x"}, nil)
			stop(t, sys, pid, c, q, time.Second)
		})
	}
}

// TestProbesBackOff: one message at a time is tried, at growing intervals, and
// each time another one as long as there is one; then all go on at once.
func TestProbesBackOff(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		var at []time.Duration
		var got []string
		began := time.Now()
		var down atomic.Bool
		down.Store(true)
		c := newConsumer(q.Open, func(_ *actors.Task, m consumer.Message) error {
			at, got = append(at, time.Since(began)), append(got, string(m.Body))
			if down.Load() {
				return errors.New("down")
			}
			return nil
		}, consumer.Options{Concurrency: 2, Breaker: consumer.Breaker{Failures: 2, Probe: actors.Backoff{Initial: time.Second, Max: 4 * time.Second}}})
		q.SendBody("a", "b", "c", "d", "e", "f")
		pid := spawn(t, sys, c, actors.Options{})
		pass(12 * time.Second) // between two probes
		down.Store(false)
		pass(4 * time.Second)
		want := []time.Duration{0, 0, time.Second, 3 * time.Second, 7 * time.Second, 11 * time.Second, 15 * time.Second}
		if len(at) < len(want) || !slices.Equal(at[:len(want)], want) {
			t.Errorf("tried at %v, want %v", at, want)
		}
		if first := got[:min(6, len(got))]; len(slices.Compact(slices.Sorted(slices.Values(first)))) < 5 {
			t.Errorf("probed %q", got)
		}
		pass(time.Minute)
		s := stop(t, sys, pid, c, q, time.Second)
		if s.Acked != 6 || s.Probes != 5 || s.Outages != 1 {
			t.Errorf("account: %v", s)
		}
	})
}

// TestQueuesCountInAnOutage: what is in flight when the breaker opens is kept or
// goes back once. A queue that gives messages up by its own count of deliveries
// has no reason to.
func TestQueuesCountInAnOutage(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		d := &database{down: true}
		most := 0
		handle := func(t *actors.Task, m consumer.Message) error {
			most = max(most, m.Deliveries)
			return d.handle(t, m)
		}
		good := bodies(30)
		q.SendBody(good...)
		c := newConsumer(q.Open, handle, consumer.Options{Prefetch: 8})
		pid := spawn(t, sys, c, actors.Options{})
		pass(time.Hour)
		d.set(false)
		pass(time.Minute)
		d.check(t, q, c.Stats(), good, nil)
		if most > 2 {
			t.Errorf("a message was delivered %d times", most)
		}
		stop(t, sys, pid, c, q, time.Second)
	})
}

// TestStopWhileOpen: a stop gives back what the consumer keeps, and these
// deliveries count no tries for the worker that comes after it: it goes on as the
// other one has left off.
func TestStopWhileOpen(t *testing.T) {
	for _, order := range []func(consumer.Message) string{nil, consumer.ByGroup} {
		actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
			q := memory.New(memory.Options{})
			d := &database{down: true, slow: time.Second}
			good := bodies(40)
			for i, b := range good {
				q.Send(consumer.Message{Body: []byte(b), Group: fmt.Sprint(i % 8)})
			}
			c := newConsumer(q.Open, d.handle, consumer.Options{MaxTries: 2, Prefetch: 8, Order: order})
			for round := range 20 { // in each a probe or two
				pid := spawn(t, sys, c, actors.Options{})
				pass(time.Minute + time.Duration(round)*1500*time.Millisecond)
				if s := c.Stats(); s.OpenSince.IsZero() || s.Outages != 1 {
					t.Errorf("round %d: %v", round, s)
				}
				stop(t, sys, pid, c, q, 10*time.Second)
				if q.InFlight() != 0 || q.Len() != len(good) {
					t.Errorf("round %d: %d in flight of %d", round, q.InFlight(), q.Len())
				}
			}
			d.set(false)
			pid := spawn(t, sys, c, actors.Options{})
			pass(2 * time.Minute)
			d.check(t, q, c.Stats(), good, nil)
			if order != nil {
				for g := range 8 {
					of := slices.DeleteFunc(slices.Clone(d.order), func(b string) bool { return slices.Index(good, b)%8 != g })
					if !slices.IsSortedFunc(of, func(a, b string) int { return slices.Index(good, a) - slices.Index(good, b) }) {
						t.Errorf("group %d was handled in the order %q", g, of)
					}
				}
			}
			stop(t, sys, pid, c, q, time.Second)
		})
	}
}

// TestOneBreakerForAllWorkers of a consumer: together they probe one message at a
// time, those of each in turn.
func TestOneBreakerForAllWorkers(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		const workers = 5
		q := memory.New(memory.Options{})
		d := &database{down: true, slow: 10 * time.Millisecond}
		by := map[string]int{}
		c := newConsumer(q.Open, func(t *actors.Task, m consumer.Message) error {
			d.mu.Lock()
			by[t.Self().Id]++
			d.mu.Unlock()
			return d.handle(t, m)
		}, consumer.Options{Concurrency: 2})
		var pids []*actor.PID
		for i := range workers {
			pids = append(pids, actortest.Spawn(t, sys.Root, fmt.Sprint("consumer-", i), c.Setup, actors.Options{}))
		}
		good := bodies(200)
		q.SendBody(good...)
		pass(time.Minute)
		d.set(true)
		d.mu.Lock()
		clear(by)
		d.mu.Unlock()
		pass(time.Hour)
		asked, most := d.calls()
		d.mu.Lock()
		if asked < 100 || asked > 250 || most != 1 || len(by) != workers {
			t.Errorf("in an hour asked %d times, %d at a time, by %v", asked, most, by)
		}
		d.mu.Unlock()
		if s := c.Stats(); s.Outages != 1 || s.InFlight > 200 {
			t.Errorf("account: %v", s)
		}
		d.set(false)
		pass(3 * time.Minute)
		d.check(t, q, c.Stats(), good, nil)
		for _, pid := range pids {
			actortest.Stop(t, sys.Root, pid, time.Second)
		}
	})
}

// TestProbeThatHangs does not keep the breaker open.
func TestProbeThatHangs(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		var down, hangs atomic.Bool
		down.Store(true)
		c := newConsumer(q.Open, func(t *actors.Task, _ consumer.Message) error {
			switch {
			case hangs.Load():
				return t.Sleep(24 * time.Hour)
			case down.Load():
				return errors.New("down")
			}
			return nil
		}, consumer.Options{})
		q.SendBody(bodies(20)...)
		pid := spawn(t, sys, c, actors.Options{})
		pass(time.Minute)
		hangs.Store(true)
		pass(35 * time.Second) // one has begun and hangs
		hangs.Store(false)
		down.Store(false)
		pass(time.Minute)
		s := c.Stats()
		if !s.OpenSince.IsZero() || s.Acked < 17 {
			t.Errorf("account: %v", s)
		}
		stop(t, sys, pid, c, q, time.Second)
	})
}

// TestWithoutLeases: what cannot be kept hidden from others goes back.
func TestWithoutLeases(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{Lease: time.Minute})
		d := &database{down: true}
		c := newConsumer(func(ctx context.Context) (consumer.Source, error) {
			s, err := q.Open(ctx)
			return leaseless{s.(consumer.DeadLetterer)}, err
		}, d.handle, consumer.Options{Prefetch: 8})
		good := bodies(30)
		q.SendBody(good...)
		pid := spawn(t, sys, c, actors.Options{})
		pass(time.Minute)
		for range 60 {
			pass(time.Minute)
			if s := c.Stats(); s.InFlight > 1 || s.Lost > 0 {
				t.Errorf("account: %v", s)
			}
		}
		d.set(false)
		pass(5 * time.Minute)
		d.check(t, q, c.Stats(), good, nil)
		stop(t, sys, pid, c, q, time.Second)
	})
}

// leaseless is a source that cannot extend leases.
type leaseless struct{ consumer.DeadLetterer }

func (s leaseless) Receive(ctx context.Context, most int) ([]*consumer.Message, error) {
	ms, err := s.DeadLetterer.Receive(ctx, most)
	for _, m := range ms {
		m.Lease = 0
	}
	return ms, err
}

// TestOutageIsTold in the log and in what inspect.System shows.
func TestOutageIsTold(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		q := memory.New(memory.Options{})
		d := &database{down: true}
		q.SendBody(bodies(30)...)
		c := newConsumer(q.Open, d.handle, consumer.Options{Prefetch: 8})
		pid := spawn(t, sys, c, actors.Options{})
		pass(10 * time.Minute)
		if text := fmt.Sprint(inspect.System(sys)); !strings.Contains(text, "consumer: the breaker is open ") {
			t.Errorf("inspect.System shows\n%s", text)
		}
		if cause := c.Info().OpenCause; cause == nil || cause.Error() != "connection refused" {
			t.Errorf("the cause is %v", cause)
		}
		if text := c.Stats().String(); !strings.Contains(text, "outages 1 ") || !strings.Contains(text, "the breaker is open since") {
			t.Errorf("account: %s", text)
		}
		d.set(false)
		pass(time.Minute)
		if text := fmt.Sprint(inspect.System(sys)); strings.Contains(text, "is open") {
			t.Errorf("inspect.System shows\n%s", text)
		}
		log := actortest.LogOf(sys)
		for what, want := range map[string]int{"the breaker is open:": 1, "the breaker is closed": 1, "messages go back until": 1} {
			if n := len(log.Find(0, what)); n != want {
				t.Errorf("%q is logged %d times", what, n)
			}
		}
		stop(t, sys, pid, c, q, time.Second)
	})
}

// TestOutageIsToldBriefly: an outage fails many handlers, and extensions of many leases. The log has the first at once, and then a line a
// second at most, with how many there were.
func TestOutageIsToldBriefly(t *testing.T) {
	actortest.Run(t, func(t *testing.T, sys *actor.ActorSystem) {
		var extensions atomic.Int64
		q := memory.New(memory.Options{Lease: 10 * time.Second, Fault: func(_ context.Context, call memory.Call, _ []string) error {
			if call == memory.Extend {
				extensions.Add(1)
				return errors.New("no answer")
			}
			return nil
		}})
		c := newConsumer(q.Open, func(t *actors.Task, m consumer.Message) error {
			i, _ := strconv.Atoi(string(m.Body))
			wait := time.Second // 20 within 100 ms,
			if i >= 20 {
				wait = 3 * time.Second // 20 later,
			}
			if i >= 40 {
				wait = time.Hour // and 20 whose leases have to be extended, each at its own time
			}
			return cmp.Or(t.Sleep(wait), consumer.Unavailable(errors.New("connection refused")))
		}, consumer.Options{Concurrency: 60})
		pid := spawn(t, sys, c, actors.Options{})
		for i := range 60 {
			q.SendBody(fmt.Sprint(i))
			pass(5 * time.Millisecond)
		}
		lines := func(text string) (lines, counted int64) {
			for _, r := range actortest.LogOf(sys).Find(slog.LevelWarn, text) {
				n, _ := r.Attr("more since the last line").(int64)
				lines, counted = lines+1, counted+n
			}
			return lines, counted
		}
		pass(4 * time.Second)
		if lines, counted := lines("a handler failed, not for its message"); lines != 2 || counted < 10 || counted > 20 {
			t.Errorf("%d lines of handlers, which count %d more", lines, counted)
		}
		const seconds = 60
		pass(seconds * time.Second)
		all := extensions.Load()
		if lines, counted := lines("leases could not be extended"); lines == 0 || lines > 4+seconds || lines > all/2 || lines+counted > all || lines+counted < all-100 {
			t.Errorf("%d lines of leases, which count %d more, of %d", lines, counted, all)
		}
		actortest.Stop(t, sys.Root, pid, time.Second)
	})
}
