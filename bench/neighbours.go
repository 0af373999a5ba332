// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
)

// neighbourCase is somebody who asks an idle one again and again, beside others
// that keep the processors busy. What is measured is how many answers come in a
// given time, not how long a given number takes: a case that starves would never
// end.
type neighbourCase struct {
	name, label string
	procs       int // GOMAXPROCS
	neighbours  neighbours
	open        func(e *env) (asking, error)
}

// asking asks until the time is over, and notes when each answer came.
type asking func(log *answerLog) error

// neighbours are goroutines that only compute, or workers whose turns take 1 ms
// each and that always have another one.
type neighbours struct{ computing, busy int }

// neighbourRounds is how often those cases are measured in which the neighbours
// have had their turn a few times within the shortest window. The others are
// measured once.
const neighbourRounds = 3

// timeSlice is how long Go's scheduler lets a goroutine compute: 10 ms, and up to
// as long again until its monitor looks.
const timeSlice = 20 * time.Millisecond

// turnOfNeighbour is how long a turn of a busy worker computes.
const turnOfNeighbour = time.Millisecond

var allNeighbours = []neighbours{{}, {computing: 2}, {computing: 3}, {computing: 8}, {busy: 8}, {busy: 50}, {busy: 200}}

func (n neighbours) name() string {
	switch {
	case n.busy > 0:
		return fmt.Sprintf("busy-%d", n.busy)
	default:
		return fmt.Sprintf("computing-%d", n.computing)
	}
}

func (n neighbours) label() string {
	switch {
	case n.busy > 0:
		return "beside " + plural(n.busy, "busy worker")
	case n.computing > 0:
		return "beside " + plural(n.computing, "computing goroutine")
	default:
		return "alone"
	}
}

// round is how long it takes until each has had its time slice.
func (c *neighbourCase) round() time.Duration {
	return timeSlice * time.Duration(c.neighbours.computing+c.neighbours.busy+1) / time.Duration(c.procs)
}

// window is how long a case is measured, for the sample that the others take.
// Beside very many it is about a round and a half.
func (c *neighbourCase) window(sample time.Duration) time.Duration {
	return max(2*sample, min(4*c.round(), max(10*sample, 3*c.round()/2)))
}

// warmUp is how long it asks before that: what it costs to find out that others
// compute is paid once.
func (c *neighbourCase) warmUp() time.Duration {
	if c.once() {
		return c.round()
	}
	return 2 * c.round()
}

// once reports whether a measurement takes so long that one has to do.
func (c *neighbourCase) once() bool { return c.neighbours.busy > 8 }

// answerLog tracks the answers of one measurement.
type answerLog struct {
	until, last time.Time
	latencies   []time.Duration
}

// answered notes an answer and reports whether another one is wanted.
func (l *answerLog) answered() bool {
	now := time.Now()
	l.latencies = append(l.latencies, now.Sub(l.last))
	l.last = now
	return now.Before(l.until)
}

func (l *answerLog) begin(d time.Duration) {
	l.last = time.Now()
	l.until = l.last.Add(d)
}

func (c *neighbourCase) measure(d time.Duration) (s sample, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.procs))
	e := newEnv()
	defer func() { err = errors.Join(err, e.close()) }()
	ask, err := c.open(e)
	if err != nil {
		return s, err
	}
	end, err := c.neighbours.begin(e)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, end()) }()
	window := c.window(d)
	var log answerLog
	log.begin(c.warmUp())
	if err := ask(&log); err != nil {
		return s, err
	}
	log.latencies = log.latencies[:0]
	log.begin(window)
	start := log.last
	err = ask(&log)
	return sample{
		Wall: float64(log.last.Sub(start)) / float64(len(log.latencies)),
		P99:  percentile(log.latencies, 0.99),
	}, err
}

// begin has the neighbours compute until end.
func (n neighbours) begin(e *env) (end func() error, err error) {
	endComputing := startComputing(n.computing)
	pids, err := e.workers(n.busy)
	if err != nil {
		endComputing()
		return nil, err
	}
	var over atomic.Bool
	perTurn := turnsOf(turnOfNeighbour)
	var begun sync.WaitGroup
	begun.Add(len(pids))
	fs := make([]*actors.Future[int], len(pids))
	for i, pid := range pids {
		fs[i] = actors.Submit(e.sys.Root, pid, func(t *actors.Task) (int, error) {
			begun.Done()
			for !over.Load() {
				compute(perTurn)
				if err := t.Yield(); err != nil {
					return 0, err
				}
			}
			return 0, nil
		})
	}
	begun.Wait()
	return func() error {
		over.Store(true)
		endComputing()
		_, err := futures.All(fs...).Wait(e.ctx)
		return err
	}, nil
}

// startComputing has so many goroutines compute until end.
func startComputing(n int) (end func()) {
	var over atomic.Bool
	var wg sync.WaitGroup
	perTurn := turnsOf(turnOfNeighbour)
	for range n {
		wg.Go(func() {
			for !over.Load() {
				compute(perTurn)
			}
		})
	}
	return func() {
		over.Store(true)
		wg.Wait()
	}
}

// computed keeps the compiler from leaving compute out.
var computed atomic.Uint64

func compute(steps int) {
	x := uint64(steps)
	for range steps {
		x = x*6364136223846793005 + 1442695040888963407
	}
	computed.Store(x)
}

// turnsOf is how many steps compute does in d, at its fastest.
func turnsOf(d time.Duration) int {
	const steps = 100_000
	best := time.Duration(math.MaxInt64)
	for range 20 {
		start := time.Now()
		compute(steps)
		best = min(best, time.Since(start))
	}
	return int(steps * d / best)
}

func neighbourCases() (cases []*neighbourCase) {
	for _, procs := range []int{1, 2} {
		for _, n := range allNeighbours {
			for _, c := range []struct {
				name, label string
				open        func(e *env) (asking, error)
			}{
				{"chan", "unbuffered channel round trip", askOneByOne(chanRoundTrip)},
				{"engine", "Proto.Actor RequestFuture", askOneByOne(engineSequential)},
				{"engine-actor", "Proto.Actor, actor asks actor", engineActorAsks},
				{"request", "goroutine asks worker", askOneByOne(requestSequential(toWorker))},
				{"ask", "worker asks worker", workerAsks},
			} {
				cases = append(cases, &neighbourCase{
					neighbourName(c.name, procs, n), c.label + ", " + n.label(), procs, n, c.open,
				})
			}
		}
	}
	return cases
}

func neighbourName(who string, procs int, n neighbours) string {
	return fmt.Sprintf("neighbours/%s-%d/%s", who, procs, n.name())
}

// neighbourTitle is the section of the table that c is in.
func (c *neighbourCase) title() string {
	return fmt.Sprintf("asks of an idle one beside others that compute, GOMAXPROCS %d", c.procs)
}

func neighbourRules() (rs []rule) {
	for _, procs := range []int{1, 2} {
		for _, n := range allNeighbours {
			for _, ours := range []struct{ name, engine string }{{"request", "engine"}, {"ask", "engine-actor"}} {
				name := func(who string) string { return neighbourName(who, procs, n) }
				alone := func(who string) string { return neighbourName(who, procs, neighbours{}) }
				of := name(ours.name)
				if n == (neighbours{}) {
					rs = append(rs, rule{of: of, against: name("chan"), as: "channel", figure: wall})
				} else {
					r := rule{of: of, ofAlone: alone(ours.name), against: name("chan"), againstAlone: alone("chan"), as: "channel's loss", figure: wall}
					if n.busy <= 8 {
						r.limit = 2
					}
					rs = append(rs, r)
				}
				r := rule{of: of, against: name(ours.engine), as: "Proto.Actor", figure: wall}
				if n.busy <= 8 { // beside more it is a matter of whose turn it was at the end
					r.limit = 1
				}
				rs = append(rs, r)
				if n.busy > 0 {
					rs = append(rs, rule{of: of, figure: p99Millis, limit: 1})
				}
			}
		}
	}
	return rs
}

// askOneByOne asks by a case that does one operation at a time.
func askOneByOne(open func(*env) (run, error)) func(*env) (asking, error) {
	return func(e *env) (asking, error) {
		one, err := open(e)
		return func(log *answerLog) error {
			for {
				if _, err := one(1); err != nil {
					return err
				}
				if !log.answered() {
					return nil
				}
			}
		}, err
	}
}

// workerAsks is a worker that asks another one.
func workerAsks(e *env) (asking, error) {
	asked, err := e.worker("asked")
	if err != nil {
		return nil, err
	}
	asker, err := e.worker("asker")
	return func(log *answerLog) error {
		_, err := actors.Submit(e.sys.Root, asker, func(t *actors.Task) (int, error) {
			for {
				if _, err := actors.Ask[answer](t, asked, question{1}); err != nil {
					return 0, err
				}
				if !log.answered() {
					return 0, nil
				}
			}
		}).Wait(e.ctx)
		return err
	}, err
}

// engineActorAsks is a plain actor that asks another one and goes on with the
// answer, the engine's way to await one.
func engineActorAsks(e *env) (asking, error) {
	type begin struct {
		log  *answerLog
		done chan error
	}
	asked := e.plain()
	asker := e.sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		b, ok := c.Message().(begin)
		if !ok {
			return
		}
		var ask func()
		ask = func() {
			c.ReenterAfter(c.RequestFuture(asked, question{1}, requestTimeout), func(_ any, err error) {
				if err != nil || !b.log.answered() {
					b.done <- err
					return
				}
				ask()
			})
		}
		ask()
	}))
	e.onClose(func() error { return e.sys.Root.StopFuture(asker).Wait() })
	return func(log *answerLog) error {
		b := begin{log, make(chan error, 1)}
		e.sys.Root.Send(asker, b)
		return <-b.done
	}, nil
}
