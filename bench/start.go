// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// startCases are about the time that it takes to start one after the other, until each
// can be asked.
func startCases() []*memoryCase {
	const title = "starting many, one after the other (memory while idle)"
	return []*memoryCase{
		{name: "start/actor", label: "Proto.Actor: Root.SpawnNamed, until it has Started", n: manyWorkers, group: title, start: true, begin: startActors},
		{name: "start/worker", label: "Spawn, until its setup has succeeded", n: manyWorkers, group: title, start: true, begin: startWorkers},
		{name: "start/live", label: "… (what lives on the heap)", n: manyWorkers, group: title, start: true, heap: true, begin: startWorkers},
		{name: "start/asked", label: "Proto.Actor: a parent that is asked to, and answers when it has Started", n: manyWorkers, group: title, start: true, begin: startAsked},
		{name: "start/bare", label: "a worker is asked to Spawn one under it, and answers when its setup has succeeded", n: manyWorkers, group: title, start: true, begin: startBare},
		{name: "start/least", label: "a name, a queue and a future: a worker's least, until its setup has run", n: manyWorkers, group: title, start: true, begin: startLeast},
		{name: "start/least-child", label: "… that another such worker is asked for", n: manyWorkers, group: title, start: true, begin: startLeastChild},
		{name: "start/dynamic", label: "Dynamic.Start, until its setup has succeeded", n: manyWorkers, group: title, start: true, begin: dynamicWorkers(0)},
	}
}

func startRules() []rule {
	return []rule{
		{of: "start/worker", against: "start/actor", as: "Proto.Actor", figure: wall, limit: 2},
		{of: "start/worker", figure: memory, limit: 1500},
		// Who starts it is another actor: two more have to be woken than for Spawn.
		{of: "start/dynamic", against: "start/asked", as: "Proto.Actor", figure: wall, aim: 1.5},
		// Spawn wakes one loop, Dynamic.Start three: the supervisor's, the child's, and again the
		// supervisor's, which keeps an account of it. start/bare is the least of that on workers, and
		// start/asked on the engine.
		{of: "start/dynamic", against: "start/bare", as: "bare", figure: wall},
		{of: "start/dynamic", against: "start/worker", as: "Spawn", figure: wall, aim: 1.3},
		{of: "start/bare", against: "start/worker", as: "Spawn", figure: wall},
		// Of nothing but queues and futures, too, who starts one by another one wakes two loops more.
		{of: "start/least-child", against: "start/least", as: "least", figure: wall},
		{of: "start/asked", against: "start/worker", as: "Spawn", figure: wall},
		{of: "start/asked", against: "start/actor", as: "not asked", figure: wall},
	}
}

// stopAll tells all to stop at once, and then waits.
func stopAll(e *env, pids []*actor.PID) func() (int, error) {
	return func() (int, error) {
		ends := make([]*actor.Future, len(pids))
		for i, pid := range pids {
			ends[i] = e.sys.Root.StopFuture(pid)
		}
		for _, end := range ends {
			if err := end.Wait(); err != nil {
				return 0, err
			}
		}
		return len(pids) * (len(pids) - 1) / 2, nil
	}
}

func startActors(e *env, n int) (func() (int, error), error) {
	pids := make([]*actor.PID, n)
	for i := range pids {
		started := make(chan struct{}, 1)
		props := actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				started <- struct{}{}
			case question:
				c.Respond(answer(m))
			}
		})
		var err error
		if pids[i], err = e.sys.Root.SpawnNamed(props, "actor"+strconv.Itoa(i)); err != nil {
			return nil, err
		}
		<-started
	}
	return stopAll(e, pids), nil
}

// startChild asks startAsked's parent for a child, and started tells it that this has.
type (
	startChild struct{ name string }
	started    struct{ asker, pid *actor.PID }
)

// startAsked is the least that Dynamic.Start can do on actors: the child is a child of another
// one, which is asked for it and answers when it is there.
func startAsked(e *env, n int) (func() (int, error), error) {
	parent := e.sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case startChild:
			asker, parent := c.Sender(), c.Self()
			_, err := c.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
				switch m := c.Message().(type) {
				case *actor.Started:
					c.Send(parent, started{asker, c.Self()})
				case question:
					c.Respond(answer(m))
				}
			}), m.name)
			if err != nil {
				c.Respond(err)
			}
		case started:
			c.Send(m.asker, m.pid)
		}
	}))
	for i := range n {
		pid, err := e.sys.Root.RequestFuture(parent, startChild{"actor" + strconv.Itoa(i)}, time.Minute).Result()
		if err != nil {
			return nil, err
		}
		if err, failed := pid.(error); failed {
			return nil, err
		}
	}
	return func() (int, error) { return n * (n - 1) / 2, e.sys.Root.StopFuture(parent).Wait() }, nil
}

// startBare is the least that Dynamic.Start can do on workers: the child is a child of another
// worker, which is asked for it, waits for its setup, and keeps no account of it.
func startBare(e *env, n int) (func() (int, error), error) {
	parent, err := actors.Spawn(e.ctx, e.sys.Root, "parent", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, m startChild) (*actor.PID, error) {
			return actors.Spawn(context.Background(), t, m.name, answering, actors.Options{})
		})
		return nil
	}, actors.Options{})
	if err != nil {
		return nil, err
	}
	for i := range n {
		if _, err := actors.RequestFuture[*actor.PID](e.sys.Root, parent, startChild{"worker" + strconv.Itoa(i)}).Wait(e.ctx); err != nil {
			return nil, err
		}
	}
	return func() (int, error) { return n * (n - 1) / 2, e.stop([]*actor.PID{parent}) }, nil
}

func startWorkers(e *env, n int) (func() (int, error), error) {
	pids, err := spawnAnswering(e, n)
	return stopAll(e, pids), err
}
