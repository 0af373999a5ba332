// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
)

// allCores are the GOMAXPROCS of these cases, and fewCores the one that the others
// are compared to. On a machine with fewer processors the time that passes says
// nothing about more of them, but the processor time does: goroutines that wait for
// a lock, or for a cache line, use more.
var allCores = []int{1, 2, 4, 8, 16}

const fewCores = 2

const (
	// coreWorkers send each other messages or ask each other.
	coreWorkers = 32
	// coreInFlight is how many messages or tasks there are for each of them, so that
	// all are busy all the time.
	coreInFlight = 32
	// coreHops is how often a message is sent on, or how often a task asks.
	coreHops = 16
	// coreBatch is the operations of one batch: messages or questions.
	coreBatch = coreWorkers * coreInFlight * coreHops
	// coreTasks ask, of the busy workers, and as many tasks of those that each wait for an
	// answer before they ask again as there are workers that ask.
	coreTasks, coreTasksInTurn = coreWorkers * coreInFlight, coreWorkers / 2
)

func coreCases() (cs []*benchCase) {
	for _, procs := range allCores {
		for _, c := range []struct {
			name, label string
			open        func(e *env) (run, error)
		}{
			{"go-send", "goroutines with channels", goSendOn},
			{"engine-send", "Proto.Actor", engineSendOn},
			{"send", "workers", workersSendOn},
			{"least-send", "goroutines with a queue and an account", leastSendOn},
			{"go-ask", "goroutines ask goroutines", goAskOthers(coreTasks)},
			{"ask", "workers ask workers", workersAskOthers(coreTasks)},
			{"go-turn", "goroutines ask goroutines one at a time", goAskOthers(coreTasksInTurn)},
			{"turn", "workers ask workers one at a time", workersAskOthers(coreTasksInTurn)},
		} {
			cs = append(cs, &benchCase{coreName(c.name, procs), fmt.Sprintf("%s, GOMAXPROCS %d", c.label, procs), coreBatch,
				func(e *env) (run, error) {
					e.setCores(procs)
					return c.open(e)
				}})
		}
	}
	return cs
}

func coreName(who string, procs int) string { return fmt.Sprintf("cores/%s-%d", who, procs) }

// coreRules limit what more processors cost. Where there are in truth only two, send is above that: 1.19 to 1.35.
// No message waits for a lock (TestBusyWorkersWaitForNoLock). But as many runners are active as GOMAXPROCS
// says, and each that finds nothing to do goes to sleep and is called again: for 8 of 1,000 messages at
// GOMAXPROCS 16, for 2 to 4 at 2. That is Go's scheduler: goroutines that have a queue without a lock, and nothing
// of ours, use more to the same degree, so send is limited to what it grows by beyond these.
func coreRules() (rs []rule) {
	for _, procs := range allCores {
		for _, who := range []string{"go-send", "engine-send", "send", "least-send", "go-ask", "ask", "go-turn", "turn"} {
			if procs != fewCores {
				r := rule{of: coreName(who, procs), against: coreName(who, fewCores), as: fmt.Sprintf("GOMAXPROCS %d", fewCores), figure: ofCPU}
				if who == "ask" || who == "send" && procs < fewCores {
					r.limit = 1.15
				}
				rs = append(rs, r)
			}
		}
		if procs > fewCores {
			rs = append(rs, rule{of: coreName("send", procs), against: coreName("least-send", procs),
				ofAlone: coreName("send", fewCores), againstAlone: coreName("least-send", fewCores),
				as: fmt.Sprintf("queues alone, GOMAXPROCS %d", fewCores), figure: ofCPU, limit: 1.15})
		}
		rs = append(rs,
			rule{of: coreName("send", procs), against: coreName("engine-send", procs), as: "Proto.Actor", figure: ofCPU},
			rule{of: coreName("ask", procs), against: coreName("go-ask", procs), as: "goroutines", figure: ofCPU},
			rule{of: coreName("turn", procs), against: coreName("go-turn", procs), as: "goroutines", figure: ofCPU},
		)
	}
	return rs
}

// setCores sets GOMAXPROCS until the measurement is over.
func (e *env) setCores(procs int) {
	before := runtime.GOMAXPROCS(procs)
	e.onClose(func() error { runtime.GOMAXPROCS(before); return nil })
}

// parcel is a message that is sent on to the next one, until it has no hops left.
// Whoever has it owns it. Its numbers are the results of the operations.
type parcel struct {
	next, last, sum int
	delivery        *delivery
}

// take is one hop. It reports whether the parcel is to be sent on.
func (p *parcel) take() bool {
	p.sum += p.next
	if p.next++; p.next <= p.last {
		return true
	}
	p.delivery.sum.Add(int64(p.sum))
	p.delivery.Done()
	return false
}

// delivery tracks the parcels of one batch.
type delivery struct {
	sync.WaitGroup
	sum atomic.Int64
}

// deliver sends off batches of parcels by send, which gives one to the i-th, and waits
// until all of them have arrived.
func deliver(send func(i int, p *parcel)) run {
	parcels := make([]parcel, coreWorkers*coreInFlight)
	return func(n int) (sum int, err error) {
		for range n / coreBatch {
			var d delivery
			d.Add(len(parcels))
			for i := range parcels {
				parcels[i] = parcel{next: i * coreHops, last: (i+1)*coreHops - 1, delivery: &d}
				send(i%coreWorkers, &parcels[i])
			}
			d.Wait()
			sum += int(d.sum.Load())
		}
		return sum, nil
	}
}

// workersSendOn is workers that each send on what they get to the next.
func workersSendOn(e *env) (run, error) {
	pids := make([]*actor.PID, coreWorkers)
	for i := range pids {
		pid, err := e.spawn(fmt.Sprintf("worker-%d", i), func(w *actors.Worker) error {
			actors.On(w, func(t *actors.Task, p *parcel) error {
				if p.take() {
					t.Send(pids[(i+1)%coreWorkers], p)
				}
				return nil
			})
			return nil
		})
		if err != nil {
			return nil, err
		}
		pids[i] = pid
	}
	return deliver(func(i int, p *parcel) { e.sys.Root.Send(pids[i], p) }), nil
}

// engineSendOn is the same with plain actors.
func engineSendOn(e *env) (run, error) {
	pids := make([]*actor.PID, coreWorkers)
	for i := range pids {
		pids[i] = e.sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if p, ok := c.Message().(*parcel); ok && p.take() {
				c.Send(pids[(i+1)%coreWorkers], p)
			}
		}))
		e.onClose(func() error { return e.sys.Root.StopFuture(pids[i]).Wait() })
	}
	return deliver(func(i int, p *parcel) { e.sys.Root.Send(pids[i], p) }), nil
}

// goSendOn is the same with goroutines that each serve a channel.
func goSendOn(e *env) (run, error) {
	inboxes := make([]chan *parcel, coreWorkers)
	for i := range inboxes {
		inboxes[i] = make(chan *parcel, coreWorkers*coreInFlight)
	}
	for i := range inboxes {
		next := inboxes[(i+1)%coreWorkers]
		go func() {
			for p := range inboxes[i] {
				if p.take() {
					next <- p
				}
			}
		}()
	}
	e.onClose(func() error {
		for _, c := range inboxes {
			close(c)
		}
		return nil
	})
	return deliver(func(i int, p *parcel) { inboxes[i] <- p }), nil
}

// leastSendOn is the same with goroutines that each have what a worker has: a queue without a bound, which
// takes no lock, an account that holds at every moment, and turns that can be looked at.
func leastSendOn(e *env) (run, error) {
	workers := make([]*leastWorker, coreWorkers)
	var running sync.WaitGroup
	for i := range workers {
		workers[i] = &leastWorker{wake: make(chan struct{}, 1)}
		running.Go(workers[i].serve)
	}
	e.onClose(func() error {
		for _, w := range workers {
			w.post(&leastCall{})
		}
		running.Wait()
		return nil
	})
	var send func(i int, p *parcel)
	send = func(i int, p *parcel) {
		workers[i].post(&leastCall{fn: func() (int, error) {
			if p.take() {
				send((i+1)%coreWorkers, p)
			}
			return 0, nil
		}})
	}
	return deliver(send), nil
}

// workersAskOthers is tasks, shared out to half of the workers, each of which asks one of
// the other half again and again.
func workersAskOthers(tasks int) func(e *env) (run, error) {
	return func(e *env) (run, error) {
		asking, err := e.workers(coreWorkers / 2)
		if err != nil {
			return nil, err
		}
		asked := make([]*actor.PID, coreWorkers/2)
		for i := range asked {
			if asked[i], err = e.worker(fmt.Sprintf("asked-%d", i)); err != nil {
				return nil, err
			}
		}
		fs := make([]*actors.Future[int], tasks)
		return func(n int) (sum int, err error) {
			for range n / coreBatch {
				for i := range fs {
					fs[i] = actors.Submit(e.sys.Root, asking[i%len(asking)], func(t *actors.Task) (sum int, err error) {
						for j := range coreBatch / tasks {
							a, err := actors.Ask[answer](t, asked[i%len(asked)], question{i*(coreBatch/tasks) + j})
							if err != nil {
								return 0, err
							}
							sum += a.n
						}
						return sum, nil
					})
				}
				vs, err := futures.All(fs...).Wait(e.ctx)
				if err != nil {
					return 0, err
				}
				for _, v := range vs {
					sum += v
				}
			}
			return sum, nil
		}, nil
	}
}

// goAskOthers is the same with goroutines: those that are asked each serve a channel,
// and each question carries the channel for its answer.
func goAskOthers(tasks int) func(e *env) (run, error) {
	type call struct {
		n     int
		reply chan int
	}
	return func(e *env) (run, error) {
		asked := make([]chan call, coreWorkers/2)
		for i := range asked {
			asked[i] = make(chan call, tasks)
			go func() {
				for c := range asked[i] {
					c.reply <- c.n
				}
			}()
		}
		e.onClose(func() error {
			for _, c := range asked {
				close(c)
			}
			return nil
		})
		results := make([]chan int, tasks)
		return func(n int) (sum int, err error) {
			for range n / coreBatch {
				for i := range results {
					c := make(chan int, 1)
					results[i] = c
					go func() {
						sum := 0
						for j := range coreBatch / tasks {
							reply := make(chan int, 1)
							asked[i%len(asked)] <- call{i*(coreBatch/tasks) + j, reply}
							sum += <-reply
						}
						c <- sum
					}()
				}
				for _, c := range results {
					sum += <-c
				}
			}
			return sum, nil
		}, nil
	}
}
