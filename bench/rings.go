// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
)

// ringWorkers is how many pairs of workers await each other's answers.
const ringWorkers = 16

// chain lengths: of tasks that each await the one before.
const shortChain, longChain = 100, 1000

// ringCases are the same awaits without, and with, a worker in the system that
// has a MaxInFlight and nothing to do: what the search for rings costs those
// who can be in none. Then, beside that worker, tasks that await each other in a
// chain, and the same when an Exclusive handler awaits all of them, who have to
// search.
func ringCases() []*benchCase {
	cs := []*benchCase{
		{"rings/none", fmt.Sprintf("handlers of %d workers await other workers", ringWorkers), burst, func(e *env) (run, error) { return e.awaitPairs() }},
		{"rings/bounded", "the same beside one idle worker with MaxInFlight", burst, besideBounded((*env).awaitPairs)},
		{"rings/seq-none", "one request at a time to them", burst, func(e *env) (run, error) { return e.awaitPairsInTurn() }},
		{"rings/seq-bounded", "the same beside one idle worker with MaxInFlight", burst, besideBounded((*env).awaitPairsInTurn)},
	}
	for _, n := range []int{shortChain, longChain} {
		cs = append(cs, &benchCase{fmt.Sprintf("rings/chain-%d", n), fmt.Sprintf("%d tasks await each other in a chain beside it", n), n,
			besideBounded(func(e *env) (run, error) { return e.awaitChain(n) })})
	}
	for _, n := range []int{shortChain, longChain} {
		cs = append(cs, &benchCase{fmt.Sprintf("rings/held-%d", n), fmt.Sprintf("%d tasks in a chain, awaited by an Exclusive handler", n), n,
			func(e *env) (run, error) { return e.awaitHeldChain(n) }})
	}
	return cs
}

func ringRules() []rule {
	return []rule{
		{of: "rings/bounded", against: "rings/none", as: "none bounded", figure: wall, limit: 1.1},
		{of: "rings/seq-bounded", against: "rings/seq-none", as: "none bounded", figure: wall, limit: 1.1},
		{of: fmt.Sprintf("rings/chain-%d", longChain), against: fmt.Sprintf("rings/chain-%d", shortChain), as: "the short one", figure: wall, limit: 2},
		{of: fmt.Sprintf("rings/held-%d", longChain), against: fmt.Sprintf("rings/held-%d", shortChain), as: "the short one", figure: wall},
	}
}

// besideBounded opens a case beside an idle worker with MaxInFlight.
func besideBounded(open func(*env) (run, error)) func(*env) (run, error) {
	return func(e *env) (run, error) {
		pid, err := actors.Spawn(e.ctx, e.sys.Root, "bounded", func(*actors.Worker) error { return nil }, actors.Options{MaxInFlight: 1})
		if err != nil {
			return nil, err
		}
		e.onClose(func() error { return e.stop([]*actor.PID{pid}) })
		return open(e)
	}
}

// pairs are workers each of whose handlers awaits another one.
func (e *env) pairs() (fronts [ringWorkers]*actor.PID, err error) {
	for i := range fronts {
		back, err := e.worker(fmt.Sprintf("back-%d", i))
		if err != nil {
			return fronts, err
		}
		if fronts[i], err = e.spawn(fmt.Sprintf("front-%d", i), askOn(back)); err != nil {
			return fronts, err
		}
	}
	return fronts, nil
}

// awaitPairs is a burst of requests over them.
func (e *env) awaitPairs() (run, error) {
	fronts, err := e.pairs()
	if err != nil {
		return nil, err
	}
	return e.requests(func(i int) *actor.PID { return fronts[i%len(fronts)] }), nil
}

// awaitPairsInTurn is one request after the other.
func (e *env) awaitPairsInTurn() (run, error) {
	fronts, err := e.pairs()
	if err != nil {
		return nil, err
	}
	return oneByOne(func(i int) (int, error) {
		v, err := actors.RequestFuture[answer](e.sys.Root, fronts[i%len(fronts)], question{i}).Wait(e.ctx)
		return v.n, err
	}), nil
}

// chain submits size tasks to a worker. Each awaits begin, if that is not nil, and
// then the task before; the first one awaits gate. It adds their futures to fs.
func chain(from actor.SenderContext, pid *actor.PID, size int, begin, gate *actors.Future[int], fs []*actors.Future[int]) []*actors.Future[int] {
	before := gate
	for i := range size {
		awaited := before
		before = actors.Submit(from, pid, func(t *actors.Task) (int, error) {
			if begin != nil {
				if _, err := actors.Await(t, begin); err != nil {
					return 0, err
				}
			}
			_, err := actors.Await(t, awaited)
			return i, err
		})
		fs = append(fs, before)
	}
	return fs
}

// awaitChain lets all of a chain wait before the first one goes on. An operation is
// one task.
func (e *env) awaitChain(size int) (run, error) {
	pid, err := e.worker("worker")
	if err != nil {
		return nil, err
	}
	var fs []*actors.Future[int]
	return func(n int) (sum int, err error) {
		for range n / size {
			gate := new(actors.Promise[int])
			fs = chain(e.sys.Root, pid, size, nil, gate.Future(), fs[:0])
			// Tasks start in order: when this one runs, those before it are suspended.
			if _, err := actors.Submit(e.sys.Root, pid, func(*actors.Task) (int, error) { return 0, nil }).Wait(e.ctx); err != nil {
				return 0, err
			}
			gate.Resolve(0)
			for _, f := range fs {
				v, err := f.Wait(e.ctx)
				if err != nil {
					return 0, err
				}
				sum += v
			}
		}
		return sum, nil
	}, nil
}

// awaitHeldChain is the same from within an Exclusive handler, which awaits all of
// the chain before its tasks begin to await each other: each of these could close a
// ring.
func (e *env) awaitHeldChain(size int) (run, error) {
	pid, err := e.worker("worker")
	if err != nil {
		return nil, err
	}
	holder, err := e.spawn("holder", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, _ question) (answer, error) {
			begin, gate := new(actors.Promise[int]), new(actors.Promise[int])
			fs := chain(t, pid, size, begin.Future(), gate.Future(), nil)
			actors.Submit(t, pid, func(t *actors.Task) (int, error) { // the last one to go on
				defer gate.Resolve(0)
				return actors.Await(t, begin.Future())
			})
			actors.Start(t, func(t *actors.Task) (int, error) { // when the handler waits
				defer begin.Resolve(0)
				return 0, t.Yield()
			})
			vs, err := actors.Await(t, futures.All(fs...))
			sum := 0
			for _, v := range vs {
				sum += v
			}
			return answer{sum}, err
		}, actors.Exclusive())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return func(n int) (sum int, err error) {
		for range n / size {
			v, err := actors.RequestFuture[answer](e.sys.Root, holder, question{}).Wait(e.ctx)
			if err != nil {
				return 0, err
			}
			sum += v.n
		}
		return sum, nil
	}, nil
}
