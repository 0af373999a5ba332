// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/futures"
)

// The sizes at both ends; the rules compare them.
const (
	few  = 100
	many = 100_000
	// manyWorkers is for the rows that share operations out to workers.
	manyWorkers = 10_000
	// manyBlocked is of how many workers a turn blocks.
	manyBlocked = 5_000
)

func scaleCases() []*benchCase {
	cs := []*benchCase{}
	for _, n := range []int{few, burst, 10_000, many} {
		cs = append(cs, &benchCase{fmt.Sprintf("pending/%d", n), "Submit burst of " + thousands(n), n, submitBurst(n)})
	}
	for _, n := range []int{few, many} {
		cs = append(cs, &benchCase{fmt.Sprintf("pending/go-%d", n), "goroutine + channel, burst of " + thousands(n), n, goBurst(n)})
	}
	for _, n := range []int{few, many} {
		cs = append(cs, &benchCase{fmt.Sprintf("beside/%d", n), "Submit burst beside " + thousands(n) + " suspended tasks", burst, besideSuspended(n)})
	}
	for _, n := range []int{few, many} {
		cs = append(cs, &benchCase{fmt.Sprintf("resume/%d", n), thousands(n) + " tasks suspend and resume", n, resume(n)})
	}
	for _, n := range []int{few, many} {
		cs = append(cs, &benchCase{fmt.Sprintf("resume/go-%d", n), thousands(n) + " goroutines park and go on", n, goResume(n)})
	}
	for _, n := range []int{1, 100, manyWorkers} {
		cs = append(cs, &benchCase{fmt.Sprintf("workers/seq-%d", n), "Submit + Wait over " + plural(n, "worker"), burst, overWorkers(n, false)})
	}
	for _, n := range []int{1, 100, manyWorkers} {
		cs = append(cs, &benchCase{fmt.Sprintf("workers/burst-%d", n), "burst of 10,000 over " + plural(n, "worker"), manyWorkers, overWorkers(n, true)})
	}
	for _, n := range []int{0, manyBlocked} {
		cs = append(cs, &benchCase{fmt.Sprintf("blocked/%d", n), "burst of 10,000 over 200 workers beside " + plural(n, "blocked turn"), manyWorkers, besideBlocked(n)})
	}
	for _, n := range []int{1, manyWorkers} {
		cs = append(cs, &benchCase{fmt.Sprintf("workers/go-burst-%d", n), "burst of 10,000 over " + plural(n, "goroutine") + " with a channel", manyWorkers, overGoroutines(n)})
	}
	return cs
}

// overWorkers is the plain operation, sent to each of the workers in turn.
func overWorkers(n int, inBurst bool) func(*env) (run, error) {
	return func(e *env) (run, error) {
		pids, err := e.workers(n)
		if err != nil {
			return nil, err
		}
		if inBurst {
			return e.submits(manyWorkers, func(i int) *actor.PID { return pids[i%n] }), nil
		}
		next := 0
		return oneByOne(func(i int) (int, error) {
			pid := pids[next]
			if next++; next == n {
				next = 0
			}
			return actors.Submit(e.sys.Root, pid, func(*actors.Task) (int, error) { return i, nil }).Wait(e.ctx)
		}), nil
	}
}

// besideBlocked is the plain operation, sent to each of some workers in turn, while
// other workers' turns block.
func besideBlocked(n int) func(*env) (run, error) {
	return func(e *env) (run, error) {
		const asked = 200
		pids, err := e.workers(asked + n)
		if err != nil {
			return nil, err
		}
		release := e.block(pids[asked:])
		e.onClose(func() error { release(); return nil })
		return e.submits(manyWorkers, func(i int) *actor.PID { return pids[i%asked] }), nil
	}
}

// overGoroutines is a burst of questions to goroutines that each serve a
// channel: what workers are without an actor system.
func overGoroutines(n int) func(*env) (run, error) {
	type asked struct {
		n      int
		answer chan int
	}
	return func(e *env) (run, error) {
		inboxes := make([]chan asked, n)
		for i := range inboxes {
			inboxes[i] = make(chan asked, 16)
			go func() {
				for q := range inboxes[i] {
					q.answer <- q.n
				}
			}()
		}
		e.onClose(func() error {
			for _, c := range inboxes {
				close(c)
			}
			return nil
		})
		answers := make([]chan int, manyWorkers)
		return func(ops int) (sum int, err error) {
			for range ops / manyWorkers {
				for i := range answers {
					answers[i] = make(chan int, 1)
					inboxes[i%n] <- asked{i, answers[i]}
				}
				for _, c := range answers {
					sum += <-c
				}
			}
			return sum, nil
		}, nil
	}
}

// suspendTasks submits n tasks that each await gate, and returns their
// futures when all of them do.
func (e *env) suspendTasks(pid *actor.PID, n int, gate *actors.Future[int]) ([]*actors.Future[int], error) {
	if n == 0 {
		return nil, nil // start/dynamic and stop/workers have none, and are about no task
	}
	fs := make([]*actors.Future[int], n)
	for i := range fs {
		fs[i] = actors.Submit(e.sys.Root, pid, func(t *actors.Task) (int, error) {
			v, err := actors.Await(t, gate)
			return v + i, err
		})
	}
	// Tasks start in order: when this one runs, those before it are suspended.
	_, err := actors.Submit(e.sys.Root, pid, func(*actors.Task) (int, error) { return 0, nil }).Wait(e.ctx)
	return fs, err
}

// besideSuspended is the Submit burst on a worker that has suspended tasks.
func besideSuspended(suspended int) func(*env) (run, error) {
	return func(e *env) (run, error) {
		pid, err := e.worker("worker")
		if err != nil {
			return nil, err
		}
		gate := new(actors.Promise[int])
		fs, err := e.suspendTasks(pid, suspended, gate.Future())
		if err != nil {
			return nil, err
		}
		e.onClose(func() error {
			gate.Resolve(0)
			_, err := futures.All(fs...).Wait(e.ctx)
			return err
		})
		return e.submits(burst, func(int) *actor.PID { return pid }), nil
	}
}

// resume is tasks that all suspend before the first is resumed: an operation
// is a Submit, an await, the resumption and a Wait.
func resume(size int) func(*env) (run, error) {
	return func(e *env) (run, error) {
		pid, err := e.worker("worker")
		if err != nil {
			return nil, err
		}
		return func(n int) (sum int, err error) {
			for range n / size {
				gate := new(actors.Promise[int])
				fs, err := e.suspendTasks(pid, size, gate.Future())
				if err != nil {
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
}

// goResume is the same with goroutines that park on a channel.
func goResume(size int) func(*env) (run, error) {
	return func(*env) (run, error) {
		results := make([]chan int, size)
		return func(n int) (sum int, err error) {
			for range n / size {
				gate := make(chan struct{})
				for i := range results {
					c := make(chan int, 1)
					results[i] = c
					go func() {
						<-gate
						c <- i
					}()
				}
				close(gate)
				for _, c := range results {
					sum += <-c
				}
			}
			return sum, nil
		}, nil
	}
}
