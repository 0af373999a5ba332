// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// fairCase is one that is asked now and then, beside one that always has something to do.
// A question counts from when it was due: where the busy one keeps all processors, nobody
// gets to ask.
type fairCase struct {
	name, label string
	procs       int // GOMAXPROCS
	busy        busyOne
	open        func(e *env, work int) (fairPair, error)
}

// busyOne is what the busy one has to do: each of its messages takes it some time, and is
// queued again when it is done.
type busyOne struct {
	name, label string
	queued      int
	turn        time.Duration
}

var allBusy = []busyOne{
	{"million", "beside one with 1,000,000 messages of 1 µs", 1_000_000, time.Microsecond},
	{"long", "beside one with turns of 5 ms", 8, 5 * time.Millisecond},
}

// fairPair is the two.
type fairPair struct {
	ask  func() error // the one that has nothing else to do
	send func()       // gives the busy one a message
}

const (
	fairRounds = 3
	// fairEvery is between two questions, and up to as long again.
	fairEvery = 4 * time.Millisecond
	// fairQuestions are what a 99th percentile takes.
	fairQuestions = 150
)

func (c *fairCase) title() string {
	return fmt.Sprintf("one that is asked now and then, GOMAXPROCS %d", c.procs)
}

func (*fairCase) cells(s sample) []string {
	return []string{whole(s.Wall), "", "", "", whole(s.P99 / 1000)}
}

func (c *fairCase) measure(questions int) (s sample, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.procs))
	e := newEnv()
	defer func() { err = errors.Join(err, e.close()) }()
	pair, err := c.open(e, turnsOf(c.busy.turn))
	if err != nil {
		return s, err
	}
	for range c.busy.queued {
		pair.send()
	}
	latencies := make([]time.Duration, 0, questions)
	var total time.Duration
	for i := range questions {
		// The remainder of a multiple of a large prime is as good as chance.
		due := time.Now().Add(fairEvery + time.Duration(i*7919%97)*fairEvery/97)
		time.Sleep(time.Until(due))
		if err := pair.ask(); err != nil {
			return s, err
		}
		took := time.Since(due)
		latencies = append(latencies, took)
		total += took
	}
	return sample{Wall: float64(total) / float64(questions), P99: percentile(latencies, 0.99)}, nil
}

func fairCases() (cs []*fairCase) {
	for _, procs := range []int{1, 2} {
		for _, busy := range allBusy {
			for _, c := range []struct {
				name, label string
				open        func(e *env, work int) (fairPair, error)
			}{
				{"go", "goroutine with channel", goFair(func(m *question) *question { return m })},
				{"go-new", "goroutine with channel, 160 bytes anew for each message", goFair(questionAnew)},
				{"engine", "Proto.Actor", engineFair},
				{"dispatcher", "dispatcher, 32 messages a turn", dispatcherFair},
				{"worker", "worker", workerFair},
			} {
				cs = append(cs, &fairCase{fairName(c.name, procs, busy), c.label + " " + busy.label, procs, busy, c.open})
			}
		}
	}
	return cs
}

func fairName(who string, procs int, busy busyOne) string {
	return fmt.Sprintf("fairness/%s-%d/%s", who, procs, busy.name)
}

// fairRules limit the wait to two turns of those that last. Beside a million messages it is the
// collector that makes the 99th percentile, 12 to 13 ms: with GOGC=off it is 0.2 ms on one processor, where
// two turns of 64 messages are 0.17 ms. Each message to a worker is an object anew. A goroutine that makes
// its messages anew, too, has others wait 34 ms on one processor, and 14 ms on two. With a linked list in place of the
// channel, as a worker has, these are 35 and 17 ms: so it is not the list that the collector is slow with.
func fairRules() (rs []rule) {
	for _, procs := range []int{1, 2} {
		for _, busy := range allBusy {
			of := fairName("worker", procs, busy)
			r := rule{of: of, figure: p99Millis}
			if busy.turn >= time.Millisecond {
				r.limit = 2 * busy.turn.Seconds() * 1e3
			}
			rs = append(rs, r)
			for _, other := range []struct{ name, as string }{{"go", "goroutines"}, {"go-new", "messages anew"}, {"dispatcher", "dispatcher"}} {
				r := rule{of: of, against: fairName(other.name, procs, busy), as: other.as, figure: p99}
				if procs == 1 {
					r.limit = 1
				}
				rs = append(rs, r)
			}
		}
	}
	return rs
}

func workerFair(e *env, work int) (fairPair, error) {
	asked, err := e.worker("asked")
	if err != nil {
		return fairPair{}, err
	}
	over := false
	busy, err := e.spawn("busy", func(w *actors.Worker) error {
		actors.On(w, func(t *actors.Task, m *question) error {
			if over {
				return nil
			}
			compute(work)
			t.Send(t.Self(), m)
			return nil
		})
		return nil
	})
	e.onClose(func() error {
		_, err := actors.Submit(e.sys.Root, busy, func(*actors.Task) (int, error) { over = true; return 0, nil }).Wait(e.ctx)
		return err
	})
	return fairPair{
		ask: func() error {
			_, err := actors.RequestFuture[answer](e.sys.Root, asked, question{1}).Wait(e.ctx)
			return err
		},
		send: func() { e.sys.Root.Send(busy, &question{}) },
	}, err
}

func engineFair(e *env, work int) (fairPair, error) {
	asked := e.plain()
	over := false
	ended := make(chan struct{})
	busy := e.sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *question:
			if !over {
				compute(work)
				c.Send(c.Self(), m)
			}
		case question:
			over = true
			close(ended)
		}
	}))
	e.onClose(func() error {
		e.sys.Root.Send(busy, question{})
		<-ended
		return e.sys.Root.StopFuture(busy).Wait()
	})
	return fairPair{
		ask: func() error {
			_, err := e.sys.Root.RequestFuture(asked, question{1}, requestTimeout).Result()
			return err
		},
		send: func() { e.sys.Root.Send(busy, &question{}) },
	}, nil
}

// questionAnew is a copy with as much memory as a message to a worker takes, half of which are pointers.
func questionAnew(m *question) *question {
	const pointers = 10
	anew := &struct {
		question
		_ [pointers]*question
		_ [160 - unsafe.Sizeof(question{}) - pointers*unsafe.Sizeof(m)]byte
	}{question: *m}
	return &anew.question
}

// goFair is with goroutines that each serve a channel. toSend is what the busy one sends itself.
func goFair(toSend func(m *question) *question) func(e *env, work int) (fairPair, error) {
	return func(e *env, work int) (fairPair, error) { return goFairPair(e, work, toSend) }
}

func goFairPair(e *env, work int, toSend func(m *question) *question) (fairPair, error) {
	const room = 1_000_001
	inbox, end := make(chan *question, room), make(chan struct{})
	asked := make(chan chan int)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case m := <-inbox:
				compute(work)
				inbox <- toSend(m)
			case <-end:
				return
			}
		}
	})
	wg.Go(func() {
		for reply := range asked {
			reply <- 1
		}
	})
	e.onClose(func() error {
		close(end)
		close(asked)
		wg.Wait()
		return nil
	})
	return fairPair{
		ask: func() error {
			reply := make(chan int, 1)
			asked <- reply
			<-reply
			return nil
		},
		send: func() { inbox <- toSend(&question{}) },
	}, nil
}

// dispatcher is the bare scheme that GoAkt 4.4 publishes (actor/dispatcher.go there): as many
// goroutines as processors, two at least, which take the next actor that has messages from a
// queue, let it handle up to 32 of them, and put it back if it has more. GoAkt itself could not be
// had as a module.
type dispatcher struct {
	mu    sync.Mutex
	more  sync.Cond
	ready []*dispatched
	over  bool
	wg    sync.WaitGroup
}

// dispatched is an actor of the dispatcher.
type dispatched struct {
	d         *dispatcher
	receive   func(m any)
	mu        sync.Mutex
	messages  []any
	scheduled bool
}

const dispatcherBudget = 32

func newDispatcher() *dispatcher {
	d := new(dispatcher)
	d.more.L = &d.mu
	for range max(runtime.GOMAXPROCS(0), 2) {
		d.wg.Go(d.run)
	}
	return d
}

func (d *dispatcher) run() {
	for {
		d.mu.Lock()
		for len(d.ready) == 0 && !d.over {
			d.more.Wait()
		}
		if d.over {
			d.mu.Unlock()
			return
		}
		a := d.ready[0]
		d.ready = d.ready[1:]
		d.mu.Unlock()
		a.runTurn()
	}
}

func (d *dispatcher) schedule(a *dispatched) {
	d.mu.Lock()
	d.ready = append(d.ready, a)
	d.mu.Unlock()
	d.more.Signal()
}

func (d *dispatcher) close() error {
	d.mu.Lock()
	d.over = true
	d.mu.Unlock()
	d.more.Broadcast()
	d.wg.Wait()
	return nil
}

func (a *dispatched) send(m any) {
	a.mu.Lock()
	a.messages = append(a.messages, m)
	first := !a.scheduled
	a.scheduled = true
	a.mu.Unlock()
	if first {
		a.d.schedule(a)
	}
}

func (a *dispatched) runTurn() {
	for range dispatcherBudget {
		a.mu.Lock()
		if len(a.messages) == 0 {
			a.scheduled = false
			a.mu.Unlock()
			return
		}
		m := a.messages[0]
		a.messages = a.messages[1:]
		a.mu.Unlock()
		a.receive(m)
	}
	a.d.schedule(a)
}

func dispatcherFair(e *env, work int) (fairPair, error) {
	d := newDispatcher()
	e.onClose(d.close)
	asked := &dispatched{d: d, receive: func(m any) { m.(chan int) <- 1 }}
	busy := &dispatched{d: d}
	busy.receive = func(m any) {
		compute(work)
		busy.send(m)
	}
	return fairPair{
		ask: func() error {
			reply := make(chan int, 1)
			asked.send(reply)
			<-reply
			return nil
		},
		send: func() { busy.send(&question{}) },
	}, nil
}
