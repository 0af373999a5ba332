// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func endAll(loops []*Loop) {
	for _, l := range loops {
		l.PostControl(stopLoop{})
	}
}

// Turns that block, however many, keep no other loop from running: their runners
// are counted no more.
func TestBlockedTurnsHoldUpNoOther(t *testing.T) { synctest.Test(t, testBlockedTurnsHoldUpNoOther) }
func testBlockedTurnsHoldUpNoOther(t *testing.T) {
	p := NewPool()
	release := make(chan struct{})
	var blocked atomic.Int32
	var loops []*Loop
	for range 20 * runtime.GOMAXPROCS(0) {
		l, _ := newLoop(p, Config{})
		loops = append(loops, l)
		l.do(func(*Task) { blocked.Add(1); <-release })
	}
	time.Sleep(20 * 2 * stall)
	synctest.Wait()
	if n := int(blocked.Load()); n != len(loops) {
		t.Errorf("%d of %d loops have begun their turns, which block", n, len(loops))
	}
	other, _ := newLoop(p, Config{})
	loops = append(loops, other)
	for _, within := range []time.Duration{2 * stall, 0, 0} { // at once, as soon as the others are known
		ran := false
		other.do(func(*Task) { ran = true })
		time.Sleep(within)
		synctest.Wait()
		if !ran {
			t.Errorf("another loop has not run within %v", within)
		}
	}
	close(release)
	synctest.Wait()
	p.mu.Lock()
	for r := range p.runners {
		if r.held.Load() {
			t.Error("a runner is not counted although all have gone on")
		}
	}
	if n := len(p.queue.moving); n != 0 {
		t.Errorf("%d runners move on while there is nothing to do", n)
	}
	p.mu.Unlock()
	endAll(loops)
}

// The limits are those of the processors that there are now, not of those that there
// were when the pool was made.
func TestLimitsFollowGOMAXPROCS(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, testLimitsFollowGOMAXPROCS)
}
func testLimitsFollowGOMAXPROCS(t *testing.T) {
	const many = 16
	p := NewPool()
	var loops []*Loop
	for range 20 * many {
		l, _ := newLoop(p, Config{BlockedTurn: time.Second})
		loops = append(loops, l)
	}
	synctest.Wait()
	// runAtATime is how many turns run at a time, of many short ones, and how many of their
	// runners stay idle.
	runAtATime := func() (most, idle int) {
		var running, highest atomic.Int32
		for _, l := range loops {
			for range 10 {
				l.do(func(*Task) {
					highest.Store(max(highest.Load(), running.Add(1)))
					time.Sleep(stall / 20)
					running.Add(-1)
				})
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		return int(highest.Load()), p.nIdle
	}
	few := func(when string) {
		if most, idle := runAtATime(); most > 2*runnersPerProcessor || idle > fewIdle {
			t.Errorf("%s %d loops run at a time, and then %d runners are idle; want %d and %d at most", when, most, idle, 2*runnersPerProcessor, fewIdle)
		}
	}
	few("with one processor")

	runtime.GOMAXPROCS(many)
	if most, idle := runAtATime(); most < many || idle < many {
		t.Errorf("with %d processors %d loops run at a time, and then %d runners are idle; want more", many, most, idle)
	}

	runtime.GOMAXPROCS(1)
	loops[0].do(func(*Task) { time.Sleep(time.Second / 2) })
	time.Sleep(time.Second)
	few("with one processor again")
	endAll(loops)
}

// Turns that have blocked, however many, cost the guard nothing, and when all of them
// go on at once no more runners than before take other loops.
func TestBlockedTurnsAreNotLookedAt(t *testing.T) { synctest.Test(t, testBlockedTurnsAreNotLookedAt) }
func testBlockedTurnsAreNotLookedAt(t *testing.T) {
	p := NewPool()
	limit := int(p.queue.limit.Load())
	release := make(chan struct{})
	var loops, others []*Loop
	for range 50 * limit {
		l, _ := newLoop(p, Config{})
		loops = append(loops, l)
		l.do(func(*Task) { <-release })
		l, _ = newLoop(p, Config{})
		others = append(others, l)
	}
	time.Sleep(time.Second)
	synctest.Wait()
	p.mu.Lock()
	if n := len(p.queue.moving); n > limit {
		t.Errorf("the guard looks at %d runners, want %d at most", n, limit)
	}
	if n := int(p.queue.held.Load()); n < len(loops)-limit {
		t.Errorf("%d of %d blocked runners are known", n, len(loops))
	}
	p.mu.Unlock()

	var running, most, ran atomic.Int32
	p.coming.Add(1) // nobody runs them before all wait
	for _, l := range others {
		l.do(func(*Task) {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(stall / 100)
			running.Add(-1)
			ran.Add(1)
		})
	}
	close(release)
	p.coming.Add(-1)
	time.Sleep(time.Second)
	synctest.Wait()
	if n := int(most.Load()); n > 2*limit {
		t.Errorf("%d runners run at a time, want %d", n, limit)
	}
	if n := int(ran.Load()); n != len(others) {
		t.Errorf("%d of %d loops have run", n, len(others))
	}
	endAll(loops)
	endAll(others)
}

// Loops that always have something to do let others run, even where time stands
// still meanwhile.
func TestBusyLoopsLetOthersRun(t *testing.T) { synctest.Test(t, testBusyLoopsLetOthersRun) }
func testBusyLoopsLetOthersRun(t *testing.T) {
	p := NewPool()
	var over atomic.Bool
	var loops []*Loop
	for range 4 * runtime.GOMAXPROCS(0) {
		l, _ := newLoop(p, Config{})
		loops = append(loops, l)
		l.do(func(k *Task) {
			for !over.Load() {
				k.Yield()
			}
		})
	}
	other, _ := newLoop(p, Config{})
	loops = append(loops, other)
	other.do(func(*Task) { over.Store(true) })
	synctest.Wait()
	if !over.Load() {
		t.Error("another loop has not run")
	}
	endAll(loops)
}

// The queue takes loops in the order in which they came, and those that had
// their share after every wokenPerSpent of the others.
func TestOrderOfTheQueue(t *testing.T) {
	p := NewPool()
	q := &p.queue
	names := map[*Loop]string{}
	loop := func(name string) *Loop {
		l := new(Loop)
		names[l] = name
		return l
	}
	for range 2 {
		q.addSpent(loop("spent"))
	}
	for i := range wokenPerSpent + 1 {
		if l := loop("woken"); i >= wokenPerSpent/2 || !q.arrivals.add(l) {
			q.addWoken(l)
		}
	}
	var got []string
	r := newRunner(p)
	for l := q.takeLoop(r); l != nil; l = q.takeLoop(r) {
		got = append(got, names[l])
	}
	want := append(slices.Repeat([]string{"woken"}, wokenPerSpent), "spent", "woken", "spent")
	if !slices.Equal(got, want) {
		t.Errorf("taken: %v", got)
	}
	if n := q.len(); n != 0 {
		t.Errorf("the empty queue has a length of %d", n)
	}
}

// A queue that is never empty has no more room than it needs.
func TestBusyQueueStaysSmall(t *testing.T) {
	var q line
	var in [3]Loop
	for i := range in {
		q.push(&in[i])
	}
	for i := range 10_000 {
		if l := q.pop(); l != &in[i%3] {
			t.Fatal("out of order at", i)
		}
		q.push(&in[i%3])
	}
	if n := cap(q.loops); n > 16 {
		t.Errorf("room for %d loops, there were never more than 3", n)
	}
}

// While a runner is on its way no other is called; when it is there it calls the
// next, so that all that are allowed run in the end.
func TestOneRunnerComesAtATime(t *testing.T) { synctest.Test(t, testOneRunnerComesAtATime) }
func testOneRunnerComesAtATime(t *testing.T) {
	p := NewPool()
	limit := int(p.queue.limit.Load())
	release := make(chan struct{})
	var loops []*Loop
	p.coming.Add(1) // one that does not get there
	for range limit {
		l, _ := newLoop(p, Config{})
		loops = append(loops, l)
		l.do(func(*Task) { <-release })
	}
	p.mu.Lock()
	if n := p.queue.len(); len(p.queue.moving) != 0 || n != limit {
		t.Errorf("%d runners were called for %d loops, %d wait, while one was coming", len(p.queue.moving), limit, n)
	}
	p.mu.Unlock()
	p.coming.Add(-1)
	p.runnerArrived()
	synctest.Wait()
	p.mu.Lock()
	if n := p.queue.len(); len(p.queue.moving) != limit || n != 0 || p.coming.Load() != 0 {
		t.Errorf("%d of %d runners are active, %d loops wait, %d runners come", len(p.queue.moving), limit, n, p.coming.Load())
	}
	p.mu.Unlock()
	close(release)
	synctest.Wait()
	endAll(loops)
}

// Loops that a runner has taken and not come to, because a turn blocks, are run
// by others.
func TestBatchOfABlockedRunnerIsGivenBack(t *testing.T) {
	synctest.Test(t, testBatchOfABlockedRunnerIsGivenBack)
}
func testBatchOfABlockedRunnerIsGivenBack(t *testing.T) {
	p := NewPool()
	release := make(chan struct{})
	var loops []*Loop
	var ran atomic.Int32
	p.coming.Add(1) // nobody runs them before all wait
	blocking := len(*p.queue.arrivals.parts.Load())*arrivalSlots + int(p.queue.limit.Load())
	for i := range blocking + 20*batchSize*batchShare {
		l, _ := newLoop(p, Config{})
		loops = append(loops, l)
		l.do(func(*Task) {
			ran.Add(1)
			if i == blocking { // others are in a batch by then
				<-release
			}
		})
	}
	p.coming.Add(-1)
	p.runnerArrived()
	synctest.Wait()
	if kept := len(loops) - int(ran.Load()); kept < 1 || kept > batchSize {
		t.Errorf("%d of %d loops have not run beside a blocked one", kept, len(loops))
	}
	time.Sleep(2 * stall)
	synctest.Wait()
	if n := int(ran.Load()); n != len(loops) {
		t.Errorf("%d of %d loops have run after the guard has looked twice", n, len(loops))
	}
	close(release)
	synctest.Wait()
	endAll(loops)
}

// So are those of a runner that ends because it has lost its turn.
func TestBatchOfARunnerThatEndsIsGivenBack(t *testing.T) {
	synctest.Test(t, testBatchOfARunnerThatEndsIsGivenBack)
}
func testBatchOfARunnerThatEndsIsGivenBack(t *testing.T) {
	p := NewPool()
	var ran atomic.Int32
	l, _ := newLoop(p, Config{})
	l.do(func(*Task) { ran.Add(1) })
	synctest.Wait()
	other := newRunner(p)
	p.mu.Lock()
	p.runners[other] = struct{}{}
	p.queue.addMoving(other)
	if !l.inbox.head.CompareAndSwap(idleMark, nil) {
		t.Fatal("the loop is not idle")
	}
	other.batch.begin = 0
	other.batch.loops[0].Store(l)
	p.mu.Unlock()
	l.do(func(*Task) { ran.Add(1) })
	synctest.Wait()
	if n := ran.Load(); n != 1 {
		t.Fatalf("%d turns of a loop that waits in a batch", n)
	}
	other.endRunner()
	synctest.Wait()
	if n := ran.Load(); n != 2 {
		t.Errorf("%d turns after the runner has ended", n)
	}
	l.PostControl(stopLoop{})
}

// What a runner has taken and will take long for is run by those that have nothing
// to do.
func TestIdleRunnersShareABatch(t *testing.T) { synctest.Test(t, testIdleRunnersShareABatch) }
func testIdleRunnersShareABatch(t *testing.T) {
	const slow, each = batchSize, 9 * stall / 10 // the runner does move on
	p := NewPool()
	var loops []*Loop
	var ran atomic.Int32
	p.coming.Add(1) // nobody runs them before all wait
	for i := range batchSize*batchShare + 2*int(p.queue.limit.Load()) {
		l, _ := newLoop(p, Config{})
		loops = append(loops, l)
		l.do(func(*Task) {
			if i >= int(p.queue.limit.Load()) && i < int(p.queue.limit.Load())+slow {
				time.Sleep(each)
			}
			ran.Add(1)
		})
	}
	p.coming.Add(-1)
	p.runnerArrived()
	time.Sleep(slow*each/2 + 2*stall)
	synctest.Wait()
	if n := int(ran.Load()); n != len(loops) {
		t.Errorf("%d of %d loops have run in half of the time that one runner would take for a batch", n, len(loops))
	}
	endAll(loops)
}
