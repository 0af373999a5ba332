// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/protoloop/protoloop/internal/seeded"
)

var raceDice = seeded.Flag("race.seed", "TestRaces")

// TestRaces lets jobs of some workers wait for each other at random, all at the
// same time, with yields wherever a search looks at something. Some hold their
// worker while they run, some workers have few places.
//
// Whenever a ring is broken the reference has to find it, too. When nothing
// moves any more, what still waits for good is a ring that nobody has found. None
// may go through a holder; one that does not is broken by the test.
func TestRaces(t *testing.T) {
	broken, pure := 0, 0
	for _, dice := range raceDice.Rounds(t, 1000) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, dice)
			w.run()
			broken, pure = broken+int(w.broken.Load()), pure+w.pure
		})
	}
	t.Logf("%d rings were found, and %d without a holder were left", broken, pure)
	if broken < 50 {
		t.Error("the jobs hardly wait for each other")
	}
}

// world is the jobs of one round.
type world struct {
	*testing.T
	graph    Graph
	workers  []*worker
	jobs     []*job
	promises []*promise
	broken   atomic.Int64
	pure     int
	yields   atomic.Uint64

	mu    sync.Mutex // of gen
	moved *sync.Cond
	gen   int
}

// worker runs jobs: one that is exclusive alone, and no more than it has places.
type worker struct {
	*world
	holder atomic.Pointer[job]
	places int // 0: any number
	mu     sync.Mutex
	inside []*job
}

// future is a result: of a job, or a promise.
type future struct {
	state atomic.Int32 // 0, or how it has ended
	of    []*want      // that it is a member of
}

const (
	good int32 = 1 + iota
	bad
)

type promise struct{ future }

type job struct {
	future
	*worker
	exclusive bool
	fails     bool
	script    []*want
	begun     atomic.Bool
	probed    atomic.Bool
	awaits    atomic.Pointer[want]
}

// want is a combination of futures that one job awaits, or a part of one.
type want struct {
	job     *job
	top, up *want
	kind    kind
	futures []*future
	nodes   []Node // those of jobs; nil: it is a promise
	parts   []*want
	probed  atomic.Bool
	first   atomic.Int32
}

type kind int

const (
	allOf   kind = iota // the end of each
	firstOf             // the first end
	anyOf               // the first value, or the failure of each
	kinds
)

func newWorld(t *testing.T, dice *rand.Rand) *world {
	w := &world{T: t}
	w.moved = sync.NewCond(&w.mu)
	for range 2 + dice.IntN(3) {
		w.workers = append(w.workers, &worker{world: w, places: max(0, dice.IntN(6)-2)})
	}
	for range 3 {
		w.promises = append(w.promises, &promise{})
	}
	for range 3 + dice.IntN(12) {
		w.jobs = append(w.jobs, &job{worker: w.workers[dice.IntN(len(w.workers))], exclusive: dice.IntN(4) == 0, fails: dice.IntN(3) == 0})
	}
	for _, j := range w.jobs {
		for range dice.IntN(4) {
			j.script = append(j.script, w.newWant(dice, j, nil, 2))
		}
	}
	return w
}

func (w *world) newWant(dice *rand.Rand, j *job, up *want, depth int) *want {
	x := &want{job: j, up: up, kind: kind(dice.IntN(int(kinds)))}
	if x.top = x; up != nil {
		x.top = up.top
	}
	for range 1 + dice.IntN(3) {
		switch other := w.jobs[dice.IntN(len(w.jobs))]; {
		case depth > 0 && dice.IntN(4) == 0:
			x.parts = append(x.parts, w.newWant(dice, j, x, depth-1))
		case dice.IntN(6) == 0:
			x.futures, x.nodes = append(x.futures, &w.promises[dice.IntN(len(w.promises))].future), append(x.nodes, nil)
		case other != j:
			x.futures, x.nodes = append(x.futures, &other.future), append(x.nodes, other)
		}
	}
	for _, f := range x.futures {
		f.of = append(f.of, x)
	}
	return x
}

func (w *world) run() {
	var wg sync.WaitGroup
	for _, j := range w.jobs {
		wg.Go(j.run)
	}
	left := w.promises
	for !w.Failed() {
		synctest.Wait()
		stuck := naive(w.all(), nil)
		switch {
		case len(stuck) > 0:
			w.leaveNoRing(stuck)
		case len(left) > 0:
			left[0].end(w, good+int32(len(w.jobs)+len(left))%2)
			left = left[1:]
		default:
			wg.Wait()
			return
		}
	}
	for _, j := range w.jobs { // let them end
		j.state.CompareAndSwap(0, good)
		j.awaits.Store(nil)
		j.holder.Store(nil)
		j.places = 0
	}
	for _, p := range left {
		p.state.Store(good)
	}
	w.move()
	wg.Wait()
}

// all are the nodes that wait now.
func (w *world) all() (all []Node) {
	var add func(x *want)
	add = func(x *want) {
		all = append(all, x)
		for _, p := range x.parts {
			add(p)
		}
	}
	for _, r := range w.workers {
		all = append(all, (*places)(r))
	}
	for _, j := range w.jobs {
		all = append(all, j)
		if x := j.awaits.Load(); x != nil {
			add(x)
		}
	}
	return all
}

// leaveNoRing breaks a ring of jobs that only await each other. One with a holder
// had to be found.
func (w *world) leaveNoRing(stuck map[Node]bool) {
	for n := range stuck {
		in := ringOf(n, stuck)
		if in == nil || slices.ContainsFunc(in, func(n Node) bool { return !leadsAll(n, in, stuck) }) {
			continue // it waits for a ring behind it
		}
		var victim *job
		for _, n := range in {
			if j, ok := n.(*job); ok {
				if h := j.holder.Load(); h != nil && h != j && slices.Contains(in, Node(h)) || slices.Contains(in, Node((*places)(j.worker))) {
					w.Errorf("a ring of %d with a holder was not found", len(in))
					return
				}
				victim = j
			}
		}
		w.pure++
		victim.awaits.Store(nil)
		w.move()
		return
	}
	w.Error("something is stuck without a ring")
}

// ringOf is what n waits for, directly or not, that waits for n.
func ringOf(n Node, stuck map[Node]bool) (in []Node) {
	for m := range stuck {
		if m != n && leads(n, m, stuck) && leads(m, n, stuck) {
			in = append(in, m)
		}
	}
	if in != nil {
		in = append(in, n)
	}
	return in
}

// leadsAll reports whether all that is stuck and that n waits for is in the ring.
func leadsAll(n Node, in []Node, stuck map[Node]bool) bool {
	w := n.Wait()
	for k := range w.size() {
		if _, m, a := w.member(n, k); a == Follow && stuck[m] && !slices.Contains(in, m) {
			return false
		}
	}
	return true
}

// yield lets others run, now and then.
func (w *world) yield() {
	if x := w.yields.Add(0x9e3779b97f4a7c15); x>>61 == 0 {
		runtime.Gosched()
	}
}

func (w *world) move() {
	w.mu.Lock()
	w.gen++
	w.mu.Unlock()
	w.moved.Broadcast()
}

// await blocks until ok.
func (w *world) await(ok func() bool) {
	for {
		w.mu.Lock()
		gen := w.gen
		w.mu.Unlock()
		if ok() {
			return
		}
		w.mu.Lock()
		for w.gen == gen {
			w.moved.Wait()
		}
		w.mu.Unlock()
	}
}

// end completes a future, and looks whether its failure has closed a ring.
func (f *future) end(w *world, how int32) {
	f.state.CompareAndSwap(0, how)
	w.move()
	if how != bad {
		return
	}
	for _, x := range f.of {
		for ; x != nil; x = x.up {
			if x.kind == anyOf && x.probed.Load() && x.job.awaits.Load() == x.top && Stuck(nil, x) && Stuck(x.job, x.top) {
				w.breaks(x.job, x.top)
			}
		}
	}
}

func (w *world) breaks(j *job, x *want) bool {
	holds := func() bool { return j.awaits.Load() == x && x.state() == 0 }
	return w.graph.Break(j, x, holds, func(path []Node) {
		stuck := naive(w.all(), nil)
		if !stuck[j] || !leads(x, j, stuck) {
			w.Error("a ring was found that is none")
		}
		checkPath(w.T, j, x, path, stuck)
		w.broken.Add(1)
		j.awaits.Store(nil)
		w.move()
	})
}

func (j *job) run() {
	j.await(j.start)
	for _, x := range j.script {
		j.wait(x)
		j.await(func() bool { h := j.holder.Load(); return h == nil || h == j })
	}
	j.worker.mu.Lock()
	if i := slices.Index(j.inside, j); i >= 0 {
		last := len(j.inside) - 1
		j.inside[i] = j.inside[last]
		j.inside = j.inside[:last]
	}
	j.worker.mu.Unlock()
	how := good
	if j.fails {
		how = bad
	}
	if j.exclusive {
		j.holder.CompareAndSwap(j, nil)
	}
	j.end(j.world, how)
}

// start begins the job, unless it has to wait.
func (j *job) start() bool {
	j.worker.mu.Lock()
	defer j.worker.mu.Unlock()
	if j.holder.Load() != nil || j.places > 0 && len(j.inside) >= j.places {
		return false
	}
	if j.places > 0 {
		j.inside = append(j.inside, j)
	}
	if j.exclusive {
		j.holder.Store(j)
	}
	j.begun.Store(true)
	return true
}

func (j *job) isHolder() bool {
	j.worker.mu.Lock()
	defer j.worker.mu.Unlock()
	return j.exclusive || j.places > 0 && len(j.inside) >= j.places
}

func (j *job) wait(x *want) {
	j.awaits.Store(x)
	j.yield()
	if (j.isHolder() || j.probed.Load()) && Stuck(j, x) && j.breaks(j, x) {
		return
	}
	j.world.await(func() bool { return j.awaits.Load() != x || x.state() != 0 })
}

func (j *job) Probe() { j.yield(); j.probed.Store(true); j.yield() }

func (j *job) Wait() Wait {
	j.yield()
	if j.state.Load() != 0 {
		return Wait{}
	}
	return Wait{ID: j.awaits.Load(), N: 3}
}

func (j *job) Member(i int) (Node, Answer) {
	j.yield()
	switch i {
	case 0:
		if h := j.holder.Load(); h != nil && h != j && h.state.Load() == 0 {
			return h, Follow
		}
	case 1:
		if j.places > 0 && !j.begun.Load() {
			return (*places)(j.worker), Follow
		}
	case 2:
		if x := j.awaits.Load(); x != nil && x.state() == 0 {
			return x, Follow
		}
	}
	return nil, Skip
}

func (j *job) Prefer(int) {}

// places is a worker that has few.
type places worker

func (p *places) Probe() {}

func (p *places) Wait() Wait {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.places == 0 || len(p.inside) < p.places {
		return Wait{}
	}
	return Wait{Any: true, N: len(p.inside)}
}

func (p *places) Member(i int) (Node, Answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.inside) < p.places || i >= len(p.inside) || p.inside[i].state.Load() != 0 {
		return nil, Free
	}
	return p.inside[i], Follow
}

func (p *places) Prefer(int) {}

// state is how the combination has ended, or 0.
func (x *want) state() int32 {
	n, values, failures := len(x.futures)+len(x.parts), 0, 0
	for i := range n {
		switch x.member(i) {
		case good:
			values++
		case bad:
			failures++
		}
	}
	switch {
	case x.kind == anyOf && failures == n:
		return bad
	case x.kind == allOf && values+failures == n, x.kind == anyOf && values > 0, x.kind == firstOf && (values+failures > 0 || n == 0):
		return good
	}
	return 0
}

// member is how member i has ended.
func (x *want) member(i int) int32 {
	if i < len(x.futures) {
		return x.futures[i].state.Load()
	}
	return x.parts[i-len(x.futures)].state()
}

func (x *want) Probe() { x.yield(); x.probed.Store(true); x.yield() }

func (x *want) yield() { x.job.yield() }

func (x *want) Wait() Wait {
	return Wait{Any: x.kind != allOf, From: int(x.first.Load()), N: len(x.futures) + len(x.parts)}
}

func (x *want) Member(i int) (Node, Answer) {
	x.yield()
	switch how := x.member(i); {
	case how == 0:
	case x.kind == firstOf, x.kind == anyOf && how == good:
		return nil, Free
	default:
		return nil, Skip
	}
	switch {
	case i >= len(x.futures):
		return x.parts[i-len(x.futures)], Follow
	case x.nodes[i] != nil:
		return x.nodes[i], Follow
	case x.kind == allOf:
		return nil, Skip
	}
	return nil, Free
}

func (x *want) Prefer(i int) { x.first.Store(int32(i)) }

// A ring that all its jobs close at the same time is broken once.
func TestRingClosedByAllAtOnce(t *testing.T) {
	for range 300 {
		synctest.Test(t, func(t *testing.T) {
			const n = 8
			w := newWorld(t, rand.New(rand.NewPCG(0, 0)))
			w.jobs, w.promises = nil, nil
			for range n {
				w.jobs = append(w.jobs, &job{worker: &worker{world: w}})
			}
			w.jobs[3].exclusive = true
			for i, j := range w.jobs {
				next := w.jobs[(i+1)%n]
				x := &want{job: j, futures: []*future{&next.future}, nodes: []Node{next}}
				x.top = x
				j.script = []*want{x}
			}
			w.run()
			if got := w.broken.Load(); got != 1 {
				t.Errorf("it was broken %d times", got)
			}
		})
		if t.Failed() {
			return
		}
	}
}
