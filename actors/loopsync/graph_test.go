// SPDX-License-Identifier: Apache-2.0

package loopsync_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/actortest"
)

// op is what a task does next; two bytes follow, which say with what.
type op byte

const (
	opEnd op = iota // of the script
	opSleep
	opYield
	opAwait
	opCombine
	opStart
	opSubmit
	opGroup
	opLock
	opAcquire
	opEvent
	opPut
	opGet
	opCancel
	opPromise
	opExclusive
	opFail
	opCleanup
	opEach
	opOffload
	opRelease
	opSelect
	opChannel
	opCondition
	opBarrier
	ops
)

const (
	roots    = 3   // tasks to begin with
	maxTasks = 120 // made in all
)

type step struct {
	op   op
	a, b int
}

// graph is one run: scripts, and what tasks make of them.
type graph struct {
	*testing.T
	sys     *actor.ActorSystem
	scripts [][]step
	workers []*actor.PID

	mutexes    [3][2]loopsync.Mutex
	inside     [3]atomic.Int32 // tasks that hold a first mutex
	semaphores [3]*loopsync.Semaphore
	events     [3]loopsync.Event
	queues     [3]*loopsync.Queue[int]
	conditions [3]*loopsync.Condition // over the first mutex
	barriers   [3]*loopsync.Barrier
	channels   [3]chan int
	rings      bool        // there can be one
	failed     atomic.Bool // a worker has

	mu       sync.Mutex
	nodes    []*node
	promises []*actors.Promise[int]
	tasks    int
	rank     int
	at       map[string]int // where tasks are
}

// node is a future of the graph. Its rank says when its work was made: a task
// awaits only what has a higher rank than itself.
type node struct {
	rank  int
	what  string
	f     *actors.Future[int]
	calls atomic.Int32
}

// job asks an exclusive handler to run a script.
type job struct{ script, rank int }

// newGraph reads the first byte as the number of scripts, and then three for
// each step.
func newGraph(t *testing.T, sys *actor.ActorSystem, data []byte) *graph {
	g := &graph{T: t, sys: sys, scripts: make([][]step, 1), at: map[string]int{}}
	for ; len(data) >= 3; data = data[3:] {
		s := step{op(data[0]) % ops, int(data[1]), int(data[2])}
		if s.op == opEnd {
			g.scripts = append(g.scripts, nil)
			continue
		}
		g.rings = g.rings || s.op == opLock || s.op == opCleanup || s.op == opExclusive || s.op == opCondition
		last := &g.scripts[len(g.scripts)-1]
		*last = append(*last, s)
	}
	for i := range 3 {
		g.semaphores[i], g.queues[i] = loopsync.NewSemaphore(i), loopsync.NewQueue[int](i)
		g.conditions[i], g.barriers[i] = loopsync.NewCondition(&g.mutexes[i][0]), loopsync.NewBarrier(1+i)
		g.channels[i] = make(chan int, i)
		o := quiet
		if i == 2 && len(g.scripts)%2 == 0 {
			o.MaxInFlight = 3
			g.rings = true
		}
		g.workers = append(g.workers, actortest.Spawn(t, sys.Root, fmt.Sprintf("worker%d", i), func(w *actors.Worker) error {
			actors.Handle(w, func(t *actors.Task, j job) (int, error) { return g.run(t, i, j.script, j.rank) }, actors.Exclusive())
			actors.On(w, func(*actors.Task, string) error { panic("fail") })
			return nil
		}, o))
	}
	return g
}

// next is the rank of a new piece of work; false: there is enough.
func (g *graph) next() (rank int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tasks++
	g.rank++
	return g.rank, g.tasks <= maxTasks
}

func (g *graph) add(rank int, what string, f *actors.Future[int]) {
	n := &node{rank: rank, what: fmt.Sprintf("%s of rank %d", what, rank), f: f}
	f.OnDone(func(int, error) { n.calls.Add(1) })
	g.mu.Lock()
	defer g.mu.Unlock()
	g.nodes = append(g.nodes, n)
}

// pick returns up to n futures that a task of that rank may await, and the
// lowest rank of them.
func (g *graph) pick(above, n, seed int) (fs []*actors.Future[int], rank int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var may []*node
	for _, n := range g.nodes {
		if n.rank > above {
			may = append(may, n)
		}
	}
	if len(may) == 0 {
		return nil, 0
	}
	for i := range n {
		m := may[(seed+i*i)%len(may)]
		if fs = append(fs, m.f); rank == 0 || m.rank < rank {
			rank = m.rank
		}
	}
	return fs, rank
}

func (g *graph) submit(s actor.SenderContext, worker, script, above int) {
	if script >= len(g.scripts) {
		return
	}
	if rank, ok := g.next(); ok {
		g.add(rank, fmt.Sprintf("a submission to worker %d", worker), actors.Submit(s, g.workers[worker], func(t *actors.Task) (int, error) { return g.run(t, worker, script, rank) }))
	}
}

// letGoOfWork ends all waiting that is for something that nobody need do.
func (g *graph) letGo() {
	g.mu.Lock()
	ps := slices.Clone(g.promises)
	g.mu.Unlock()
	for _, p := range ps {
		p.Resolve(0)
	}
	for i := range g.workers {
		g.events[i].Set()
		g.queues[i].Close()
		g.conditions[i].NotifyAll()
		g.barriers[i].Abort()
		for range maxTasks { // those who wait for a channel
			select {
			case g.channels[i] <- 0:
			case <-g.channels[i]:
			default:
			}
		}
		for range 10 {
			g.semaphores[i].Release()
		}
	}
}
