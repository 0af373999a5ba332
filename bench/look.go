// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
)

func lookCases() []*benchCase {
	const each = many / manyWorkers
	return []*benchCase{
		{"inspect/all", fmt.Sprintf("inspect.System of %s with %d suspended tasks each", plural(manyWorkers, "worker"), each), 1, inspectAll(each)},
		{"inspect/one", "inspect.System of 1 worker with 1 suspended task", 1, inspectOne},
	}
}

// inspectAll looks at workers with some suspended tasks each.
func inspectAll(each int) func(*env) (run, error) {
	return func(e *env) (run, error) {
		pids, err := e.workers(manyWorkers)
		if err != nil {
			return nil, err
		}
		return e.inspect(pids, each)
	}
}

func inspectOne(e *env) (run, error) {
	pid, err := e.worker("worker")
	if err != nil {
		return nil, err
	}
	return e.inspect([]*actor.PID{pid}, 1)
}

func (e *env) inspect(pids []*actor.PID, each int) (run, error) {
	gate := new(actors.Promise[int])
	e.onClose(func() error { gate.Resolve(0); return nil })
	for _, pid := range pids {
		if _, err := e.suspendTasks(pid, each, gate.Future()); err != nil {
			return nil, err
		}
	}
	look := func() error {
		s := inspect.System(e.sys)
		tasks := 0
		for _, w := range s.Workers {
			tasks += len(w.Tasks)
		}
		if len(s.Workers) != len(pids) || tasks != len(pids)*each {
			return fmt.Errorf("it shows %d workers and %d tasks", len(s.Workers), tasks)
		}
		return nil
	}
	// The future of a task is complete a moment before its turn is over.
	for end := time.Now().Add(time.Minute); look() != nil && time.Now().Before(end); {
		runtime.Gosched()
	}
	return func(n int) (int, error) {
		for range n {
			if err := look(); err != nil {
				return 0, err
			}
		}
		return 0, nil
	}, nil
}
