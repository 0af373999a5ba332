// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/supervisor"
)

// crash makes an actor panic.
type crash struct{}

// always is more restarts than there will ever be.
const always = 1 << 30

func supervisedCases() []*benchCase {
	return []*benchCase{
		{"restart/engine", "Proto.Actor: panic, then an answer of the next actor", 10, engineRestart},
		{"restart/worker", "supervised worker: panic, then an answer of the next incarnation", 10, workerRestart},
		{"supervised/alone", "RequestFuture burst to a worker", burst, requestBurst(toWorker)},
		{"supervised/child", "RequestFuture burst to a supervised worker", burst, requestBurst(toSupervised)},
	}
}

func supervisedRules() []rule {
	return []rule{
		{of: "restart/worker", against: "restart/engine", as: "Proto.Actor", figure: wall, limit: 1.5},
		{of: "supervised/child", against: "supervised/alone", as: "not supervised", figure: wall, limit: 1.15},
		{of: "supervised/child", against: "supervised/alone", as: "not supervised", figure: allocsRatio, limit: 1},
		{of: "stop/workers", against: "stop/actors", as: "Proto.Actor", figure: wall, limit: 2},
		// Whoever has a stack has to be resumed to unwind it: so what a hundred
		// take is told by goroutines, and not by an actor that has none.
		{of: "stop/suspended", against: "stop/goroutines", as: "goroutines, per group", figure: wall, limit: 1.3},
		{of: "stop/suspended", against: "stop/actors", as: "Proto.Actor, per worker", figure: wall},
		{of: "stop/suspended", against: "stop/coroutines", as: "coroutines, per group", figure: wall},
		{of: "stop/goroutines", against: "stop/actors", as: "Proto.Actor, per group", figure: wall},
		{of: "stop/coroutines", against: "stop/actors", as: "Proto.Actor, per group", figure: wall},
		{of: "stop/workers", against: "stop/actors", as: "Proto.Actor", figure: memory},
	}
}

// allocsRatio allows that some allocations serve many operations.
var allocsRatio = figure{name: "allocs", of: func(s *sample) float64 { return s.Allocs }, slack: 0.03}

// quiet is for what fails on purpose.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// silent is an actor system that logs nothing: how long it takes to write
// about a failure is not the question.
func silent() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet() }))
}

// supervise starts a supervisor of one worker that answers questions.
func (e *env) supervise() (*actor.PID, error) {
	s, err := supervisor.Start(e.ctx, e.sys, supervisor.Spec{
		Name: "supervisor", MaxRestarts: always, Within: time.Second, Logger: quiet(),
		Children: []supervisor.Child{{Name: "worker", Props: actors.Props(func(w *actors.Worker) error {
			actors.Handle(w, func(_ *actors.Task, q question) (answer, error) { return answer(q), nil })
			actors.On(w, func(*actors.Task, crash) error { panic("crash") })
			return nil
		})}},
	})
	if err != nil {
		return nil, err
	}
	e.onClose(func() error { _, err := s.Stop(e.ctx); return err })
	return s.Child("worker"), nil
}

func toSupervised(e *env) (*actor.PID, error) { return e.supervise() }

// engineRestart is the engine's own way: a parent whose strategy restarts.
func engineRestart(e *env) (run, error) {
	e.sys = silent() // as ours is
	strategy := actor.NewOneForOneStrategy(always, time.Second, func(any) actor.Directive { return actor.RestartDirective })
	child := make(chan *actor.PID, 1)
	parent := e.sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(*actor.Started); ok {
			child <- c.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				switch m := c.Message().(type) {
				case question:
					c.Respond(answer(m))
				case crash:
					panic("crash")
				}
			}))
		}
	}, actor.WithSupervisor(strategy)))
	e.onClose(func() error { return e.sys.Root.StopFuture(parent).Wait() })
	pid := <-child
	ask := engineAsk(e, pid)
	return crashing(10, func(i int) (int, error) {
		e.sys.Root.Send(pid, crash{})
		return ask(i)
	}), nil
}

func workerRestart(e *env) (run, error) {
	e.sys = silent()
	pid, err := e.supervise()
	if err != nil {
		return nil, err
	}
	ask := requestAsk(e, pid)
	return crashing(10, func(i int) (int, error) {
		e.sys.Root.Send(pid, crash{})
		return ask(i)
	}), nil
}

func crashing(batch int, ask func(i int) (int, error)) run {
	return func(n int) (sum int, err error) {
		for i := range n {
			v, err := ask(i % batch)
			if err != nil {
				return 0, err
			}
			sum += v
		}
		return sum, nil
	}
}

// stopCases are about the time that it takes to stop many, and the memory of
// each until then.
func stopCases() []*memoryCase {
	const title = "stopping many, per actor (memory while idle)"
	return []*memoryCase{
		{name: "stop/actors", label: "Proto.Actor: a parent with 10,000 plain actors", n: manyWorkers, group: title, stop: true, begin: plainActors},
		{name: "stop/workers", label: "Dynamic with 10,000 idle workers", n: manyWorkers, group: title, stop: true, begin: dynamicWorkers(0)},
		{name: "stop/suspended", label: "Dynamic with 1,000 workers, 100 suspended tasks each", n: manyWorkers / 10, group: title, stop: true, begin: dynamicWorkers(100)},
		{name: "stop/goroutines", label: "1,000 groups of 100 goroutines that wait for their context", n: manyWorkers / 10, group: title, stop: true, begin: goroutineGroups(100)},
		{name: "stop/coroutines", label: "1,000 groups of 100 coroutines, each resumed to its end", n: manyWorkers / 10, group: title, stop: true, begin: coroutineGroups(100)},
	}
}

// coroutineGroups is the least that ending suspended coroutines can cost in Go:
// two goroutines resume each once, and it returns.
func coroutineGroups(size int) func(e *env, n int) (func() (int, error), error) {
	return func(_ *env, n int) (func() (int, error), error) {
		nexts := make([]func() (struct{}, bool), n*size)
		for i := range nexts {
			nexts[i], _ = iter.Pull(func(yield func(struct{}) bool) { yield(struct{}{}) })
			nexts[i]()
		}
		return func() (int, error) {
			var halves sync.WaitGroup
			for half := range slices.Chunk(nexts, (len(nexts)+1)/2) {
				halves.Go(func() {
					for _, next := range half {
						next()
					}
				})
			}
			halves.Wait()
			return n * (n - 1) / 2, nil
		}, nil
	}
}

// goroutineGroups is the least that ending suspended work can cost: goroutines
// that wait for their context, have no account, and return when it ends.
func goroutineGroups(size int) func(e *env, n int) (func() (int, error), error) {
	return func(e *env, n int) (func() (int, error), error) {
		ends, groups := make([]context.CancelFunc, n), make([]sync.WaitGroup, n)
		before, gate := runtime.NumGoroutine(), make(chan int)
		for i := range ends {
			var ctx context.Context
			ctx, ends[i] = context.WithCancel(e.ctx)
			for range size {
				groups[i].Go(func() {
					select {
					case <-gate:
					case <-ctx.Done():
					}
				})
			}
		}
		err := parked(before, n*size)
		return func() (int, error) {
			for _, end := range ends {
				end()
			}
			for i := range groups {
				groups[i].Wait()
			}
			return n * (n - 1) / 2, nil
		}, err
	}
}

// plainActors are the children of one plain actor.
func plainActors(e *env, n int) (func() (int, error), error) {
	spawned := make(chan struct{})
	parent := e.sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(*actor.Started); ok {
			props := actor.PropsFromFunc(func(c actor.Context) {
				if q, ok := c.Message().(question); ok {
					c.Respond(answer(q))
				}
			})
			for range n {
				c.Spawn(props)
			}
			close(spawned)
		}
	}))
	<-spawned
	return func() (int, error) {
		return n * (n - 1) / 2, e.sys.Root.StopFuture(parent).Wait()
	}, nil
}

func dynamicWorkers(suspended int) func(e *env, n int) (func() (int, error), error) {
	return func(e *env, n int) (func() (int, error), error) {
		d, err := supervisor.StartDynamic(e.ctx, e.sys, supervisor.DynamicSpec{
			Name: "workers", Logger: quiet(),
			Child: supervisor.Child{Restart: supervisor.Temporary, Shutdown: actors.NoGrace, Props: actors.Props(answering)},
		})
		if err != nil {
			return nil, err
		}
		gate := new(actors.Promise[int])
		for range n {
			pid, err := d.Start(e.ctx, "", nil)
			if err != nil {
				return nil, err
			}
			if _, err := e.suspendTasks(pid, suspended, gate.Future()); err != nil {
				return nil, err
			}
		}
		return func() (int, error) {
			r, err := d.Stop(e.ctx)
			if c := r.Total; err == nil && (c.Canceled != int64(n*suspended) || !c.Agree()) {
				err = fmt.Errorf("the account is %+v", c)
			}
			return n * (n - 1) / 2, err
		}, nil
	}
}
