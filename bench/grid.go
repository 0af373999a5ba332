// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/supervisor"
)

// manyKeys is how many keys a large process may have.
const manyKeys = 500_000

// gridCases are about what it costs that a worker is asked by its key: a request by PID to a worker
// is what one to a started key is compared to.
func gridCases() []*benchCase {
	return []*benchCase{
		{"grid/pid", "RequestFuture to a worker by PID, one at a time", burst, requestSequential(toWorker)},
		{"grid/request", "… to a started key, with Share", burst, requestKey(true)},
		{"grid/request-new", "… and its PID made for each", burst, requestKey(false)},
		{"grid/copied", "… without Share: both messages are copied", burst, requestCopied},
		{"grid/burst-pid", "RequestFuture to a worker by PID, in bursts of 1,000", burst, requestBurst(toWorker)},
		{"grid/burst", "… to a started key, with Share", burst, requestKeyBurst},
	}
}

// gridMemoryCases are about the first message to a key: each is asked once, one after the other.
func gridMemoryCases() []*memoryCase {
	const title = "the first request to each of many keys, one after the other (memory while idle)"
	return []*memoryCase{
		{name: "grid/start", label: "grid", n: manyWorkers, group: title, start: true, heap: true, begin: startKeys(grid.Kind{Idle: time.Hour})},
		{name: "grid/start-never", label: "… with keys that never end idle", n: manyWorkers, group: title, start: true, heap: true, begin: startKeys(grid.Kind{Idle: -1})},
		{name: "grid/start-spawn", label: "Spawn, and a request", n: manyWorkers, group: title, start: true, heap: true, begin: startAndAsk},
		{name: "grid/start-dynamic", label: "Dynamic.GetOrStart, and a request", n: manyWorkers, group: title, start: true, heap: true, begin: getOrStart},
		{name: "grid/many", label: "grid, 500,000 keys", n: manyKeys, group: title, once: true, start: true, heap: true, begin: startKeys(grid.Kind{Idle: time.Hour})},
		{name: "grid/many-spawn", label: "Spawn, and a request, 500,000 workers", n: manyKeys, group: title, once: true, start: true, heap: true, begin: startAndAsk},
		{name: "grid/many-dynamic", label: "Dynamic.GetOrStart, and a request, 500,000 children", n: manyKeys, group: title, once: true, start: true, heap: true, begin: getOrStart},
		{name: "grid/many-stop", label: "grid, the drain of 500,000 keys", n: manyKeys, group: title, once: true, stop: true, heap: true, begin: startKeys(grid.Kind{Idle: time.Hour})},
	}
}

func gridRules() []rule {
	return []rule{
		{of: "grid/request", against: "grid/pid", as: "by PID", figure: wall, limit: 1.3},
		{of: "grid/request-new", against: "grid/pid", as: "by PID", figure: wall},
		{of: "grid/copied", against: "grid/pid", as: "by PID", figure: wall},
		{of: "grid/burst", against: "grid/burst-pid", as: "by PID", figure: wall, limit: 1.3},
		{of: "grid/start", against: "grid/start-spawn", as: "Spawn", figure: wall},
		{of: "grid/start", against: "grid/start-spawn", as: "Spawn", figure: memory},
		{of: "grid/start", against: "grid/start-dynamic", as: "Dynamic", figure: wall},
		{of: "grid/start", against: "grid/start-dynamic", as: "Dynamic", figure: memory},
		{of: "grid/many", against: "grid/many-spawn", as: "Spawn", figure: memory},
		{of: "grid/many", against: "grid/many-dynamic", as: "Dynamic", figure: memory},
	}
}

// grid starts one, whose kind answers questions.
func (e *env) grid(k grid.Kind) (*grid.Grid, error) {
	k.Name, k.Share, k.Accepts = "worker", true, []grid.Message{grid.MessageOf[question]()}
	k.Setup = func(w *actors.Worker, _ string) error { return answering(w) }
	return grid.Start(e.ctx, e.sys, grid.Options{Kinds: []grid.Kind{k}, Logger: quiet()})
}

// drained is the end of n keys that have each been asked.
func (e *env) drained(g *grid.Grid, n int) (int, error) {
	r, err := g.Drain(e.ctx)
	if c := r.Counts(); err == nil && (c.Finished != int64(n) || !c.Agree()) {
		err = fmt.Errorf("the account is %+v", c)
	}
	return n * (n - 1) / 2, err
}

// openKeys is grid for a case that asks a few keys again and again.
func (e *env) openKeys() (*grid.Grid, error) {
	g, err := e.grid(grid.Kind{})
	e.onClose(func() error { _, err := g.Drain(e.ctx); return err })
	return g, err
}

func requestKey(keep bool) func(e *env) (run, error) {
	return func(e *env) (run, error) {
		g, err := e.openKeys()
		if err != nil {
			return nil, err
		}
		if keep {
			return oneByOne(requestAsk(e, g.PID("worker", "1"))), nil
		}
		return oneByOne(func(i int) (int, error) {
			v, err := actors.RequestFuture[answer](e.sys.Root, g.PID("worker", "1"), question{i}).Wait(e.ctx)
			return v.n, err
		}), nil
	}
}

func requestKeyBurst(e *env) (run, error) {
	return requestBurst(func(e *env) (*actor.PID, error) {
		g, err := e.openKeys()
		if err != nil {
			return nil, err
		}
		return g.PID("worker", "1"), nil
	})(e)
}

func requestCopied(e *env) (run, error) {
	type number = *wrapperspb.Int64Value
	g, err := grid.Start(e.ctx, e.sys, grid.Options{Logger: quiet(), Kinds: []grid.Kind{{
		Name: "worker", Accepts: []grid.Message{grid.MessageOf[number]()}, Setup: func(w *actors.Worker, _ string) error {
			actors.Handle(w, func(_ *actors.Task, n number) (number, error) { return n, nil })
			return nil
		},
	}}})
	if err != nil {
		return nil, err
	}
	e.onClose(func() error { _, err := g.Drain(e.ctx); return err })
	pid := g.PID("worker", "1")
	return oneByOne(func(i int) (int, error) {
		v, err := actors.RequestFuture[number](e.sys.Root, pid, wrapperspb.Int64(int64(i))).Wait(e.ctx)
		return int(v.GetValue()), err
	}), nil
}

// askOnce asks a worker, and compares the answer.
func (e *env) askOnce(pid *actor.PID, i int) error {
	v, err := actors.RequestFuture[answer](e.sys.Root, pid, question{i}).Wait(e.ctx)
	if err == nil && v.n != i {
		err = fmt.Errorf("the answer is %d, want %d", v.n, i)
	}
	return err
}

func startKeys(k grid.Kind) func(e *env, n int) (func() (int, error), error) {
	return func(e *env, n int) (func() (int, error), error) {
		g, err := e.grid(k)
		if err != nil {
			return nil, err
		}
		for i := range n {
			if err := e.askOnce(g.PID("worker", strconv.Itoa(i)), i); err != nil {
				return nil, err
			}
		}
		return func() (int, error) { return e.drained(g, n) }, nil
	}
}

func startAndAsk(e *env, n int) (func() (int, error), error) {
	pids := make([]*actor.PID, n)
	for i := range pids {
		var err error
		if pids[i], err = actors.Spawn(e.ctx, e.sys.Root, "worker"+strconv.Itoa(i), answering, actors.Options{}); err != nil {
			return nil, err
		}
		if err := e.askOnce(pids[i], i); err != nil {
			return nil, err
		}
	}
	return func() (int, error) { return len(pids) * (len(pids) - 1) / 2, e.stop(pids) }, nil
}

func getOrStart(e *env, n int) (func() (int, error), error) {
	d, err := supervisor.StartDynamic(e.ctx, e.sys, supervisor.DynamicSpec{
		Name: "workers", Logger: quiet(),
		Child: supervisor.Child{Restart: supervisor.Temporary, Props: actors.Props(answering)},
	})
	if err != nil {
		return nil, err
	}
	for i := range n {
		pid, err := d.GetOrStart(e.ctx, "worker"+strconv.Itoa(i), nil)
		if err != nil {
			return nil, err
		}
		if err := e.askOnce(pid, i); err != nil {
			return nil, err
		}
	}
	return func() (int, error) {
		_, err := d.Stop(e.ctx)
		return n * (n - 1) / 2, err
	}, nil
}
