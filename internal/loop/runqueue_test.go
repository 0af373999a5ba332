package loop

import (
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

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
	if p.queue.held != 0 {
		t.Errorf("%d runners are not counted although all have gone on", p.queue.held)
	}
	p.mu.Unlock()
	for _, l := range loops {
		l.PostControl(stopLoop{})
	}
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
	for _, l := range loops {
		l.PostControl(stopLoop{})
	}
}
