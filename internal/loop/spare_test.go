// SPDX-License-Identifier: Apache-2.0

package loop

import (
	"testing"
	"testing/synctest"
	"time"
)

// Coroutines that a peak has left behind go when nothing has needed them for a
// while, and those that are needed now and then stay.
func TestSpareCoroutinesEnd(t *testing.T) { synctest.Test(t, testSpareCoroutinesEnd) }
func testSpareCoroutinesEnd(t *testing.T) {
	p := NewPool()
	l, _ := newLoop(p, Config{})
	peak := func(n int) {
		for range n {
			l.do(func(k *Task) { sleep(k, time.Second) })
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
	}
	peak(600)
	most := p.nFree.Load()
	if most < 400 {
		t.Fatalf("%d coroutines are idle after 600 tasks at a time: the test is no good", most)
	}
	for range 10 {
		peak(300)
	}
	if n := p.nFree.Load(); n < 200 || n >= most {
		t.Errorf("%d coroutines are idle while 300 are used again and again, %d were", n, most)
	}
	time.Sleep(2 * spareAfter) // and nothing happens
	synctest.Wait()
	if n := p.idleCoroutines(); n > minPooled+p.maxIdle()*minFree {
		t.Errorf("%d coroutines are idle long after the last peak", n)
	}
	p.mu.Lock()
	if p.spare.armed {
		t.Error("an idle system has a timer")
	}
	p.mu.Unlock()
	l.PostControl(stopLoop{})
}

// Of very many those that nothing needs go at once, and the rest as otherwise.
func TestManySpareCoroutinesEndSoon(t *testing.T) { synctest.Test(t, testManySpareCoroutinesEndSoon) }
func testManySpareCoroutinesEndSoon(t *testing.T) {
	p := NewPool()
	l, _ := newLoop(p, Config{})
	const n = 4 * manyPooled
	for range n {
		l.do(func(k *Task) { sleep(k, time.Second) })
	}
	time.Sleep(time.Second)
	synctest.Wait()
	if idle := p.idleCoroutines(); idle < n*9/10 {
		t.Errorf("%d coroutines are idle after %d tasks at a time", idle, n)
	}
	time.Sleep(2 * spareManyAfter)
	synctest.Wait()
	if idle := p.idleCoroutines(); idle < manyPooled || idle > manyPooled+p.maxIdle()*maxFree {
		t.Errorf("%d coroutines are idle %v later", idle, 2*spareManyAfter)
	}
	time.Sleep(2 * spareAfter)
	synctest.Wait()
	if idle := p.idleCoroutines(); idle > minPooled+p.maxIdle()*minFree {
		t.Errorf("%d coroutines are idle long after the last peak", idle)
	}
	l.PostControl(stopLoop{})
}

// idleCoroutines counts those of the pool and of the idle runners.
func (p *Pool) idleCoroutines() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := int(p.nFree.Load())
	for r := p.idle; r != nil; r = r.nextIdle {
		n += r.nFree
	}
	return n
}

// What runners have that are idle now, and were busy together, goes too.
func TestIdleRunnersGiveBackCoroutines(t *testing.T) {
	synctest.Test(t, testIdleRunnersGiveBackCoroutines)
}
func testIdleRunnersGiveBackCoroutines(t *testing.T) {
	p := NewPool()
	release := make(chan struct{})
	var loops []*Loop
	for range p.maxIdle() {
		l, _ := newLoop(p, Config{})
		loops = append(loops, l)
		for range maxFree {
			l.do(func(k *Task) { sleep(k, time.Millisecond) })
		}
		time.Sleep(2 * time.Millisecond)
		l.do(func(*Task) { <-release }) // so that the next loop has another runner
		synctest.Wait()
	}
	close(release)
	synctest.Wait()
	before := p.idleCoroutines()
	if before < p.maxIdle()*maxFree/4 {
		t.Fatalf("%d coroutines are idle in %d runners: the test is no good", before, p.nIdle)
	}
	time.Sleep(2 * spareAfter)
	synctest.Wait()
	if n := p.idleCoroutines(); n > minPooled+p.maxIdle()*minFree {
		t.Errorf("%d of %d coroutines are idle long after that", n, before)
	}
	endAll(loops)
}

// A turn that blocks, maybe for ever, keeps no idle coroutines from others: once
// that is noticed, and when it is taken over.
func TestBlockedTurnKeepsNoCoroutines(t *testing.T) {
	synctest.Test(t, testBlockedTurnKeepsNoCoroutines)
}
func testBlockedTurnKeepsNoCoroutines(t *testing.T) {
	for _, limit := range []time.Duration{0, time.Second} {
		p := NewPool()
		l, _ := newLoop(p, Config{BlockedTurn: limit})
		release := make(chan struct{})
		for range maxFree {
			l.do(func(k *Task) { sleep(k, time.Second) })
		}
		time.Sleep(2 * time.Second)
		l.do(func(*Task) { <-release })
		synctest.Wait()
		p.mu.Lock()
		var r *runner
		for r = range p.runners {
			if r.serving.Load() == l {
				break
			}
		}
		has := r.nFree
		p.mu.Unlock()
		if has < maxFree/2 {
			t.Fatalf("the runner has %d coroutines: the test is no good", has)
		}
		if limit == 0 {
			if turn, _ := l.InUser(); !l.Takeover(turn) {
				t.Fatal("the turn is not taken over")
			}
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if r.nFree > 0 {
			t.Errorf("BlockedTurn %v: its runner keeps %d", limit, r.nFree)
		}
		if n := p.idleCoroutines(); n < maxFree/2 {
			t.Errorf("BlockedTurn %v: others have %d", limit, n)
		}
		close(release)
		synctest.Wait()
		l.PostControl(stopLoop{})
	}
}

// What is idle in the pool keeps nothing of the loops that it was used by.
func TestIdleCoroutinesKeepNoLoop(t *testing.T) { synctest.Test(t, testIdleCoroutinesKeepNoLoop) }
func testIdleCoroutinesKeepNoLoop(t *testing.T) {
	p := NewPool()
	other, _ := newLoop(p, Config{}) // without a loop the pool keeps no coroutine
	l, _ := newLoop(p, Config{})
	for range 600 {
		l.do(func(k *Task) { sleep(k, time.Second) })
	}
	time.Sleep(2 * time.Second)
	l.PostControl(stopLoop{})
	synctest.Wait()
	idle := 0
	for c := p.free; c != nil; c = c.next {
		if idle++; c.loop != nil || c.task != nil {
			t.Error("an idle coroutine keeps a loop that has ended")
			break
		}
	}
	if idle == 0 {
		t.Error("no coroutine is idle: the test is no good")
	}
	other.PostControl(stopLoop{})
}
