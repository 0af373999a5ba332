// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// idleCases are about a million workers that do nothing most of the time: what they take, that a
// message finds each of them, and that they stop. A message to one of ten thousand is what one to
// one of a million is compared to: most of both is memory that is in no cache.
//
// One of ten thousand takes 0.15 kB more (start/worker). The engine's registry consists of 1,024 maps,
// which have room for 16 each before they grow: by a heap profile that is 248 bytes for each of
// ten thousand, and 90 for each of a hundred thousand.
func idleCases() []*memoryCase {
	const title = "many idle workers (memory each)"
	return []*memoryCase{
		{name: "idle/start", label: "1,000,000 workers start", n: million, group: title, once: true, start: true, begin: idle(stopIdle)},
		{name: "idle/resident", label: "… (resident set of the process)", n: million, group: title, once: true, start: true, resident: true, begin: idle(stopIdle)},
		{name: "idle/asked-few", label: "each of 10,000 workers is asked once, in random order", n: manyWorkers, group: title, stop: true, begin: idle(askIdle)},
		{name: "idle/asked", label: "each of 1,000,000", n: million, group: title, once: true, stop: true, begin: idle(askIdle)},
		{name: "idle/asked-go", label: "… (goroutines with a channel)", n: million, group: title, once: true, stop: true, begin: askIdleGoroutines},
		{name: "idle/stop", label: "1,000,000 workers stop", n: million, group: title, once: true, stop: true, begin: idle(stopIdle)},
	}
}

func idleRules() []rule {
	return []rule{
		{of: "idle/start", against: "start/worker", as: "10,000", figure: wall},
		{of: "idle/asked", against: "idle/asked-few", as: "10,000", figure: wall},
		{of: "idle/asked", against: "idle/asked-go", as: "goroutines", figure: wall},
	}
}

// idle starts n workers, and ends by what is done with them.
func idle(end func(e *env, pids []*actor.PID) (int, error)) func(e *env, n int) (func() (int, error), error) {
	return func(e *env, n int) (func() (int, error), error) {
		pids, err := spawnAnswering(e, n)
		return func() (int, error) { return end(e, pids) }, err
	}
}

// spawnAnswering starts n workers that answer questions.
func spawnAnswering(e *env, n int) ([]*actor.PID, error) {
	pids := make([]*actor.PID, n)
	for i := range pids {
		var err error
		pids[i], err = actors.Spawn(e.ctx, e.sys.Root, "worker"+strconv.Itoa(i), answering, actors.Options{})
		if err != nil {
			return nil, err
		}
	}
	return pids, nil
}

func stopIdle(e *env, pids []*actor.PID) (int, error) {
	return len(pids) * (len(pids) - 1) / 2, e.stop(pids)
}

// askIdle asks each, ten thousand at a time. They are stopped later.
func askIdle(e *env, pids []*actor.PID) (sum int, err error) {
	e.onClose(func() error { return e.stop(pids) })
	order := rand.New(rand.NewPCG(1, 2)).Perm(len(pids))
	asked := make([]*actors.Future[answer], 0, manyWorkers)
	for len(order) > 0 {
		now := order[:min(len(order), manyWorkers)]
		order = order[len(now):]
		for _, i := range now {
			asked = append(asked, actors.RequestFuture[answer](e.sys.Root, pids[i], question{i}))
		}
		for _, f := range asked {
			a, err := f.Wait(e.ctx)
			if err != nil {
				return 0, err
			}
			sum += a.n
		}
		asked = asked[:0]
	}
	return sum, nil
}

// askIdleGoroutines is the same with goroutines that each wait at a channel.
func askIdleGoroutines(_ *env, n int) (func() (int, error), error) {
	type asked struct {
		n      int
		answer chan int
	}
	inboxes, before := make([]chan asked, n), runtime.NumGoroutine()
	for i := range inboxes {
		inboxes[i] = make(chan asked, 1)
		go func() {
			for q := range inboxes[i] {
				q.answer <- q.n
			}
		}()
	}
	return func() (sum int, err error) {
		order := rand.New(rand.NewPCG(1, 2)).Perm(n)
		answers := make([]chan int, 0, manyWorkers)
		for len(order) > 0 {
			now := order[:min(len(order), manyWorkers)]
			order = order[len(now):]
			for _, i := range now {
				answers = append(answers, make(chan int, 1))
				inboxes[i] <- asked{i, answers[len(answers)-1]}
			}
			for _, c := range answers {
				sum += <-c
			}
			answers = answers[:0]
		}
		for _, c := range inboxes {
			close(c)
		}
		return sum, nil
	}, parked(before, n)
}

// residentSet is the memory of the process that is in RAM, without what the runtime
// could give back.
func residentSet() float64 {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(fields[1])
	return float64(pages * os.Getpagesize())
}
